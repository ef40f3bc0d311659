"""Rescue: what the canary failed is answered by stable, and is the canary's failure all the same."""

import json
import os
import re
import socket
import struct

import fake_fpm
from fake_fpm import BEGIN, PARAMS, STDIN, record
from harness import Load, SerinCase, main, wait_for
from http_client import Connection, format_request

# Of a rule that would end the rollout in the middle of a test.
NO_VERDICT = {"sequential": {"enabled": False}, "min_requests": 1000000, "dead_pool_span": "10m"}


class RescueCase(SerinCase):
    over = {}

    def setUp(self):
        super().setUp()
        self.fakes_for_pools()
        self.log = self.path("access.log")
        self.daemon = self.serin({
            "server": {"pool_header": "X-Serin-Pool", "workers": 1},
            "rescue": {"enabled": True},
            "rollout": dict(NO_VERDICT),
            "access_log": {"target": "file", "path": self.log},
            **self.over})
        self.daemon.ctl("start", "v2")
        self.daemon.set_weight(100)

    def logged(self, target):
        """The access log's lines for a target, waited for."""
        def lines():
            with open(self.log, encoding="utf-8") as file:
                return [line for line in map(json.loads, file) if line["target"] == target]
        return wait_for(lines, 10, "a line for " + target)

    def served_by(self, response):
        return response.status, response.header("X-Serin-Pool")

    def canary_errors(self):
        return self.daemon.status()["pools"]["green"]["errors"]

    def rescued(self):
        return self.daemon.metric_sum("serin_rescued_requests_total")


class RescuedTest(RescueCase):
    over = {"pools": {"green": {"read_timeout": "200ms"}}}

    def test_each_failure_before_the_first_byte_is_answered_by_stable(self):
        faults = ["error", "reset_head", "close_head", "garbage", "no_head", "bad_status", "early_end", "overloaded",
                  "hang"]
        for count, fault in enumerate(faults, 1):
            with self.subTest(fault):
                self.green.behave = lambda request, fault=fault: fault
                response = self.daemon.get("/%s" % fault)
                self.assertEqual(self.served_by(response), (200, "blue"))
                self.assertIn("pool=blue", response.text)
                wait_for(lambda: self.canary_errors() == count, 5, "the canary's error to count")
        self.assertEqual(self.rescued(), len(faults))
        self.assertEqual(self.daemon.status()["pools"]["blue"]["requests"], 0, "no sample of stable's requests")
        line = self.logged("/error")[0]
        self.assertEqual((line["status"], line["rescued"], line["pool"], line["role"], line["error"]),
                         (200, True, "green", "canary", "bad_status"))
        self.assertEqual(self.logged("/hang")[0]["error"], "read_timeout")
        self.assertGreaterEqual(self.logged("/hang")[0]["duration_ms"], 200)
        self.assertLess(self.logged("/hang")[0]["backend_ms"], self.logged("/hang")[0]["duration_ms"])
        for pool, code in (("green", "500"), ("green", "504"), ("blue", "200")):
            self.assertGreaterEqual(self.daemon.metric_sum("serin_requests_total", pool=pool, code=code), 1)

    def test_only_the_statuses_of_a_failure_are_withheld(self):
        self.green.behave = lambda request: "status"
        for status, pool in ((500, "blue"), (502, "blue"), (503, "blue"), (504, "blue"), (404, "green"), (501, "green"),
                             (429, "green"), (302, "green")):
            response = self.daemon.get("/?status=%d" % status)
            self.assertEqual(response.header("X-Serin-Pool"), pool, status)
            self.assertEqual(response.status, 200 if pool == "blue" else status)

    def test_a_fatal_error_seen_before_the_head_is_rescued_and_head_requests_too(self):
        def fatal(connection, request):
            connection.send(request.err(b"PHP message: PHP Fatal error:  Uncaught Error"))
            fake_fpm.answer(connection, request)
        self.green.behave = lambda request: fatal
        self.assertEqual(self.served_by(self.daemon.get("/")), (200, "blue"))
        self.assertEqual(self.served_by(self.daemon.get("/", method="HEAD")), (200, "blue"))

    def test_an_answer_that_has_begun_is_cut_off_and_not_begun_again(self):
        for fault in ("reset_middle", "truncated"):
            self.green.behave = lambda request, fault=fault: fault
            self.assertFalse(self.daemon.get("/").complete)
        self.assertEqual((len(self.blue.seen), self.rescued()), (0, 0))

    def test_a_post_that_reached_php_is_never_repeated(self):
        for fault, status in (("error", 500), ("reset_head", 502), ("hang", 504)):
            self.green.behave = lambda request, fault=fault: fault
            self.assertEqual(self.daemon.get("/", method="POST", body=b"x").status, status)
        self.assertEqual((len(self.green.seen), len(self.blue.seen)), (3, 0))

    def test_a_post_that_did_not_reach_php_is_sent_to_stable_whole(self):
        self.green.stop()
        body = os.urandom(300000)  # more than memory holds
        response = self.daemon.get("/", method="POST", body=body)
        self.assertEqual(self.served_by(response), (200, "blue"))
        self.assertIn("size=300000", response.text)
        self.assertEqual([request.problems for request in self.blue.seen], [[]])
        wait_for(lambda: self.canary_errors() == 1, 5, "the canary's error to count")

    def test_who_asked_for_the_canary_sees_what_it_does(self):
        self.green.behave = lambda request: "error"
        response = self.daemon.get("/", headers=[("X-Serin-Route", "canary")])
        self.assertEqual(self.served_by(response), (500, "green"))

    def test_when_stable_fails_too_its_answer_is_sent(self):
        self.green.behave = lambda request: "reset_head"
        self.blue.behave = lambda request: "error"
        self.assertEqual(self.served_by(self.daemon.get("/both")), (500, "blue"))
        self.assertEqual(self.daemon.metric_sum("serin_unrescued_requests_total", reason="stable_failed"), 1)
        self.assertEqual(self.rescued(), 0)
        self.assertFalse(self.logged("/both")[0]["rescued"])

    def test_an_unhealthy_stable_is_left_alone(self):
        self.green.behave = self.blue.behave = lambda request: "error"
        for _ in range(9):
            self.daemon.get("/")
        self.assertEqual(len(self.blue.seen), 5, "tried until it had failed too often")
        self.assertEqual(self.daemon.metric_sum("serin_unrescued_requests_total", reason="stable_unhealthy"), 4)

    def test_a_visitor_who_was_rescued_stays_the_canarys(self):
        self.daemon.write_config({**self.daemon.config, "split": {"key": "cookie"}})
        self.daemon.ctl("reload")
        self.daemon.set_weight(99)
        self.green.behave = lambda request: "error"
        response = wait_for(lambda: (lambda r: r if self.green.seen else None)(self.daemon.get("/")), 10, "a canary visitor")
        self.assertEqual(self.served_by(response), (200, "blue"))
        cookie = response.header("Set-Cookie").partition(";")[0]
        self.green.behave = None
        self.assertEqual(self.daemon.get("/", headers=[("Cookie", cookie)]).header("X-Serin-Pool"), "green")


class NoRoomTest(RescueCase):
    over = {"pools": {"green": {"max_connections": 1, "queue_size": 0}}}

    def test_a_canary_without_room_hands_over_to_stable(self):
        self.green.behave = lambda request: "slow_body" if "slow" in request.param("REQUEST_URI") else "ok"
        with Connection(self.daemon.address) as busy:
            busy.send(format_request("GET", "/slow?parts=40"))
            wait_for(lambda: self.green.seen, 5, "the only connection to be busy")
            self.assertEqual(self.served_by(self.daemon.get("/", method="POST", body=b"x")), (200, "blue"))
            self.assertEqual(busy.response().status, 200)


class OtherDoorsTest(SerinCase):
    def test_http2_and_fastcgi_are_rescued_like_http1(self):
        self.fakes_for_pools()
        port, root = self.port(), self.folder("root")
        daemon = self.serin({"listen": [{"address": "127.0.0.1:%d" % port},
                                        {"address": "unix:" + self.path("fcgi.sock"), "protocol": "fastcgi"}],
                             "rescue": {"enabled": True}, "rollout": dict(NO_VERDICT)})
        daemon.ctl("start", "v2")
        daemon.set_weight(100)
        self.green.behave = lambda request: "error"
        url = "http://127.0.0.1:%d/" % port
        self.assertIn("pool=blue", self.command(["curl", "-sSf", "--http2-prior-knowledge", url]).stdout)
        self.assertIn(b"pool=blue", self.ask_by_fastcgi(self.path("fcgi.sock"), {
            "REQUEST_METHOD": "GET", "SCRIPT_FILENAME": root + "/index.php", "SCRIPT_NAME": "/index.php",
            "DOCUMENT_ROOT": root, "REQUEST_URI": "/", "QUERY_STRING": "", "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "serin.test", "REMOTE_ADDR": "127.0.0.1"}))

    def ask_by_fastcgi(self, path, params):
        """Sends one request as nginx would; -> all that comes back."""
        pairs = b"".join(struct.pack("!BB", len(name), len(value)) + name.encode() + value.encode()
                         for name, value in params.items())
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(path)
            client.sendall(record(1, BEGIN, struct.pack("!HB5x", 1, 0)) + record(1, PARAMS, pairs) + record(1, PARAMS) +
                           record(1, STDIN))
            return b"".join(iter(lambda: client.recv(65536), b""))


class BudgetTest(RescueCase):
    over = {"rescue": {"enabled": True, "budget": "10%"}}

    def test_beyond_the_budget_clients_see_the_error(self):
        self.green.behave = lambda request: "error"
        self.daemon.set_weight(50)
        with Load(self.daemon.address, threads=2) as load:
            wait_for(lambda: load.count() >= 600, 60, "600 requests")
            results = load.stop()
        failed = sum(response.status == 500 for _, response, _, _ in results)
        rescued = self.rescued()
        self.assertEqual(failed + rescued, len(self.green.seen))
        self.assertEqual(failed, self.daemon.metric_sum("serin_unrescued_requests_total", reason="budget"))
        seconds = sum(spent for *_, spent in results)  # of both threads: the floor is at most this
        self.assertGreaterEqual(rescued, 0.1 * len(results))
        self.assertLessEqual(rescued, 0.1 * len(results) + 10 + seconds)


class VerdictTest(SerinCase):
    """A canary that fails every request: nobody sees it, and the verdict comes as soon as without rescue."""

    def run_rollout(self, rescue):
        self.fakes_for_pools()
        port = self.port()
        daemon = self.serin({"listen": [{"address": "127.0.0.1:%d" % port}], "rescue": {"enabled": rescue},
                             "state": {"directory": self.folder("state-%s" % rescue)},
                             "rollout": {"hold": "10m"}}, name="serin-%s" % rescue)
        self.green.behave = lambda request: "error"
        daemon.ctl("start", "v2")  # at 10 %
        url = "http://127.0.0.1:%d/" % port
        text = self.command(["h2load", "--h1", "-n", "3000", "-c", "16", url], timeout=120).stdout
        status = daemon.wait_state("reverted")
        errors = int(re.search(r"(\d+) 5xx", text).group(1))
        figures = {name: daemon.metric_sum(name) for name in ("serin_rescued_requests_total",
                                                              "serin_unrescued_requests_total")}
        daemon.stop()
        return errors, status["reason"], len(self.green.seen), len(self.blue.seen), figures

    def deciding(self, reason):
        """How many failures it took; all of the canary's requests were."""
        failed, asked = map(int, re.search(r"(\d+) of (\d+)", reason).groups())
        self.assertEqual(failed, asked, reason)
        return failed

    def test_users_see_no_error_and_the_verdict_is_the_same(self):
        errors, reason, failures, _, figures = self.run_rollout(False)
        self.assertGreaterEqual(errors, 5)
        self.assertEqual(errors, failures)
        self.assertEqual(set(figures.values()), {0})
        deciding = self.deciding(reason)
        errors, reason, failures, stable, figures = self.run_rollout(True)
        self.assertEqual(errors, 0)
        # The threshold follows the rate, as far as that is known by then.
        self.assertAlmostEqual(self.deciding(reason), deciding, delta=1, msg=reason)
        self.assertEqual(figures, {"serin_rescued_requests_total": failures, "serin_unrescued_requests_total": 0})
        self.assertEqual(stable, 3000, "each request was answered by stable once")
        self.assertLessEqual(failures, 300)


if __name__ == "__main__":
    main()
