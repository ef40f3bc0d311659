"""Signals and files: draining, reloading, the access log, what is left behind."""

import json
import os
import signal
import time

from harness import SERIN, Load, SerinCase, main, merge, wait_for
from http_client import Closed, Connection, fetch, format_request


class DrainTest(SerinCase):
    def setUp(self):
        super().setUp()
        self.fakes_for_pools()

    def test_sigterm_finishes_what_is_in_flight_and_takes_nothing_new(self):
        daemon = self.serin()
        with Connection(daemon.address) as busy, Connection(daemon.address) as idle:
            idle.request("GET", "/")
            busy.send(format_request("GET", "/?fault=sleep&seconds=1.5"))
            wait_for(lambda: len(self.blue.seen) == 2)
            daemon.process.send_signal(signal.SIGTERM)
            self.assertFalse(idle.fill(), "an idle connection is closed")
            response = busy.response()
            self.assertEqual((response.status, response.header("Connection", "").lower()), (200, "close"))
            self.assertEqual(daemon.process.wait(10), 0)

    def test_a_second_connection_is_not_accepted_while_draining(self):
        daemon = self.serin()
        with Connection(daemon.address) as busy:
            busy.send(format_request("GET", "/?fault=sleep&seconds=1.5"))
            wait_for(lambda: self.blue.seen)
            daemon.process.send_signal(signal.SIGTERM)

            def refused():
                try:
                    return fetch(daemon.address, "/", timeout=1).status == 503
                except (OSError, Closed):
                    return True
            wait_for(refused, 5, "new connections to be turned away")
            self.assertEqual(busy.response().status, 200)

    def test_drain_timeout_ends_a_request_that_never_ends(self):
        daemon = self.serin({"server": {"drain_timeout": "1s"}})
        with Connection(daemon.address) as busy:
            busy.send(format_request("GET", "/?fault=hang"))
            wait_for(lambda: self.blue.seen)
            daemon.process.send_signal(signal.SIGTERM)
            daemon.process.wait(10)

    def test_sigterm_under_load_breaks_no_request(self):
        daemon = self.serin()
        load = Load(daemon.address, threads=4).start()
        wait_for(lambda: load.count() > 200)
        daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(daemon.process.wait(15), 0)
        results = load.stop()
        # Refused connections and connections closed between requests are no answers lost: no pool saw them.
        answered = [r for r in results if r[1] is not None]
        self.assertEqual([r[1] for r in answered if r[1].status != 200 or not r[1].complete], [])
        served = self.blue.ids()
        lost = [r[0] for r in results if r[1] is None and str(r[0]) in served]
        self.assertEqual(lost, [], "served by the pool but not answered")

    def test_unix_sockets_are_removed_at_the_end(self):
        daemon = self.serin()
        daemon.stop()
        self.assertFalse(os.path.exists(self.path("http.sock")))
        self.assertFalse(os.path.exists(self.path("admin.sock")))


class ReloadTest(SerinCase):
    def setUp(self):
        super().setUp()
        self.fakes_for_pools()
        self.daemon = self.serin({"server": {"pool_header": "X-Serin-Pool"}})

    def reload(self, expect_changed):
        self.daemon.process.send_signal(signal.SIGHUP)
        wait_for(expect_changed, 10, "the reload to take effect")

    def test_sighup_changes_settings_without_dropping_a_connection(self):
        with Connection(self.daemon.address) as connection:
            self.assertEqual(connection.request("GET", "/").header("X-Serin-Pool"), "blue")
            self.daemon.write_config(merge(self.daemon.config, {"server": {"pool_header": "X-Where"}}))
            self.reload(lambda: self.daemon.get("/").header("X-Where") == "blue")
            self.assertEqual(connection.request("GET", "/").status, 200)

    def test_reload_by_the_admin_socket_does_the_same(self):
        self.daemon.write_config(merge(self.daemon.config, {"server": {"pool_header": "X-Where"}}))
        self.daemon.post("/v1/reload")
        wait_for(lambda: self.daemon.get("/").header("X-Where") == "blue")

    def test_a_bad_file_changes_nothing_and_says_why(self):
        with open(self.daemon.file, "a") as file:
            file.write("\n[server]\nworkres = 3\n")
        code, answer = self.daemon.admin("POST", "/v1/reload", {})
        self.assertTrue(400 <= code < 500, (code, answer))
        self.assertIn("serin.toml:", answer["error"])
        self.daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "serin.toml:" in self.daemon.process.log_text())
        self.assertEqual(self.daemon.get("/").header("X-Serin-Pool"), "blue")

    def test_a_pool_can_move_while_requests_flow(self):
        moved = self.fake("moved")
        load = Load(self.daemon.address, threads=4).start()
        wait_for(lambda: load.count() > 50)
        self.daemon.write_config(merge(self.daemon.config, {"pools": {"blue": {"address": moved.address}}}))
        self.reload(lambda: len(moved.seen) > 20)
        results = load.stop()
        self.assertEqual([r for r in results if r[2] or r[1].status != 200], [])

    def test_a_rollout_under_way_survives_a_reload(self):
        self.daemon.ctl("start", "v2")
        self.daemon.set_weight(40)
        self.daemon.write_config(merge(self.daemon.config, {"rollout": {"hold": "7m"}}))
        self.daemon.post("/v1/reload")
        self.assertEqual(self.daemon.status()["weight"]["target"], 0.4)


class AccessLogTest(SerinCase):
    def setUp(self):
        super().setUp()
        self.fakes_for_pools()

    def lines(self, path):
        if not os.path.exists(path):
            return []
        with open(path) as file:
            return [json.loads(line) for line in file if line.endswith("\n")]

    def test_each_request_is_one_line_of_json(self):
        log = self.path("access.log")
        daemon = self.serin({"access_log": {"target": "file", "path": log}})
        daemon.get("/one?secret=1", headers=[("User-Agent", 'quote " and \\ and \x01'.replace("\x01", "\t"))])
        daemon.get("/?fault=error", method="POST", body=b"x")
        daemon.get("/?fault=reset_head")
        lines = wait_for(lambda: (lambda got: got if len(got) >= 3 else None)(self.lines(log)), 10, "three lines")
        # Each worker writes its own lines: their order across workers means nothing.
        self.assertEqual(sorted((line["status"], line["method"]) for line in lines),
                         [(200, "GET"), (500, "POST"), (502, "GET")])
        self.assertEqual({line["pool"] for line in lines}, {"blue"})

    def test_sigusr1_opens_the_file_anew(self):
        log = self.path("access.log")
        daemon = self.serin({"access_log": {"target": "file", "path": log}})
        daemon.get("/before")
        wait_for(lambda: len(self.lines(log)) == 1)
        os.rename(log, log + ".1")
        daemon.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: os.path.exists(log), 10, "the new file")
        daemon.get("/after")
        wait_for(lambda: len(self.lines(log)) == 1)
        self.assertEqual(len(self.lines(log + ".1")), 1)

    def test_no_line_is_lost_under_load_and_at_the_end(self):
        log = self.path("access.log")
        daemon = self.serin({"access_log": {"target": "file", "path": log}})
        with Load(daemon.address, threads=4) as load:
            wait_for(lambda: load.count() > 300, 20)
            results = load.stop()
        daemon.stop()
        self.assertEqual(len(self.lines(log)), len(results))


class StartTest(SerinCase):
    def setUp(self):
        super().setUp()
        self.fakes_for_pools()

    def test_flags_beat_variables_beat_the_file(self):
        """workers: 2 in the file; what decides is seen in the number of worker threads."""
        daemon = self.serin(start=False)
        base = None
        for extra, environment, workers in (([], {}, 2), ([], {"SERIN_SERVER_WORKERS": "3"}, 3),
                                            (["--set", "server.workers=1"], {"SERIN_SERVER_WORKERS": "3"}, 1)):
            os.environ.update(environment)
            try:
                daemon.start(extra)
            finally:
                for key in environment:
                    del os.environ[key]
            threads = int([line for line in open("/proc/%d/status" % daemon.process.pid)
                           if line.startswith("Threads:")][0].split()[1])
            base = threads - workers if base is None else base
            self.assertEqual(threads - base, workers, (extra, environment))
            daemon.stop()

    def test_version_and_help(self):
        for flag in ("--version", "--help"):
            result = self.command([SERIN, flag])
            self.assertTrue(result.stdout.strip(), flag)

    def test_a_listener_that_cannot_be_bound_ends_the_start(self):
        daemon = self.serin({"listen": [{"address": "unix:/nonexistent-folder/x.sock", "protocol": "http"}]},
                            start=False)
        daemon.start(wait=False)
        self.assertNotEqual(daemon.process.wait(10), 0)
        self.assertIn("/nonexistent-folder/x.sock", daemon.process.log_text())


if __name__ == "__main__":
    main()
