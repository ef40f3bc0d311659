#!/usr/bin/env python3
"""What bench/verdict simulates, on the real thing: a daemon between a load and two backends.

Stable is bench/responder; the canary is tests/integration/fake_fpm.py, failing at random. 1000
requests/s over loopback, 10 % of them the canary's, limits as they are by default. Prints for each
failure rate the bad answers until the revert (without and with [rescue]), and the time from the
answer that decided to the first request that went to stable; then how long a canary that hangs,
and one that is gone, is kept.

    bench/verdict/live.py [--rounds 20] [--seed 1] [--build .build/release]
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import threading
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/integration"))

options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("--rounds", type=int, default=20, help="reverts at each failure rate")
options.add_argument("--seed", type=int, default=1, help="of the failures")
options.add_argument("--build", default=os.path.join(ROOT, ".build/release"), help="folder of the binaries")
chosen = options.parse_args()
os.environ["SERIN_BIN"] = os.path.join(chosen.build, "proxy/serin")
os.environ["SERINCTL_BIN"] = os.path.join(chosen.build, "proxy/serinctl")

from harness import SERIN, SerinCase, wait_for  # noqa: E402 - it reads the environment
from revert_figures import Revert, read_log  # noqa: E402

RATE = 1000


def middle(values, form="%.0f"):
    """The median, and the worst behind it."""
    known = [value for value in values if value is not None]
    return (form + " / " + form) % (statistics.median(known), max(known)) if known else "-"


class Live(SerinCase):
    def setUp(self):
        super().setUp()
        blue = "unix:" + self.path("blue.sock")
        self.spawn("responder", [os.path.join(chosen.build, "bench/responder/fastcgi_responder"), "--listen", blue])
        wait_for(lambda: os.path.exists(self.path("blue.sock")), 10, "the responder")
        self.green = self.fake("green")
        self.log = self.path("access.log")
        self.port_in = self.port()
        self.daemon = self.serin({"listen": [{"address": "127.0.0.1:%d" % self.port_in, "protocol": "http"}],
                                  "access_log": {"target": "file", "path": self.log}}, blue=blue)

    def traffic(self, rate):
        """So many requests a second, whether answers come or not."""
        load = self.spawn("load", [os.path.join(chosen.build, "bench/load/http_load"), "127.0.0.1:%d" % self.port_in,
                                   "--path", "/index.php", "--connections", "200", "--rate", str(rate),
                                   "--seconds", "3600"])
        self.rate = rate
        return load

    def revert(self):
        """Starts a rollout and waits until it is reverted; -> (epoch it began with, status, seconds)."""
        # Until the daemon knows the rate (anew, after a rollout): the thresholds follow from it.
        seen = self.daemon.metric_sum("serin_requests_total")
        wait_for(lambda: self.daemon.metric_sum("serin_requests_total") > seen + 2 * self.rate, 30, "traffic")
        os.truncate(self.log, 0)
        began = time.monotonic()
        first = self.daemon.post("/v1/rollout/start", {"release": "live"})["epoch"]
        self.daemon.wait_state("reverted", seconds=290)
        took = time.monotonic() - began
        status = self.daemon.status()
        wait_for(lambda: any(line["epoch"] == status["epoch"] for line in read_log(self.log)), 5, "the log")
        time.sleep(0.3)  # the other worker's lines: flushed every 250 ms
        return first, status, took

    def rescue(self, enabled):
        self.daemon.write_config({**self.daemon.config, "rescue": {"enabled": enabled}})
        self.daemon.post("/v1/reload")

    def rounds(self, percent, source, rescue=False):
        self.rescue(rescue)
        lock = threading.Lock()

        def behave(_):
            with lock:
                return "error" if source.random() * 100 < percent else "ok"
        self.green.behave = behave
        reverts = []
        for _ in range(chosen.rounds):
            first, status, _ = self.revert()
            revert = Revert(read_log(self.log), first, status["epoch"], status["reason"])
            self.assertEqual(revert.canary_after, [], "nothing is sent to a reverted canary")
            reverts.append(revert)
        print("%5.0f %% %-7s | %14s | %15s | %13s | %17s | %17s" % (
            percent, "rescued" if rescue else "", middle([r.bad for r in reverts]), middle([r.requests for r in reverts]),
            middle([r.seconds for r in reverts], "%.2f"), middle([r.to_stable for r in reverts], "%.1f"),
            middle([r.last_old for r in reverts], "%.1f")), flush=True)

    def runTest(self):
        source = random.Random(chosen.seed)
        print("%d reverts each at %d requests/s and 10 %%, seed %d: median / worst\n" % (
            chosen.rounds, RATE, chosen.seed))
        print("  fails         | bad answers    | canary requests | seconds       | first to stable   | last to canary's")
        print("                |                |                 |               | ms after deciding | split, ms after",
              flush=True)
        load = self.traffic(RATE)
        for percent in (100, 20, 8):
            self.rounds(percent, source)
        self.rounds(100, source, rescue=True)
        load.stop()
        load = self.traffic(100)
        self.green.behave = lambda request: "hang"
        _, status, took = self.revert()
        print("\nhangs, 10 canary requests/s: reverted after %.2f s\n  %s" % (took, status["reason"]))
        self.green.stop()
        _, status, took = self.revert()
        print("is gone, 10 canary requests/s: reverted after %.2f s\n  %s" % (took, status["reason"]))
        load.stop()


if __name__ == "__main__":
    print("on %d cores, %s" % (os.cpu_count(), subprocess.run([SERIN, "--version"], check=True,
                                                              capture_output=True, text=True).stdout.strip()))
    result = unittest.TextTestRunner(verbosity=0, stream=open(os.devnull, "w")).run(Live())
    for _, trouble in result.failures + result.errors:
        print(trouble, file=sys.stderr)
    sys.exit(0 if result.wasSuccessful() else 1)
