"""Whole rollouts against real PHP-FPM: promoted, swapped, reverted for each reason."""

import json
import os
import signal
import time

from harness import Load, SerinCase, main, wait_for
from http_client import fetch

FAST = {"rollout": {"steps": ["10%", "25%", "50%", "75%", "100%"], "hold": "1s", "window": "20s",
                    "min_requests": 60, "min_step_requests": 30}}


class RolloutCase(SerinCase):
    """Two FPM masters with the demo application's releases and a steady load."""

    over = FAST

    def setUp(self):
        super().setUp()
        self.storage = {"DEMO_STORAGE": self.folder("storage")}
        self.masters = {pool: self.master(pool, "v1", self.storage) for pool in ("blue", "green")}
        self.daemon = self.serin(self.over, blue=self.masters["blue"].address, green=self.masters["green"].address,
                                 blue_root=self.masters["blue"].root, green_root=self.masters["green"].root)

    def master(self, pool, release, environment):
        return self.fpm(pool, self.release(release, "srv/" + pool), environment=environment, children=12)

    def deploy(self, pool, release, environment=None):
        """What an operator does: stop the idle master, point the root at the release, start again."""
        self.assertEqual(self.daemon.status()["roles"]["canary"], pool)
        self.assertEqual(self.masters[pool].stop(signal.SIGQUIT), 0)
        self.masters[pool] = self.master(pool, release, dict(self.storage, **(environment or {})))

    def load(self, threads=3, pause=0.004, target=lambda i: "/health"):
        load = Load(self.daemon.address, threads=threads, pause=pause, target=target).start()
        self.addCleanup(load.halt.set)
        return load

    def releases(self, count=20):
        return {json.loads(self.daemon.get("/health").text)["release"] for _ in range(count)}

    def events(self):
        code, history = self.daemon.admin("GET", "/v1/history")
        self.assertEqual(code, 200, history)
        return history["entries"] if isinstance(history, dict) else history

    def bad(self, results):
        return [(number, problem or response.status) for number, response, problem, _ in results
                if problem or response.status >= 500 or not response.complete]


class PromoteTest(RolloutCase):
    def test_a_whole_plan_ends_in_a_swap_and_the_next_goes_the_other_way(self):
        load = self.load()
        for pool, release, other in (("green", "v2", "blue"), ("blue", "v1", "green")):
            before = self.daemon.status()
            self.assertEqual(before["roles"], {"stable": other, "canary": pool})
            self.deploy(pool, release)
            self.daemon.ctl("start", release)
            weights, deadline = set(), time.monotonic() + 60
            while self.daemon.state() != "stable" or not weights:
                status = self.daemon.status()
                weights.add(round(status["weight"]["target"] * 100))
                self.assertLess(time.monotonic(), deadline, status)
                self.assertIn(status["state"], ("stable", "stepping", "holding", "baking"), status)
                time.sleep(0.05)
            self.assertTrue({10, 25, 50, 75, 100} <= weights, weights)
            after = self.daemon.status()
            self.assertEqual(after["roles"], {"stable": pool, "canary": other})
            self.assertEqual(after["weight"]["target"], 0)
            self.assertEqual(self.releases(), {release})
        results = load.stop()
        self.assertEqual(self.bad(results), [])
        self.assertGreater(len(results), 500)

    def test_the_release_root_is_resolved_when_a_rollout_starts(self):
        """The pool's symlink moved: PHP must get the new release's real path, not the old one's."""
        self.deploy("green", "v2")
        self.daemon.ctl("start", "v2")
        self.daemon.set_weight(100)
        self.assertEqual(self.releases(), {"v2"})


class RevertTest(RolloutCase):
    def start_and_wait_for_revert(self, release, seconds=30.0):
        self.daemon.ctl("start", release)
        status = self.daemon.wait_state("reverted", seconds=seconds)
        self.assertEqual(status["weight"]["target"], 0)
        self.assertTrue(status["reason"])
        self.assertEqual(self.releases(), {"v1"})
        shown = self.daemon.ctl("status").stdout
        self.assertIn("reverted", shown)
        self.assertIn(status["reason"], " ".join(shown.split()))
        self.assertIn("revert", json.dumps(self.events()))
        return status

    def test_a_canary_with_20_percent_errors_is_reverted(self):
        self.deploy("green", "v3-broken", {"DEMO_ERROR_PERCENT": "20"})
        load = self.load()
        status = self.start_and_wait_for_revert("v3-broken")
        self.assertRegex(status["reason"], r"failed.*5 %")
        results = load.stop()
        bad = self.bad(results)
        self.assertTrue(bad)
        self.assertEqual({what for _, what in bad}, {500}, "only the release's own errors")
        self.assertLess(len(bad), len(results) * 0.05)
        self.assertGreaterEqual(self.daemon.metric_sum("serin_reverts_total"), 1)

    def test_a_canary_that_sleeps_3_seconds_is_reverted(self):
        self.deploy("green", "v3-broken", {"DEMO_ERROR_PERCENT": "0.001", "DEMO_SLEEP_MS": "3000"})
        load = self.load(threads=16)
        status = self.start_and_wait_for_revert("v3-broken", seconds=60.0)
        self.assertRegex(status["reason"], r"took longer than 2 s.*5 %")
        self.assertEqual(self.bad(load.stop()), [], "slow is not broken: all are answered")

    def test_a_canary_whose_php_fpm_is_stopped_is_reverted(self):
        load = self.load()
        self.daemon.ctl("start", "v2")
        wait_for(lambda: self.daemon.status()["weight"]["target"] > 0)
        self.masters["green"].stop(signal.SIGQUIT)
        status = self.daemon.wait_state("reverted", seconds=30)
        self.assertEqual(status["weight"]["target"], 0)
        self.assertTrue(status["reason"])
        results = load.stop()
        self.assertLessEqual({what for _, what in self.bad(results)}, {502, 503})
        self.assertEqual(self.releases(), {"v1"})

    def test_the_guard_reverts_a_manual_weight_too(self):
        self.deploy("green", "v3-broken", {"DEMO_ERROR_PERCENT": "50"})
        load = self.load()
        self.daemon.ctl("start", "v3-broken")
        self.daemon.set_weight(30)
        self.assertEqual(self.daemon.wait_state("reverted")["weight"]["target"], 0)
        load.stop()

    def test_serinctl_start_and_wait_fails_when_the_rollout_is_reverted(self):
        self.deploy("green", "v3-broken", {"DEMO_ERROR_PERCENT": "60"})
        load = self.load()
        result = self.daemon.ctl("start", "v3-broken", "--wait", check=False, timeout=60)
        self.assertNotEqual(result.returncode, 0, result.stdout)
        load.stop()


class OneClientTest(SerinCase):
    def test_one_client_on_a_broken_page_reverts_nothing(self):
        """A crawler in a loop fails a lot, and everybody else is fine."""
        self.fakes_for_pools()
        daemon = self.serin({**FAST, "rollout": dict(FAST["rollout"], hold="600s")})
        daemon.ctl("start", "v2")
        daemon.set_weight(50)
        # The crawler is busy, but not most of the traffic: who is, is not one client among many.
        others = Load(daemon.address, threads=4, pause=0.004).start()
        wait_for(lambda: others.count() > 100)
        crawler = Load(daemon.address, threads=1, pause=0.01, target=lambda i: "/?fault=error",
                       headers=[("X-Forwarded-For", "192.0.2.66")]).start()
        wait_for(lambda: crawler.count() > 300 and others.count() > 1000, 30)
        status = daemon.status()
        self.assertEqual((status["state"], status["weight"]["target"]), ("paused", 0.5), status["reason"])
        crawler.stop()
        others.stop()


class OperatorTest(RolloutCase):
    over = {"rollout": dict(FAST["rollout"], hold="600s")}

    def test_pause_resume_promote_abort(self):
        load = self.load()
        self.daemon.ctl("start", "v2")
        self.assertEqual(wait_for(lambda: self.daemon.status()["weight"]["target"]), 0.1)
        self.daemon.ctl("pause")
        self.daemon.ctl("pause")  # idempotent
        self.assertEqual(self.daemon.state(), "paused")
        self.assertEqual(self.daemon.status()["weight"]["target"], 0.1)
        self.daemon.ctl("resume")
        self.assertIn(self.daemon.state(), ("stepping", "holding"))
        self.daemon.ctl("promote")
        self.assertEqual(self.daemon.status()["weight"]["target"], 0.25)
        self.daemon.ctl("abort")
        self.daemon.ctl("abort")
        status = self.daemon.wait_state("reverted", "stable")
        self.assertEqual(status["weight"]["target"], 0)
        self.assertEqual(status["roles"]["stable"], "blue")
        self.assertEqual(self.releases(), {"v1"})
        self.assertEqual(self.bad(load.stop()), [])

    def test_full_promotion_swaps_the_roles_at_once(self):
        self.deploy("green", "v2")
        self.daemon.ctl("start", "v2")
        self.daemon.ctl("promote", "--full")
        status = self.daemon.status()
        self.assertEqual((status["state"], status["roles"]["stable"], status["weight"]["target"]), ("stable", "green", 0))
        self.assertEqual(self.releases(), {"v2"})

    def test_undo_goes_back_to_the_release_before(self):
        self.deploy("green", "v2")
        self.daemon.ctl("start", "v2")
        self.daemon.ctl("promote", "--full")
        self.daemon.ctl("undo")
        self.assertEqual(self.daemon.status()["roles"]["stable"], "blue")
        self.assertEqual(self.releases(), {"v1"})

    def test_a_manual_weight_pauses_the_plan(self):
        self.daemon.ctl("start", "v2")
        self.daemon.set_weight(40)
        status = self.daemon.status()
        self.assertEqual((status["state"], status["weight"]["target"]), ("paused", 0.4))

    def test_without_traffic_nothing_is_promoted(self):
        self.daemon.stop()
        self.daemon.write_config({**self.daemon.config,
                                  "rollout": dict(self.daemon.config["rollout"], hold="1s")})
        self.daemon.start()
        self.daemon.ctl("start", "v2")
        status = self.daemon.wait_state("holding", seconds=20)
        time.sleep(2.5)  # longer than two holds: it must still be there
        self.assertEqual(self.daemon.status()["weight"]["target"], 0.1)
        self.assertTrue(status["reason"])


if __name__ == "__main__":
    main()
