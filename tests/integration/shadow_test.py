"""Shadow: the canary is judged by copies of requests before it has a user."""

import re

from harness import Load, SerinCase, main, wait_for


class ShadowCase(SerinCase):
    rollout = {}
    over = {}
    shadow = {"share": "100%", "hold": "0s"}

    def setUp(self):
        super().setUp()
        self.fakes_for_pools()
        self.daemon = self.serin({
            "server": {"pool_header": "X-Serin-Pool", "workers": 2},
            # A busy machine is slow in both pools.
            "rollout": {"hold": "10m", "min_step_requests": 100000, "max_p95": "30s", **self.rollout},
            "shadow": self.shadow, **self.over})

    def start(self):
        self.daemon.ctl("start", "v2")

    def check_users(self, results):
        """Everybody was answered, by stable."""
        self.assertEqual({(response.status, response.header("X-Serin-Pool")) if response else problem
                          for _, response, problem, _ in results}, {(200, "blue")})
        self.assertEqual(self.daemon.metric_sum("serin_requests_total", pool="green"), 0)

    def codes(self):
        """What the canary said to copies."""
        return set(re.findall(r'^serin_shadow_requests_total{code="(\d+)"}', "\n".join(self.daemon.metrics()), re.M))


class RevertCase(ShadowCase):
    def revert_under_load(self):
        self.start()
        with Load(self.daemon.address) as load:
            self.daemon.wait_state("reverted", seconds=60)
            results = load.stop()
        self.check_users(results)
        return results


class ErrorsTest(RevertCase):
    def test_a_broken_release_is_reverted_before_its_first_user(self):
        self.green.behave = lambda request: "error"
        self.revert_under_load()
        self.assertEqual(self.codes(), {"500"})
        self.assertEqual(self.daemon.metric_sum("serin_reverts_total", reason="error_rate"), 1)
        self.assertEqual(self.daemon.metric_sum("serin_rescued_requests_total"), 0)
        self.assertIn("reverted while shadowing, before its first user", self.daemon.ctl("history").stdout)
        self.assertIn("shadowing", self.daemon.ctl("explain").stdout)

    def test_a_pool_that_breaks_off_is_reverted(self):
        self.green.behave = lambda request: "close_head"
        self.revert_under_load()
        self.assertEqual(self.codes(), {"000"})


class HangTest(RevertCase):
    rollout = {"max_p95": "1s", "on_common_cause": "revert"}

    def test_a_canary_that_hangs_holds_nobody_back(self):
        self.green.behave = lambda request: "hang"
        results = self.revert_under_load()
        self.assertEqual(self.daemon.metric_sum("serin_reverts_total", reason="latency"), 1)
        self.assertLessEqual(len(self.green.seen), 2 * 16, "of each worker")
        self.assertGreater(len(results), len(self.green.seen))
        self.assertGreater(self.daemon.metric_sum("serin_shadow_skipped_total"), 0)


class CopyTest(ShadowCase):
    over = {"server": {"pool_header": "X-Serin-Pool", "workers": 1},
            "split": {"key": "none", "pin": [{"path": "/pinned"}]}}

    def ask(self, method, target, **kwargs):
        response = self.daemon.get(target, method=method, **kwargs)
        self.assertEqual((response.status, response.header("X-Serin-Pool")), (200, "blue"))

    def check_copied(self, method, target):
        self.ask(method, target)
        wait_for(lambda: target in self.paths(), 20, "a copy of " + target)

    def check_not_copied(self, method, target, **kwargs):
        self.ask(method, target, **kwargs)
        self.check_copied("GET", "/mark-after" + target)
        self.assertNotIn(target, self.paths())

    def paths(self):
        return [request.param("REQUEST_URI") for request in list(self.green.seen)]

    def test_get_and_head_are_copied_and_say_so(self):
        self.start()
        for method, target in (("GET", "/one?a=b"), ("HEAD", "/two")):
            self.check_copied(method, target)
        self.assertEqual([(request.param("REQUEST_METHOD"), request.param("SERIN_SHADOW"))
                          for request in self.green.seen], [("GET", "1"), ("HEAD", "1")])
        self.assertIsNone(self.blue.seen[0].param("SERIN_SHADOW"))

    def test_what_might_make_a_difference_is_not(self):
        self.start()
        self.check_not_copied("POST", "/two", body=b"a=1")
        self.check_not_copied("GET", "/three", body=b"a=1")
        self.check_not_copied("GET", "/pinned/4")
        self.check_not_copied("DELETE", "/five")
        self.check_not_copied("GET", "/six", headers=[("X-Serin-Route", "stable")])
        self.green.reset_counts()
        self.assertEqual(self.daemon.get("/", headers=[("X-Serin-Route", "canary")]).header("X-Serin-Pool"), "green")
        self.assertIsNone(self.green.seen[0].param("SERIN_SHADOW"), "a tester's own request")

    def test_commands_restart_and_the_end(self):
        self.start()
        self.daemon.restart_after_kill()
        status = self.daemon.status()
        self.assertEqual((status["state"], status["step"], status["weight"]["target"]), ("stepping", 0, 0))
        self.assertIn("shadowing", status["reason"])
        self.check_copied("GET", "/after")
        self.daemon.ctl("pause")
        self.daemon.ctl("resume")
        self.assertEqual(self.daemon.state(), "stepping")
        self.daemon.ctl("drain", "green")
        seen = len(self.green.seen)
        self.assertEqual(self.daemon.get("/drained").status, 200)
        self.daemon.ctl("undrain", "green")
        self.check_copied("GET", "/undrained")
        self.assertNotIn("/drained", self.paths()[seen:])
        self.daemon.ctl("promote")
        status = self.daemon.status()
        self.assertEqual((status["step"], status["weight"]["target"]), (1, 0.1))
        for _ in range(20):
            self.daemon.get("/step")
        steps = [request for request in list(self.green.seen) if request.param("REQUEST_URI") == "/step"]
        self.assertEqual([request.param("SERIN_SHADOW") for request in steps], [None, None], "10 %, and no copies")
        self.daemon.ctl("abort")
        self.assertEqual(self.daemon.state(), "reverted")


class GoodTest(ShadowCase):
    rollout = {"min_step_requests": 30}

    def test_a_good_release_goes_on_to_step_one(self):
        self.start()
        self.assertEqual(self.daemon.status()["weight"]["target"], 0)
        with Load(self.daemon.address, pause=0.01) as load:
            wait_for(lambda: self.daemon.status()["weight"]["target"] > 0, 60, "the first step")
            load.stop()
        self.assertEqual(self.daemon.status()["step"], 1)
        self.assertGreaterEqual(self.daemon.metric_sum("serin_shadow_requests_total", code="200"), 30)
        self.assertIn("shadowing held for", self.daemon.ctl("history").stdout)


class OffTest(ShadowCase):
    shadow = {}

    def test_off_there_is_no_copy_and_the_first_step_is_first(self):
        self.start()
        self.assertEqual(self.daemon.status()["weight"]["target"], 0.1)
        for _ in range(100):
            self.daemon.get("/")
        self.assertEqual((len(self.blue.seen), len(self.green.seen)), (90, 10))
        self.assertTrue(all(request.param("SERIN_SHADOW") is None for request in self.green.seen))
        self.assertEqual((self.codes(), self.daemon.metric_sum("serin_shadow_skipped_total")), (set(), 0))


if __name__ == "__main__":
    main()
