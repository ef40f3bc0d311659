#!/usr/bin/env python3
"""Starts a rollout, shows how it goes and waits for its end.

    watch.py --socket admin.sock --stats FILE --until stable [--timeout 90] [--report FILE] COMMAND...

COMMAND starts the rollout, such as: serinctl start v2. One line per change:
state, weight, observed share, errors and p95 of both pools, and the bad
answers that visitors saw since the start.
Exit status 0 when the rollout ended in the state of --until, 1 when it ended
in the other one or not in time. The report is a JSON object:
  {"state": …, "reason": …, "roles": {…}, "requests": …, "bad": …, "seconds": …}
"""

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import time

ENDS = ("stable", "reverted")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("serin", timeout=5)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(5)
        self.sock.connect(self.path)


def status_of(path):
    connection = UnixConnection(path)
    try:
        connection.request("GET", "/v1/status")
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def stats_of(path):
    try:
        with open(path) as file:
            return json.load(file)
    except FileNotFoundError:
        return {"requests": 0, "bad": 0, "first_bad": None, "last_bad": None}


class Screen:
    """Colour on a terminal only; NO_COLOR is obeyed (no-color.org)."""

    def __init__(self):
        self.colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def paint(self, code, text):
        return "\033[%sm%s\033[0m" % (code, text) if self.colour else text

    def head(self):
        print(self.paint("2", "  %6s  %-9s %-24s %8s   %-15s  %-15s  %s" % (
            "time", "state", "canary weight", "observed", "blue err / p95", "green err / p95", "bad answers")))

    def line(self, seconds, status, bad):
        weight, observed = status["weight"]["target"], status["weight"]["observed"]
        bar = "█" * round(weight * 16) + "░" * (16 - round(weight * 16))
        state = status["state"]
        colour = {"reverted": "31;1", "reverting": "31;1", "stable": "32;1", "paused": "33",
                  "holding": "33"}.get(state, "36")
        print("  %5.1fs  %s %s %4.0f %%  %8s   %s  %s  %s" % (
            seconds, self.paint(colour, "%-9s" % state), self.paint(colour, bar), weight * 100,
            "%.1f %%" % (observed * 100) if observed is not None else "–",
            self.pool(status, "blue"), self.pool(status, "green"),
            self.paint("31", str(bad)) if bad else "0"), flush=True)

    def pool(self, status, name):
        pool = status["pools"][name]
        if not pool["requests"]:
            return "%-15s" % "–"
        text = "%-15s" % ("%.1f %% / %.0f ms" % (pool["error_ratio"] * 100, pool["p95_seconds"] * 1000))
        return self.paint("31", text) if pool["error_ratio"] > 0.05 else text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--socket", required=True)
    parser.add_argument("--stats", required=True)
    parser.add_argument("--until", required=True, choices=ENDS)
    parser.add_argument("--timeout", type=float, default=120.0)
    parser.add_argument("--report", help="file for the outcome as JSON")
    parser.add_argument("command", nargs="+", help="what starts the rollout")
    arguments = parser.parse_args()
    screen, began, before = Screen(), time.time(), stats_of(arguments.stats)
    subprocess.run(arguments.command, check=True, stdout=subprocess.DEVNULL)
    screen.head()
    shown, last_line = None, 0.0
    while True:
        status, seconds = status_of(arguments.socket), time.time() - began
        stats = stats_of(arguments.stats)
        mark = (status["state"], status["weight"]["target"])
        if mark != shown or seconds - last_line >= 1.0:
            screen.line(seconds, status, stats["bad"] - before["bad"])
            shown, last_line = mark, seconds
        if status["state"] in ENDS:
            break
        if seconds > arguments.timeout:
            print("  not there after %.0f s; last reason: %s" % (seconds, status["reason"]))
            sys.exit(1)
        time.sleep(0.1)
    time.sleep(0.5)  # the last answers and counts
    after = stats_of(arguments.stats)
    new_bad = after["bad"] - before["bad"]
    if arguments.report:
        with open(arguments.report, "w") as file:
            json.dump({"state": status["state"], "reason": status["reason"], "roles": status["roles"],
                       "requests": after["requests"] - before["requests"], "bad": new_bad,
                       "seconds": round(seconds, 1)}, file)
    sys.exit(0 if status["state"] == arguments.until else 1)


if __name__ == "__main__":
    main()
