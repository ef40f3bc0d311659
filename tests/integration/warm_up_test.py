"""No canary begins on a pool that does not answer."""

from harness import SerinCase, main


class WarmUpTest(SerinCase):
    def setUp(self):
        super().setUp()
        self.fakes_for_pools()
        self.daemon = self.serin({"rollout": {"warm_up": 3}, "pools": {"green": {"health_path": "/ping"}}})

    def refused(self, path, body=None):
        code, answer = self.daemon.admin("POST", path, body or {})
        self.assertEqual(code, 503, answer)
        self.assertIn("green does not answer", answer["error"])
        status = self.daemon.status()
        self.assertEqual((status["state"], status["weight"]["target"]), ("stable", 0))
        return answer["error"]

    def test_a_pool_that_answers_is_asked_and_started(self):
        self.daemon.ctl("start", "v2")
        self.assertEqual([request.param("SCRIPT_NAME") for request in self.green.seen], ["/ping"] * 3)
        self.assertEqual(self.daemon.status()["weight"]["target"], 0.1)
        self.daemon.set_weight(20)
        self.daemon.ctl("abort")
        self.assertEqual(len(self.green.seen), 3, "it has weight: nothing to ask")
        self.daemon.ctl("retry")
        self.assertEqual(len(self.green.seen), 6)

    def test_a_pool_that_is_gone_is_not_started(self):
        self.green.stop()
        self.assertIn("Connection refused", self.refused("/v1/rollout/start", {"release": "v2"}))
        self.refused("/v1/weight", {"canary": 10})
        result = self.daemon.ctl("start", "v2", check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("green does not answer /ping", result.stderr)
        self.daemon.ctl("weight", "0")  # nobody is sent there
        self.green.start()
        self.daemon.ctl("start", "v2")

    def test_a_pool_that_hangs_fails_or_says_no_is_not_started(self):
        for fault, why in (("hang", "no answer in 1s"), ("close_head", "closed before the answer"),
                           ("error", "status 500"), ("garbage", "no FastCGI answer")):
            self.green.behave = lambda request, fault=fault: fault
            self.assertIn(why, self.refused("/v1/rollout/start", {"release": "v2"}))
        self.assertEqual(self.daemon.get("/").status, 200)

    def test_undrain_asks_before_the_share_comes_back(self):
        self.daemon.set_weight(50)
        self.daemon.ctl("drain", "green")
        self.green.stop()
        self.assertEqual(self.daemon.admin("POST", "/v1/pool/green/undrain", {})[0], 503)
        self.assertEqual(self.daemon.get("/").status, 200)
        self.green.start()
        self.daemon.ctl("undrain", "green")
        self.assertEqual(self.daemon.status()["pools"]["green"]["state"], "serving")


class NoHealthPathTest(SerinCase):
    def test_a_pool_without_a_health_path_is_not_asked(self):
        self.fakes_for_pools()
        daemon = self.serin()
        daemon.set_weight(20)
        daemon.ctl("abort")
        daemon.ctl("start", "v2")
        self.assertEqual(len(self.green.seen), 0)


class RealPoolTest(SerinCase):
    def test_php_fpm_answers_by_its_ping(self):
        root = self.script("root", "index.php", "echo 'hello';")
        master = self.fpm("green", root, settings={"ping.path": "/ping"})
        for number, (path, code) in enumerate((("/ping", 200), ("", 200), ("/other", 503))):
            daemon = self.serin({"rollout": {"warm_up": 3}, "pools": {"green": {"health_path": path}},
                                 "listen": [{"address": "unix:" + self.path("http-%d.sock" % number)}],
                                 "admin": {"socket": self.path("admin-%d.sock" % number)},
                                 "state": {"directory": self.folder("state-%d" % number)}},
                                green=master.address, green_root=root, name="serin-%d" % number)
            self.assertEqual(daemon.admin("POST", "/v1/rollout/start", {"release": "v2"})[0], code, path)
            daemon.stop()


if __name__ == "__main__":
    main()
