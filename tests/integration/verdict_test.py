"""The promises of docs/VERDICT.md on a running daemon: how little a bad release costs, what `explain`
and `replay` say of it, and what happens when the controller itself hangs. Counted in requests."""

import json
import os
import random
import re
import threading

from harness import Load, SerinCase, main, wait_for
from http_client import Connection, format_request
from revert_figures import Revert, read_log

STEP = {"rollout": {"hold": "600s"}}


class VerdictCase(SerinCase):
    def setUp(self):
        super().setUp()
        self.fakes_for_pools()
        self.log = self.path("access.log")
        self.daemon = self.serin({**STEP, "access_log": {"target": "file", "path": self.log}})

    def load(self, threads=4, pause=0.004, **kwargs):
        load = Load(self.daemon.address, threads=threads, pause=pause, target=lambda i: "/shop.php", **kwargs).start()
        self.addCleanup(load.halt.set)
        wait_for(lambda: load.count() > 50, what="traffic")
        return load

    def fail(self, percent, seed=7):  # pylint: disable=arguments-differ
        lock, source = threading.Lock(), random.Random(seed)

        def behave(_):
            with lock:
                return "fatal_200" if source.random() * 100 < percent else "ok"
        self.green.behave = behave

    def recording(self):
        names = sorted(name for name in os.listdir(self.path("state")) if name.startswith("observations-"))
        return self.path("state", names[-1])


class CostTest(VerdictCase):
    """docs/VERDICT.md, Measured: 6, 17 and 8 bad answers; here with room for what was in flight."""

    def bad_answers(self, behaviour_percent):
        lock, source = threading.Lock(), random.Random(behaviour_percent)

        def behave(_):
            with lock:
                return "error" if source.random() * 100 < behaviour_percent else "ok"
        self.green.behave = behave
        load = self.load()
        first = self.daemon.post("/v1/rollout/start", {"release": "bad"})["epoch"]
        status = self.daemon.wait_state("reverted", seconds=90)
        # Every later request goes to stable, and is logged so.
        sent = load.count()
        wait_for(lambda: load.count() > sent + 200, what="traffic after the revert")
        load.stop()
        self.daemon.stop()
        revert = Revert(read_log(self.log), first, status["epoch"], status["reason"])
        self.assertEqual(revert.canary_after, [])
        self.assertGreaterEqual(revert.bad, revert.failures_then)
        self.assertLessEqual(revert.requests - revert.requests_then, 40, "routed before, or soon after, the decision")
        return revert.bad

    def test_a_dead_canary_costs_a_handful(self):
        bad = self.bad_answers(100)
        self.assertTrue(5 <= bad <= 20, bad)

    def test_a_canary_with_20_percent_errors_costs_some_tens(self):
        self.assertLessEqual(self.bad_answers(20), 60)

    def test_a_canary_with_8_percent_errors_costs_some_tens(self):
        self.assertLessEqual(self.bad_answers(8), 150)


class HangTest(VerdictCase):
    def test_a_hanging_canary_goes_before_any_of_its_requests_has_ended(self):
        self.green.behave = lambda request: "hang"
        self.load(threads=40, pause=0.3)
        self.daemon.post("/v1/rollout/start", {"release": "hangs"})
        status = self.daemon.wait_state("reverted", seconds=60)
        self.assertRegex(status["reason"], r"canary requests took longer than 2 s.*still unanswered")
        self.assertEqual(self.daemon.metric_sum("serin_requests_total", role="canary"), 0, "none has ended")
        self.assertEqual(self.daemon.metric_sum("serin_reverts_total", reason="latency"), 1)
        self.green.stop()


class ExplainTest(VerdictCase):
    def test_explain_says_what_against_which_limit_on_both_sides_and_why(self):
        self.fail(100)
        self.load()
        self.daemon.ctl("start", "v42")
        self.daemon.wait_state("reverted")
        text = " ".join(self.daemon.ctl("explain").stdout.split())
        for part in ("Release v42", "reverted at 10 %", "canary (green)", "stable (blue)", "limit", "5 %", "last 1m",
                     "/shop.php", "PHP Fatal error: Uncaught Error: no such method", "status 200"):
            self.assertIn(part, text)
        self.daemon.restart_after_kill()
        self.assertIn("no such method", " ".join(self.daemon.ctl("explain").stdout.split()), "after a crash, too")
        evidence = self.daemon.admin("GET", "/v1/history")[1]["entries"][-2]["evidence"]
        self.assertRegex(evidence, r"canary \(green\) had \d+ of \d+ fail.*stable \(blue\) had 0 of")
        history = self.daemon.ctl("history").stdout
        for word in ("start", "revert", "v42", "serin"):
            self.assertIn(word, history)

    def test_forced_requests_never_revert(self):
        self.fail(100)
        self.daemon.set_weight(1)
        load = self.load(headers=[("X-Serin-Route", "canary")])
        wait_for(lambda: load.count() > 300, what="forced failures")
        load.stop()
        status = self.daemon.status()
        self.assertEqual((status["state"], status["pools"]["green"]["requests"]), ("paused", 0))
        self.assertGreater(self.daemon.metric_sum("serin_requests_total", role="canary"), 300, "but they are metrics")


class LeavingClientTest(VerdictCase):
    """499: no error and no success, unless the pool had failed or the limit was passed by then."""

    def leave(self, behaviour, until):
        self.green.behave = behaviour
        self.daemon.set_weight(100)
        with Connection(self.daemon.address) as connection:
            connection.send(format_request("GET", "/shop.php"))
            until(connection)
        wait_for(lambda: self.daemon.metric_sum("serin_requests_total", code="499") == 1, 10, "the client's leaving")

    def counts(self):
        pool = self.daemon.status()["pools"]["green"]
        return pool["requests"], pool["errors"], pool["slow"]

    def test_before_an_answer_it_says_nothing(self):
        self.leave(lambda request: "hang", lambda connection: wait_for(lambda: self.green.seen))
        self.assertEqual(self.counts(), (0, 0, 0))

    def test_after_the_head_of_a_500_it_is_an_error(self):
        def failed(connection, request):
            connection.send(request.out(b"Status: 500 Oops\r\nContent-Type: text/plain\r\n\r\npart"))
            connection.wait_closed()
        self.leave(lambda request: failed, lambda connection: self.assertIn(b"500", connection.line()))
        wait_for(lambda: self.counts() == (1, 1, 0), 5, "the error")

    def test_after_the_latency_limit_it_is_slow(self):
        self.leave(lambda request: "hang", lambda connection: wait_for(lambda: self.counts()[2] == 1, 10, "slow"))
        self.assertEqual(self.counts(), (0, 0, 1))


class ReplayTest(VerdictCase):
    def test_a_recorded_revert_replays_to_the_same_observation_and_other_limits_say_more(self):
        self.fail(30)
        self.load()
        self.daemon.ctl("start", "v42")
        reason = self.daemon.wait_state("reverted")["reason"]
        decided = int(re.search(r"observation (\d+) decided", reason).group(1))
        self.daemon.stop()  # replay needs no daemon
        same = json.loads(self.daemon.ctl("--json", "replay", self.recording()).stdout)
        self.assertEqual((same["release"], same["whole"]), ("v42", True))
        self.assertEqual(same["recorded"], {"reason": "error_rate", "observation": decided})
        self.assertEqual((same["replayed"]["reason"], same["replayed"]["observation"]), ("error_rate", decided))
        self.assertIn("at the same observation", " ".join(self.daemon.ctl("replay", self.recording()).stdout.split()))

        looser = json.loads(self.daemon.ctl("--json", "replay", self.recording(), "--max-error-rate", "50%").stdout)
        self.assertEqual((looser["recorded"]["observation"], looser["replayed"]), (decided, None))
        self.assertIn("no rule would have ended it", looser["explanation"])
        tighter = json.loads(self.daemon.ctl("--json", "replay", self.recording(), "--max-error-rate=1%", "--window=30s",
                                             "--min-requests", "10", "--set", "rollout.sequential.alpha=20%").stdout)
        self.assertLess(tighter["replayed"]["observation"], decided)

        for wrong, said in ((["--max-p95", "fast"], r"--max-p95: rollout.max_p95 is \"fast\"; expected a duration"),
                            (["--set", "split.key=none"], r"--set split.key: expected a key of \[rollout\]")):
            result = self.daemon.ctl("replay", self.recording(), *wrong, check=False)
            self.assertEqual(result.returncode, 1)
            self.assertRegex(result.stderr, said)


class DeadMansSwitchTest(VerdictCase):
    def test_workers_go_to_stable_while_the_controller_hangs_and_back_when_it_is_there(self):
        """Its disk stops answering: here a pipe without a reader, where the recording should be."""
        pipe = self.path("state", "observations-00001")
        os.mkfifo(pipe)
        load = self.load(threads=2, pause=0.02)

        def canary():
            with self.green._lock:  # pylint: disable=protected-access
                return len(self.green.seen)
        # The call does not return before the controller does.
        starter = threading.Thread(target=lambda: self.daemon.post("/v1/rollout/start", {"release": "v2"}), daemon=True)
        starter.start()
        wait_for(lambda: canary() > 3, 10, "the canary's first requests")
        wait_for(lambda: "has not beaten for 5 s" in self.daemon.process.log_text(), 30, "the switch")
        wait_for(lambda: self.daemon.process.log_text().count("has not beaten for 5 s") == 2, 10, "both workers")
        settled, sent = canary(), load.count()
        wait_for(lambda: load.count() > sent + 150, 30, "traffic meanwhile")
        self.assertLessEqual(canary() - settled, 2, "what was under way")
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        starter.join(20)
        self.assertEqual(self.daemon.status()["weight"]["target"], 0.1)
        back = canary()
        wait_for(lambda: canary() > back + 3, 30, "the canary's requests again")
        self.assertEqual([problem for _, _, problem, _ in load.stop() if problem], [])


if __name__ == "__main__":
    main()
