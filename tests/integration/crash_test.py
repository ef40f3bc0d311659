"""kill -9 at bad moments: the journal decides what the next start does."""

import os
import time

from harness import Load, SerinCase, main, wait_for

PLAN = {"rollout": {"steps": ["10%", "50%", "100%"], "hold": "2s", "window": "20s", "min_requests": 60,
                    "min_step_requests": 20}}


class CrashTest(SerinCase):
    def setUp(self):
        super().setUp()
        self.fakes_for_pools()
        self.daemon = self.serin(PLAN)

    def load(self):
        load = Load(self.daemon.address, threads=3, pause=0.004).start()
        self.addCleanup(load.halt.set)
        return load

    def test_it_comes_back_at_the_step_it_was_in(self):
        self.load()
        self.daemon.ctl("start", "v2")
        before = wait_for(lambda: (lambda s: s if s["weight"]["target"] == 0.5 else None)(self.daemon.status()))
        self.daemon.restart_after_kill()
        after = self.daemon.status()
        for key in ("release", "step", "steps", "roles"):
            self.assertEqual(after[key], before[key], key)
        self.assertEqual(after["weight"]["target"], 0.5)
        self.assertIn(after["state"], ("stepping", "holding"))
        self.assertLessEqual(after["hold_remaining_seconds"], 2.0)
        # And it goes on from there to the end.
        wait_for(lambda: self.daemon.status()["roles"]["stable"] == "green", 40, "the swap")

    def test_it_comes_back_reverted_right_after_a_revert(self):
        self.green.behave = lambda request: "error"
        self.load()
        self.daemon.ctl("start", "v2")
        # As tight as can be: the kill must come right after.
        wait_for(lambda: self.daemon.state() == "reverted", 20, "the revert", interval=0)
        self.daemon.restart_after_kill()
        status = self.daemon.status()
        self.assertEqual((status["state"], status["weight"]["target"]), ("reverted", 0))
        before = len(self.green.seen)
        self.assertEqual({self.daemon.get("/").status for _ in range(50)}, {200})
        self.assertEqual(len(self.green.seen), before)

    def test_it_never_brings_back_a_weight_that_an_abort_removed(self):
        for _ in range(5):
            self.daemon.post("/v1/rollout/start", {"release": "v2"})
            self.daemon.set_weight(70)
            self.daemon.post("/v1/rollout/abort")
            self.daemon.restart_after_kill()
            self.assertEqual(self.daemon.status()["weight"]["target"], 0)

    def test_pause_and_manual_weight_survive(self):
        self.daemon.ctl("start", "v2")
        self.daemon.set_weight(33)
        self.daemon.restart_after_kill()
        status = self.daemon.status()
        self.assertEqual((status["state"], status["weight"]["target"]), ("paused", 0.33))

    def test_swapped_roles_survive(self):
        self.load()
        self.daemon.ctl("start", "v2")
        wait_for(lambda: self.daemon.status()["roles"]["stable"] == "green", 60, "the swap")
        self.daemon.restart_after_kill()
        status = self.daemon.status()
        self.assertEqual((status["state"], status["roles"]), ("stable", {"stable": "green", "canary": "blue"}))

    def test_an_unreadable_journal_means_stable(self):
        self.daemon.ctl("start", "v2")
        self.daemon.set_weight(60)
        self.daemon.kill()
        for folder, _, files in os.walk(self.path("state")):
            for name in files:
                with open(os.path.join(folder, name), "r+b") as file:
                    size = os.path.getsize(file.name)
                    file.write(b"\xFF\x00garbage" * (size // 9 + 1))
        self.daemon.start()
        self.assertEqual(self.daemon.status()["weight"]["target"], 0)
        self.assertEqual({self.daemon.get("/").status for _ in range(20)}, {200})
        self.assertEqual(len(self.green.seen), 0)

    def test_a_journal_cut_short_keeps_what_was_whole(self):
        self.daemon.ctl("start", "v2")
        self.daemon.set_weight(60)
        self.daemon.set_weight(61)
        self.daemon.kill()
        names = [os.path.join(f, n) for f, _, files in os.walk(self.path("state")) for n in files]
        newest = max(names, key=os.path.getsize)
        os.truncate(newest, os.path.getsize(newest) - 7)
        self.daemon.start()
        self.assertIn(self.daemon.status()["weight"]["target"], (0, 0.6, 0.61))

    def test_sockets_left_by_a_killed_daemon_are_taken_over(self):
        self.daemon.kill()
        self.assertTrue(os.path.exists(self.path("http.sock")))
        self.daemon.start()
        self.assertEqual(self.daemon.get("/").status, 200)

    def test_a_second_daemon_does_not_steal_a_running_ones_state(self):
        second = self.serin({"listen": [{"address": "unix:" + self.path("b.sock"), "protocol": "http"}],
                             "admin": {"socket": self.path("b-admin.sock")}}, start=False, name="second")
        second.start(wait=False)
        self.assertNotEqual(second.process.wait(10), 0)
        self.assertEqual(self.daemon.get("/").status, 200)

    def test_killed_under_load_it_answers_again_at_once(self):
        load = self.load()
        wait_for(lambda: load.count() > 50)
        began = time.monotonic()
        self.daemon.restart_after_kill()
        self.assertEqual(self.daemon.get("/").status, 200)
        self.assertLess(time.monotonic() - began, 10)


if __name__ == "__main__":
    main()
