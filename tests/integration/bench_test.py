"""The tools of bench/: the responder, the load generator, the floor and the report say what is so."""

import argparse
import json
import os
import shutil
import sys

from harness import SERIN, SerinCase, main, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BENCH = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(SERIN))), "bench")
sys.path.insert(0, os.path.join(ROOT, "bench", "compare"))

# pylint: disable=wrong-import-position
import report  # noqa: E402
from main import Run, Setting  # noqa: E402
from program import Programs  # noqa: E402
from proxies import Floor  # noqa: E402
from scenarios import SCENARIOS, Scenario, Target, lines  # noqa: E402


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

    def compare(self, *options):
        command = [sys.executable, "-B", os.path.join(ROOT, "bench", "compare", "main.py"), "--binaries",
                   os.path.dirname(BENCH), *options]
        return self.command(command).stdout

    def test_the_list_names_each_scenario_and_what_it_varies(self):
        listed = self.compare("--list").splitlines()
        self.assertEqual([line.split()[0] for line in listed], list(SCENARIOS))
        self.assertIn("h1-log       HTTP/1 keep-alive, access log on", listed)

    def test_a_round_with_real_php_fpm_and_one_of_large_uploads(self):
        results = self.path("results.json")
        told = self.compare("php-fpm", "upload-10m", "--proxies", "serin,nginx", "--rounds", "1", "--seconds", "1",
                            "--foreign", "100", "--results", results)
        with open(results, encoding="utf-8") as file:
            measured = json.load(file)
        for name, answered in (("php-fpm", 100), ("upload-10m", 1)):
            for proxy in ("serin", "nginx"):
                [only] = measured[name][proxy]
                self.assertGreater(only["requests"], answered)
                self.assertGreater(only["cpu"], 0)
        self.assertRegex(told, r"\| real PHP-FPM, [^|]+ \| [\d.]+ \| [\d.]+ \| – \| – \| – \| [\d.]+ × nginx \| – \|")

    def test_what_does_not_start_is_told_with_its_log(self):
        programs = Programs(self.path("programs"))
        self.addCleanup(programs.stop)
        with self.assertRaisesRegex(RuntimeError, "^pool has ended with status 3; its log: no room$"):
            programs.run("pool", "0", ["sh", "-c", "echo no room >&2; exit 3"], self.path("nobody.sock"))

    def test_a_proxy_that_dies_under_load_is_told_instead_of_what_the_load_says(self):
        def load(*_):
            run.proxies[0].running[0].process.kill()
            raise RuntimeError("connection refused")
        setting = Setting(os.path.dirname(BENCH))
        self.addCleanup(shutil.rmtree, setting.folder)
        scenario = Scenario("deadly", "a load that kills", load, lines(Floor), (Target(),))
        run = Run(setting, scenario, argparse.Namespace(proxies=None, rounds=1, seconds=1))
        with self.assertRaisesRegex(RuntimeError, "^floor has ended with status -9; its log: empty$"):
            run.results()

    @staticmethod
    def rounds(*micros, **more):
        return [{"cpu": cost / 1e3, "requests": 1000, "per_second": 1, "p50_us": 0, "p99_us": 0, **more} for cost in micros]

    def test_a_ratio_is_between_proxies_of_the_same_round(self):
        results = {"serin": self.rounds(8, 16, 8), "nginx": self.rounds(10, 20, 20), "haproxy": self.rounds(30, 30, 30)}
        self.assertEqual(report.judge(SCENARIOS["h1"], results, Target(0.8)), report.Judged(0.8, "nginx", True))
        self.assertIn("| serin | 8.0 (8.0–16.0) |", report.table(SCENARIOS["h1"], results))
        line = report.summary(SCENARIOS, {"h1": results}).splitlines()[2]
        self.assertIn("| 8.0 | 20.0 | 30.0 | – | – | 0.80 × nginx | ≤ 0.80: met |", line)
        self.assertIn("8.0 µs/request", report.plot(SCENARIOS, {"h1": results}))

    def test_the_summary_judges_each_target_of_a_scenario(self):
        everything = {
            "h1": {"serin": self.rounds(8, calls=4.05), "nginx": self.rounds(9, calls=5.05),
                   "serin, rollout": self.rounds(8.4)},
            "h1-log": {"serin": self.rounds(10, 20), "nginx": self.rounds(12, 24),
                       "serin, access log on": self.rounds(10.5, 21), "nginx, access log on": self.rounds(14, 28)},
            "open-1000": {"serin": self.rounds(60, p99_us=700), "nginx": self.rounds(70, p99_us=650)},
            "idle": {"serin": [{"bytes": 993}], "nginx": [{"bytes": 532}]},
        }
        self.assertEqual(report.summary(SCENARIOS, everything).splitlines()[2:], [
            "| HTTP/1 keep-alive, 64 connections | 8.0 | 9.0 | – | – | – | 0.89 × nginx | ≤ 0.80: **missed** |",
            "| HTTP/1 keep-alive, 64 connections: system calls/request | 4.05 | 5.05 | – | – | – | 4.05 | ≤ 4.20: met |",
            "| HTTP/1 keep-alive, 64 connections, rollout | 8.4 | – | – | – | – | 1.05 × serin | ≤ 1.03: **missed** |",
            "| HTTP/1 keep-alive, access log on | 15.8 | 21.0 | – | – | – | 0.75 × nginx, access log on | ≤ 0.80: met |",
            "| HTTP/1 keep-alive, access log on | 15.8 | 21.0 | – | – | – | 1.05 × serin | ≤ 1.08: met |",
            "| open loop, 1,000 requests/s | 60.0 | 70.0 | – | – | – | 0.86 × nginx | ≤ 0.90: met |",
            "| open loop, 1,000 requests/s: p99 µs | 700 | 650 | – | – | – | 1.08 × nginx | ≤ 1.00: **missed** |",
            "| memory per idle connection, 10,000 of them: KB/connection | 0.97 | 0.52 | – | – | – | 0.97 | ≤ 1.00: met |",
        ])
        self.assertIn("| serin, access log on | 15.8 (10.5–21.0) | 1.05 (1.05–1.05) |",
                      report.table(SCENARIOS["h1-log"], everything["h1-log"]))


if __name__ == "__main__":
    main()
