"""Draining a pool: nothing new goes there, what is there ends, and it comes back."""

import json
import signal
import subprocess

from harness import SERINCTL, Load, SerinCase, main, wait_for
from http_client import Connection, format_request


class DrainCase(SerinCase):
    over = {}

    def setUp(self):
        super().setUp()
        self.fakes_for_pools()
        self.daemon = self.serin({"server": {"pool_header": "X-Serin-Pool"}, **self.over})
        self.daemon.set_weight(100)

    def pool(self, name="green"):
        return self.daemon.status()["pools"][name]

    def wait_drained(self):
        wait_for(lambda: self.pool()["state"] == "drained", 15, "green to be drained")

    def hold_a_request(self, target="/?fault=slow_body&parts=30"):
        """A request that green takes its time for; -> its connection."""
        before = len(self.green.seen)
        connection = Connection(self.daemon.address, 20)
        self.addCleanup(connection.close)
        connection.send(format_request("GET", target))
        wait_for(lambda: len(self.green.seen) > before, 10, "green to have it")
        return connection


class DrainTest(DrainCase):
    def test_nothing_new_goes_there_and_what_is_there_finishes(self):
        slow = self.hold_a_request()
        self.assertIn("green takes no new requests", self.daemon.ctl("drain", "green").stdout)
        self.assertEqual((self.pool()["state"], self.pool()["in_flight"]), ("draining", 1))
        self.assertEqual(self.daemon.metric_sum("serin_pool_state", pool="green", state="draining"), 1)
        seen = len(self.green.seen)
        for headers in ([], [("X-Serin-Route", "canary")], [("Cookie", "serin_route=canary")]):
            self.assertEqual(self.daemon.get("/", headers=headers).header("X-Serin-Pool"), "blue")
        response = slow.response()
        self.assertEqual((response.status, response.complete, response.text.count("part")), (200, True, 30))
        self.wait_drained()
        wait_for(lambda: self.green.open_now == 0, 5, "green's end of the connection to be closed")
        self.assertEqual(len(self.green.seen), seen)
        self.assertIn("canary, drained", self.daemon.ctl("status").stdout)
        self.assertEqual(self.daemon.status()["weight"]["target"], 1, "the weight is kept")
        self.daemon.ctl("undrain", "green")
        self.assertEqual(self.daemon.get("/").header("X-Serin-Pool"), "green")
        self.assertEqual(self.pool()["state"], "serving")

    def test_serinctl_waits_until_the_pool_is_empty(self):
        slow = self.hold_a_request("/?fault=slow_body&parts=10")
        waiting = subprocess.Popen([SERINCTL, "--socket", self.path("admin.sock"), "drain", "green", "--wait"],
                                   stdout=subprocess.PIPE, text=True)
        self.assertEqual(slow.response().status, 200)
        output = waiting.communicate(timeout=60)[0]
        self.assertEqual(waiting.returncode, 0, output)
        self.assertIn("green is empty", output)
        self.assertEqual(self.pool()["state"], "drained")

    def test_stable_is_not_drained(self):
        result = self.daemon.ctl("drain", "blue", check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("blue is stable", result.stderr)
        self.assertEqual(self.daemon.admin("POST", "/v1/pool/blue/drain", {})[0], 409)
        self.assertEqual(self.pool("blue")["state"], "serving")

    def test_it_stays_drained_over_a_restart_and_a_start_ends_it(self):
        self.daemon.ctl("drain", "green")
        self.wait_drained()
        self.daemon.restart_after_kill()
        self.assertEqual(self.pool()["state"], "drained")
        self.assertEqual(self.daemon.get("/").header("X-Serin-Pool"), "blue")
        self.daemon.ctl("abort")
        self.assertEqual(self.pool()["state"], "drained")
        self.daemon.ctl("start", "v2")
        self.assertEqual(self.pool()["state"], "serving")


class KeptConnectionsTest(DrainCase):
    over = {"pools": {"green": {"keep_alive": "on", "keep_alive_timeout": "1h"}}}

    def test_idle_connections_are_closed_at_once_and_later_ones_too(self):
        self.daemon.get("/")
        wait_for(lambda: self.green.open_now == 1, 5, "an idle connection")
        slow = self.hold_a_request("/?fault=slow_body&parts=10")
        self.daemon.ctl("drain", "green")
        self.assertEqual(slow.response().status, 200)
        self.wait_drained()
        wait_for(lambda: self.green.open_now == 0, 5, "green's ends of both connections to be closed")


class LimitTest(DrainCase):
    over = {"server": {"pool_header": "X-Serin-Pool", "drain_timeout": "200ms"}}

    def test_what_does_not_end_is_cut_off_at_the_limit(self):
        hung = self.hold_a_request("/?fault=hang")
        begun = self.hold_a_request("/?fault=stall_body")
        self.daemon.ctl("drain", "green")
        self.assertEqual(hung.response().status, 504)
        self.assertFalse(begun.response().complete)
        self.wait_drained()

    def test_with_rescue_what_is_cut_off_is_answered_by_stable(self):
        self.daemon.write_config({**self.daemon.config, "rescue": {"enabled": True}})
        self.daemon.ctl("reload")
        self.green.behave = lambda request: "hang"
        hung = self.hold_a_request("/")
        self.daemon.ctl("drain", "green")
        response = hung.response()
        self.assertEqual((response.status, response.header("X-Serin-Pool")), (200, "blue"))


class ReplaceTest(SerinCase):
    """Drain, SIGQUIT, a new release, undrain: under load, with a real PHP-FPM."""

    def test_a_pool_is_replaced_under_load_without_a_failed_request(self):
        masters = {pool: self.fpm(pool, self.release("v1", "srv/" + pool),
                                  environment={"DEMO_STORAGE": self.folder("storage")}) for pool in ("blue", "green")}
        daemon = self.serin({"pools": {"green": {"max_connections": 6}, "blue": {"max_connections": 6}}},
                            blue=masters["blue"].address, green=masters["green"].address,
                            blue_root=masters["blue"].root, green_root=masters["green"].root)
        daemon.set_weight(50)
        with Load(daemon.address, threads=3, target=lambda i: "/health", pause=0.002) as load:
            wait_for(lambda: load.count() > 200)
            daemon.ctl("drain", "green", "--wait")
            self.assertEqual(masters["green"].stop(signal.SIGQUIT), 0)
            self.fpm("green", self.release("v2", "srv/green"), environment={"DEMO_STORAGE": self.folder("storage")})
            daemon.ctl("undrain", "green")
            count = load.count()
            wait_for(lambda: load.count() > count + 200)
            results = load.stop()
        self.assertEqual([(problem, response and response.status) for _, response, problem, _ in results
                          if problem or response.status != 200], [])
        late = {json.loads(response.text)["release"] for _, response, _, _ in results[-100:]}
        self.assertEqual(late, {"v1", "v2"})


if __name__ == "__main__":
    main()
