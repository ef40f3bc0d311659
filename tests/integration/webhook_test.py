"""Decisions and alarms reach the webhook: what is sent, when, and what a bad receiver costs."""

import http.server
import json
import os
import threading

from harness import Load, SerinCase, main, wait_for


class Receiver:
    """An HTTP server that keeps what it is sent; `answer` is a status, or a function that waits."""

    def __init__(self, port):
        self.messages, self.lock, self.answer, self.released = [], threading.Lock(), 200, threading.Event()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver.lock:
                    receiver.messages.append((self.path, self.headers["Content-Type"], json.loads(body)))
                if receiver.answer == "hang":
                    receiver.released.wait(60)
                    return
                self.send_response(receiver.answer)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def events(self):
        with self.lock:
            return [message["event"] for _, _, message in self.messages]

    def last(self, event):
        with self.lock:
            return [message for _, _, message in self.messages if message["event"] == event][-1]

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


class WebhookTest(SerinCase):
    def setUp(self):
        super().setUp()
        self.fakes_for_pools()
        self.receiver = Receiver(self.port())
        self.addCleanup(self.receiver.close)
        self.url = "http://127.0.0.1:%d/hooks/secret-token" % self.receiver.server.server_port
        self.daemon = self.serin({"rollout": {"hold": "600s"}, "webhook": {"url": self.url, "timeout": "1s"}})

    def sent(self, result="sent"):
        return self.daemon.metric_sum("serin_webhook_messages_total", result=result)

    def test_a_revert_is_told_with_its_evidence(self):
        self.green.behave = lambda request: "fatal_200"
        load = Load(self.daemon.address, threads=3, pause=0.004, target=lambda i: "/shop.php").start()
        self.addCleanup(load.halt.set)
        self.daemon.ctl("start", "v42")
        self.daemon.wait_state("reverted")
        wait_for(lambda: "revert" in self.receiver.events(), 10, "the message")
        message = self.receiver.last("revert")
        self.assertIn("revert v42: reverted at 10 %", message["text"])
        self.assertIn("canary requests failed", message["text"])
        self.assertIn("no such method", message["text"], "the top cause")
        self.assertEqual((message["release"], message["state"], message["by"], message["severity"], message["status"]),
                         ("v42", "reverted", "serin", "warning", "firing"))
        self.assertGreater(message["pools"]["green"]["errors"], 0)
        self.assertEqual(message["alerts"][0]["labels"]["alertname"], "serin_revert")
        path, kind, _ = self.receiver.messages[-1]
        self.assertEqual((path, kind), ("/hooks/secret-token", "application/json"))
        self.assertEqual(self.receiver.events().count("revert"), 1)
        self.assertIn("rollout: revert v42: reverted at 10 %", self.daemon.process.log_text())
        wait_for(lambda: self.sent() >= 1, 5, "it to be counted")
        self.assertNotIn("start", self.receiver.events(), "no part of the default")

    def test_an_operator_chooses_what_is_told_and_a_reload_changes_it(self):
        self.daemon.write_config({**self.daemon.config,
                                  "webhook": {"url": self.url, "events": ["start", "pause", "finalise", "promote"]}})
        self.daemon.ctl("reload")
        self.daemon.ctl("start", "v2")
        self.daemon.ctl("pause")
        self.daemon.ctl("resume")
        self.daemon.ctl("promote", "--full")
        wait_for(lambda: self.receiver.events() == ["start", "pause", "promote"], 10, "the three")
        self.assertIn("green is stable now", self.receiver.last("promote")["reason"])

    def test_holding_too_long_is_told(self):
        self.daemon.write_config({**self.daemon.config, "rollout": {"hold": "300ms", "warn_after_holds": 3}})
        self.daemon.ctl("reload")
        self.daemon.ctl("start", "v2")
        wait_for(lambda: "warn" in self.receiver.events(), 15, "the warning")
        message = self.receiver.last("warn")
        self.assertRegex(message["text"], r"warn v2 at 10 %: held for .*, 3 times the hold: 0 of 90 canary requests")
        self.assertTrue(message["alarm"])
        self.assertEqual(self.daemon.metric_sum("serin_rollout_alarm"), 1)
        self.assertEqual(self.receiver.events().count("warn"), 1)

    def test_an_alarm_of_the_journal_is_told_and_its_end(self):
        self.daemon.stop()
        with open(os.path.join(self.path("state"), "journal"), "r+b") as file:
            file.write(b"\xff" * os.path.getsize(file.name))
        self.daemon.start()
        wait_for(lambda: "alarm" in self.receiver.events(), 10, "the alarm")
        message = self.receiver.last("alarm")
        self.assertEqual((message["severity"], message["status"]), ("critical", "firing"))
        self.daemon.ctl("start", "v2")  # a person is there
        wait_for(lambda: self.receiver.last("alarm")["status"] == "resolved", 10, "its end")

    def test_a_busy_receiver_is_tried_again(self):
        self.receiver.answer = 503
        self.daemon.ctl("start", "v2")
        self.daemon.ctl("abort")
        wait_for(lambda: self.receiver.events() == ["abort"] * 2, 10, "a second try")
        self.receiver.answer = 200
        wait_for(lambda: self.sent() == 1, 15, "the third")
        self.assertEqual(self.receiver.events(), ["abort"] * 3)
        self.assertEqual(self.sent("failed"), 0)

    def test_a_receiver_that_refuses_is_not_bothered_again(self):
        self.receiver.answer = 404
        self.daemon.ctl("start", "v2")
        self.daemon.ctl("abort")
        wait_for(lambda: self.sent("failed") == 1, 10, "the failure")
        self.assertEqual(self.receiver.events(), ["abort"])
        log = self.daemon.process.log_text()
        self.assertIn("given up: it answered 404", log)
        self.assertNotIn("secret-token", log)

    def test_a_receiver_that_hangs_costs_messages_and_nothing_else(self):
        self.receiver.answer = "hang"
        for _ in range(80):  # more than are queued
            self.daemon.post("/v1/rollout/start", {"release": "v2"})
            self.daemon.post("/v1/rollout/abort")
        self.assertEqual(self.daemon.get("/").status, 200)
        self.assertGreaterEqual(self.sent("dropped"), 80 - 64 - 1)
        self.daemon.stop(seconds=10)  # not a minute of time-outs


if __name__ == "__main__":
    main()
