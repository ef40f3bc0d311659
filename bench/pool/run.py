#!/usr/bin/env python3
"""What a small PHP-FPM gives to many clients: through Serin, in each keep_alive mode and with 1, 2 and 4
workers, and through nginx, with the same PHP-FPM and in the same run. Prints one line per way.

Needs what "deploy/install-packages.sh demo bench" brings, and a release build: SERIN_BIN and SERINCTL_BIN
name its two programs. Everything runs on loopback, in a temporary folder. nginx is measured before and after
each group, and the mean is what the group is compared with: a machine is not equally fast for minutes on end.
"""

import argparse
import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "integration"))
from harness import Nginx, SerinCase, wait_for  # noqa: E402
from http_client import fetch  # noqa: E402

SCRIPTS = {
    "hello": 'echo "hello";',
    "work": 'usleep(5000); echo str_repeat("x", 20000);',
}
LATENCY = re.compile(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s) *$", re.M)
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def measure(address, clients, seconds):
    """-> (requests per second, p50 ms, p99 ms, what went wrong)."""
    text = subprocess.run(["wrk", "-t1", "-c%d" % clients, "-d%ds" % seconds, "--timeout", "30s", "--latency",
                           "http://%s/" % address], capture_output=True, text=True, check=True).stdout
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))
    times = {share: float(value) * UNITS[unit] for share, value, unit in LATENCY.findall(text)}
    trouble = re.findall(r"Non-2xx or 3xx responses: \d+|Socket errors: .*", text)
    return rate, times["50"], times["99"], "; ".join(trouble) or "-"


class PoolBench(SerinCase):
    options = None

    def runTest(self):
        options = self.options
        root = self.script("root", "index.php", SCRIPTS[options.script])
        fpm = self.fpm("blue", root, children=options.children)
        nginx = self.nginx(fpm, root)
        print("%s, %d children, %d clients, %d s each\n%-8s %-10s %10s %8s %9s %9s  %s" % (
            options.script, options.children, options.clients, options.seconds, "workers", "keep_alive",
            "requests/s", "of nginx", "p50 ms", "p99 ms", "trouble"))
        for workers in (1, 2, 4):
            before = self.line("nginx", "", nginx)
            results = [self.serin_line(fpm, mode, workers) for mode in ("off", "busy", "on")]
            after = self.line("nginx", "", nginx)
            for result in (before, *results, after):
                self.show(result, (before[2] + after[2]) / 2)

    def line(self, who, mode, address):
        return (who, mode, *measure(address, self.options.clients, self.options.seconds))

    @staticmethod
    def show(result, nginx):
        who, mode, rate, p50, p99, trouble = result
        print("%-8s %-10s %10.0f %7.0f%% %9.1f %9.1f  %s" % (who, mode, rate, 100 * rate / nginx, p50, p99, trouble),
              flush=True)

    def nginx(self, fpm, root):
        address = "127.0.0.1:%d" % self.port()
        Nginx(self, """server { listen %s backlog=1024; location / {
            include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME %s/index.php;
            fastcgi_pass %s; } }""" % (address, root, fpm.address))
        wait_for(lambda: self.answers(address), 10, "nginx")
        return address

    @staticmethod
    def answers(address):
        try:
            return fetch(address, "/").status == 200
        except OSError:
            return False

    def serin_line(self, fpm, mode, workers):
        name = "%s%d" % (mode, workers)
        daemon = self.serin({
            "server": {"workers": workers}, "listen": [{"address": "127.0.0.1:%d" % self.port()}],
            "pools": {"blue": {"keep_alive": mode, "max_connections": self.options.children, "queue_timeout": "30s"}},
            "admin": {"socket": self.path(name + ".admin")}, "state": {"directory": self.folder(name + "-state")},
        }, name=name, blue=fpm.address, blue_root=fpm.root)
        result = self.line(str(workers), mode, daemon.address)
        daemon.stop()
        return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--script", choices=sorted(SCRIPTS), default="work", help="hello: next to nothing; "
                        "work: 5 ms and 20 KB, the default")
    parser.add_argument("--children", type=int, default=5, help="pm.max_children, and max_connections")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=4, help="for each line")
    PoolBench.options = parser.parse_args()
    result = unittest.TextTestRunner(verbosity=0).run(PoolBench())
    sys.exit(not result.wasSuccessful())


if __name__ == "__main__":
    main()
