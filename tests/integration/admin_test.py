"""The admin socket with curl, and serinctl: what may be asked, by whom, and what is answered."""

import json
import os
import stat
import subprocess
import time

from harness import IS_ROOT, SERINCTL, Load, SerinCase, main, wait_for
from http_client import Connection, exchange, fetch


class AdminTest(SerinCase):
    def setUp(self):
        super().setUp()
        self.fakes_for_pools()
        self.daemon = self.serin({"rollout": {"hold": "600s"}})

    def curl(self, path, *arguments):
        result = self.command(["curl", "-sS", "-w", "\n%{http_code}", "--unix-socket", self.path("admin.sock"),
                               *arguments, "http://serin" + path])
        text, _, code = result.stdout.rpartition("\n")
        return int(code), json.loads(text) if text.strip() else None

    def test_status_has_what_the_contract_names(self):
        code, status = self.curl("/v1/status")
        self.assertEqual(code, 200)
        for key in ("state", "release", "step", "steps", "hold_remaining_seconds", "weight", "roles", "pools", "reason"):
            self.assertIn(key, status)
        self.assertEqual(set(status["weight"]), {"target", "observed"})
        self.assertEqual(status["roles"], {"stable": "blue", "canary": "green"})
        for pool in ("blue", "green"):
            self.assertLessEqual({"error_ratio", "p95_seconds", "requests"}, set(status["pools"][pool]))

    def test_reads_are_get_and_changes_are_post(self):
        for path in ("/v1/weight", "/v1/rollout/start", "/v1/rollout/abort", "/v1/reload", "/v1/pool/green/drain"):
            code, answer = self.curl(path)
            self.assertEqual(code, 405, path)
            self.assertIn("error", answer)
        for path in ("/v1/status", "/v1/history"):
            self.assertEqual(self.curl(path, "-X", "POST", "-d", "{}")[0], 405, path)
        self.assertEqual(self.daemon.status()["state"], "stable")

    def test_a_whole_rollout_by_curl(self):
        self.assertEqual(self.curl("/v1/rollout/start", "-d", '{"release": "v42"}')[0], 200)
        status = self.daemon.status()
        self.assertEqual((status["release"], status["weight"]["target"]), ("v42", 0.1))
        self.assertEqual(self.curl("/v1/rollout/pause", "-X", "POST")[0], 200)
        self.assertEqual(self.daemon.state(), "paused")
        self.assertEqual(self.curl("/v1/rollout/resume", "-X", "POST")[0], 200)
        self.assertEqual(self.curl("/v1/rollout/promote", "-X", "POST")[0], 200)
        self.assertEqual(self.daemon.status()["weight"]["target"], 0.25)
        self.assertEqual(self.curl("/v1/weight", "-d", '{"canary": 12.5}')[0], 200)
        self.assertEqual(self.daemon.status()["weight"]["target"], 0.125)
        self.assertEqual(self.curl("/v1/rollout/abort", "-X", "POST")[0], 200)
        self.assertEqual(self.daemon.status()["weight"]["target"], 0)
        code, history = self.curl("/v1/history")
        self.assertEqual(code, 200)
        self.assertIn("v42", json.dumps(history))

    def test_mistakes_are_4xx_with_a_sentence(self):
        for path, body in (("/v1/weight", '{"canary": 101}'), ("/v1/weight", '{"canary": -1}'),
                           ("/v1/weight", '{"canary": "many"}'), ("/v1/weight", "{"), ("/v1/weight", "{}"),
                           ("/v1/weight", "[]"), ("/v1/rollout/start", '{"release": 7}'),
                           ("/v1/rollout/nonsense", "{}"), ("/v1/nothing", "{}"), ("/v1/pool/red/drain", "{}"),
                           ("/v1/weight", '{"canary": 1e999}'), ("/v1/weight", '{"canary": null}')):
            code, answer = self.curl(path, "-X", "POST", "-d", body)
            self.assertTrue(400 <= code < 500, (path, body, code))
            self.assertTrue(answer["error"], (path, body))
        self.assertEqual(self.daemon.status()["weight"]["target"], 0)

    def test_a_start_while_one_is_under_way_is_refused_with_a_reason(self):
        self.daemon.post("/v1/rollout/start", {"release": "v2"})
        code, answer = self.daemon.admin("POST", "/v1/rollout/start", {"release": "v3"})
        self.assertEqual(code, 409, answer)
        self.assertIn("v2", answer["error"])

    def test_the_socket_has_its_mode_and_nothing_is_served_by_tcp(self):
        self.assertEqual(stat.S_IMODE(os.stat(self.path("admin.sock")).st_mode), 0o660)
        response = fetch(self.daemon.metrics_address, "/v1/status")
        self.assertEqual(response.status, 404)
        self.assertIn(self.daemon.get("/v1/weight", method="POST", body=b'{"canary":100}').status, (200, 404))
        self.assertEqual(self.daemon.status()["weight"]["target"], 0, "the public side cannot change the weight")

    def test_another_user_cannot_change_the_weight(self):
        if not IS_ROOT:
            self.skipTest("needs root to become somebody else")
        os.chmod(self.scratch, 0o755)
        result = subprocess.run(["curl", "-sS", "--unix-socket", self.path("admin.sock"), "-d", '{"canary": 50}',
                                 "http://serin/v1/weight"], user=65534, group=65534, extra_groups=[],
                                capture_output=True, text=True, check=False)
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(self.daemon.status()["weight"]["target"], 0)

    def test_who_asked_is_in_the_history(self):
        self.daemon.post("/v1/rollout/start", {"release": "v2"})
        self.assertIn("uid %d" % os.geteuid(), json.dumps(self.daemon.admin("GET", "/v1/history")[1]))

    def test_garbage_on_the_admin_socket_harms_nothing(self):
        for data in (b"\0\xff" * 1000, b"GET /v1/status\r\n\r\n",
                     b"POST /v1/weight HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
                     b"GET /v1/status HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 1000000):
            exchange("unix:" + self.path("admin.sock"), [data], timeout=2)
        self.assertEqual(self.daemon.status()["state"], "stable")

    def test_many_admin_clients_at_once(self):
        with Load("unix:" + self.path("admin.sock"), threads=8, target=lambda i: "/v1/status") as load:
            wait_for(lambda: load.count() > 200, 20)
            results = load.stop()
        self.assertEqual({r[1].status if r[1] else r[2] for r in results}, {200})

    def test_events_are_pushed(self):
        with Connection("unix:" + self.path("admin.sock"), 10) as connection:
            connection.send(b"GET /v1/events HTTP/1.1\r\nHost: serin\r\nAccept: text/event-stream\r\n\r\n")
            while b"\r\n\r\n" not in connection.buffer:
                self.assertTrue(connection.fill())
            self.assertIn(b"text/event-stream", connection.buffer)
            self.daemon.post("/v1/rollout/start", {"release": "v77"})
            while b"v77" not in connection.buffer:
                self.assertTrue(connection.fill(), "the start must be announced")

    def test_metrics_are_for_get_only(self):
        self.assertEqual(fetch(self.daemon.metrics_address, "/metrics", "POST", body=b"").status, 405)


class CtlTest(SerinCase):
    def setUp(self):
        super().setUp()
        self.fakes_for_pools()
        self.daemon = self.serin({"rollout": {"hold": "600s"}})

    def test_status_for_people_and_machines(self):
        text = self.daemon.ctl("status").stdout
        for word in ("stable", "blue", "green"):
            self.assertIn(word, text)
        self.assertNotIn("\x1b", text, "no colour when it is not a terminal")
        self.assertEqual(json.loads(self.daemon.ctl("status", "--json").stdout)["roles"]["stable"], "blue")

    def test_weight_and_history(self):
        self.daemon.ctl("weight", "25")
        self.assertEqual(self.daemon.status()["weight"]["target"], 0.25)
        self.assertIn("25", self.daemon.ctl("history").stdout)
        json.loads(self.daemon.ctl("history", "--json").stdout)

    def test_bad_words_are_usage_errors(self):
        for arguments in (["weight", "101"], ["weight", "x"], ["weight"], ["dance"], ["--nonsense"]):
            result = self.daemon.ctl(*arguments, check=False)
            self.assertNotEqual(result.returncode, 0, arguments)
            self.assertTrue(result.stderr.strip(), arguments)
        self.assertEqual(self.daemon.status()["weight"]["target"], 0)

    def test_no_daemon_is_said_in_one_line(self):
        self.daemon.stop()
        result = self.daemon.ctl("status", check=False)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(self.path("admin.sock"), result.stderr)
        self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)

    def test_check_looks_at_a_file_without_a_daemon(self):
        self.daemon.stop()
        self.assertEqual(self.command([SERINCTL, "check", self.daemon.file]).returncode, 0)
        bad = self.write("bad.toml", "[server]\nworkers = -1\n")
        result = self.command([SERINCTL, "check", bad], check=False)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("bad.toml:2:", result.stdout + result.stderr)

    def test_version_agrees_with_the_daemon(self):
        self.assertRegex(self.daemon.ctl("version").stdout, r"\d+\.\d+\.\d+")

    def test_watching_shows_a_change(self):
        watcher = self.spawn("watch", [SERINCTL, "--socket", self.path("admin.sock"), "status", "-w"])
        time.sleep(0.5)
        self.daemon.ctl("weight", "37")
        wait_for(lambda: "37" in watcher.log_text(), 10, "the watcher to show the new weight")
        watcher.stop(2)


if __name__ == "__main__":
    main()
