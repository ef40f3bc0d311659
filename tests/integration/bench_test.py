"""The tools of bench/: the responder, the load generator, the floor and the report say what is so."""

import json
import os
import sys

from harness import SERIN, SerinCase, main, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BENCH = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(SERIN))), "bench")
sys.path.insert(0, os.path.join(ROOT, "bench", "compare"))

import report  # noqa: E402  pylint: disable=wrong-import-position
from scenarios import SCENARIOS  # noqa: E402  pylint: disable=wrong-import-position


class BenchTest(SerinCase):
    def responder(self, name, *options):
        address = "unix:" + self.path(name + ".sock")
        self.spawn(name, [os.path.join(BENCH, "responder", "fastcgi_responder"), "--listen", address, *options])
        wait_for(lambda: os.path.exists(self.path(name + ".sock")), what=name)
        return address

    def load(self, port, *options):
        command = [os.path.join(BENCH, "load", "http_load"), "127.0.0.1:%d" % port, "--seconds=0.5", *options]
        return json.loads(self.command(command).stdout)

    def through_serin(self, *options):
        port = self.port()
        self.serin({"listen": [{"address": "127.0.0.1:%d" % port, "protocol": "http"}]},
                   blue=self.responder("fast", *options))
        return port

    def test_the_responder_fails_as_often_as_it_is_told(self):
        done = self.load(self.through_serin("--fail", "25"), "--connections", "1")
        self.assertGreater(done["requests"], 8)
        self.assertEqual(done["errors"], done["requests"] // 4)

    def test_an_open_loop_keeps_its_rate_over_new_connections_too(self):
        port = self.through_serin("--delay", "5", "--size", "100000")
        for options in ((), ("--close",), ("--body=70000",)):
            done = self.load(port, "--rate=100", *options)
            self.assertEqual(done["errors"], 0, done)
            self.assertGreaterEqual(done["requests"], 30)
            self.assertLessEqual(done["requests"], 51)
            self.assertGreater(done["received"], done["requests"] * 100000)
            self.assertGreaterEqual(done["p50_us"], 5000)

    def test_the_floor_moves_the_same_bytes(self):
        port = self.port()
        self.spawn("floor", [os.path.join(BENCH, "load", "proxy_floor"), "--listen", "127.0.0.1:%d" % port, "--pool",
                             self.responder("pool", "--size", "300000")])
        for options in ((), ("--close",), ("--body=65536",)):
            wait_for(lambda options=options: self.load(port, *options)["requests"] > 0, what="the floor")
            done = self.load(port, *options)
            self.assertEqual(done["errors"], 0, done)
            self.assertGreaterEqual(done["received"], done["requests"] * 300000)

    def test_a_ratio_is_between_proxies_of_the_same_round(self):
        def rounds(*micros):
            return [{"cpu": cost / 1e3, "requests": 1000, "per_second": 1, "p50_us": 0, "p99_us": 0} for cost in micros]
        results = {"serin": rounds(8, 16, 8), "nginx": rounds(10, 20, 20), "haproxy": rounds(30, 30, 30)}
        self.assertEqual(report.judged(SCENARIOS["h1"], results), (0.8, "nginx", 0.8))
        self.assertIn("| serin | 8.0 (8.0–16.0) |", report.table(SCENARIOS["h1"], results))
        line = report.summary(SCENARIOS, {"h1": results}).splitlines()[2]
        self.assertIn("| 8.0 | 20.0 | 30.0 | – | – | 0.80 × nginx | ≤ 0.80: met |", line)
        self.assertIn("8.0 µs/request", report.plot(SCENARIOS, {"h1": results}))


if __name__ == "__main__":
    main()
