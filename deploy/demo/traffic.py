#!/usr/bin/env python3
"""Gentle traffic of many visitors for the demo, and what they got.

    traffic.py --url http://127.0.0.1:8080 --stats FILE [--rate 150] [--visitors 400]

Each visitor has a loopback address of its own (127.1.x.y) and keeps the cookies
it is given, so it stays on its side of the split as a browser would. FILE is replaced several times a second:
  {"requests": 1200, "bad": 3, "seconds": 8.1, "releases": {"v1": 1080, "v2": 120}, "first_bad": …, "last_bad": …}
Bad is what a visitor would notice: a status of 500 or above, or no whole answer.
Ends on SIGTERM or SIGINT. Standard library only.
"""

import argparse
import http.client
import json
import os
import random
import signal
import threading
import time
import urllib.parse

PAGES = ("/", "/", "/", "/api/notes", "/health", "/report.php", "/session")


class Visitors:
    def __init__(self, count):
        self.cookies = [{} for _ in range(count)]

    def headers(self, visitor):
        jar = self.cookies[visitor]
        return {"Cookie": "; ".join("%s=%s" % pair for pair in jar.items())} if jar else {}

    def keep(self, visitor, response):
        for line in response.headers.get_all("Set-Cookie") or ():
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[visitor][name] = value


class Statistics:
    def __init__(self, path):
        self.path, self.lock, self.began = path, threading.Lock(), time.time()
        self.requests, self.bad, self.releases = 0, 0, {}
        self.first_bad = self.last_bad = None

    def add(self, bad, release):
        with self.lock:
            self.requests += 1
            if bad:
                self.bad += 1
                self.last_bad = time.time()
                self.first_bad = self.first_bad or self.last_bad
            if release:
                self.releases[release] = self.releases.get(release, 0) + 1

    def write(self):
        with self.lock:
            value = {"requests": self.requests, "bad": self.bad, "seconds": round(time.time() - self.began, 2),
                     "releases": dict(self.releases), "first_bad": self.first_bad, "last_bad": self.last_bad}
        with open(self.path + ".new", "w") as file:
            json.dump(value, file)
        os.replace(self.path + ".new", self.path)


def address_of(visitor):
    return "127.1.%d.%d" % (visitor // 250, visitor % 250 + 1)


def visit(host, port, visitors, statistics, pause, halt):
    due = time.monotonic() + random.random() * pause
    while not halt.wait(max(0.0, due - time.monotonic())):
        due = max(due + pause, time.monotonic() - 1)
        visitor = random.randrange(len(visitors.cookies))
        bad, release = True, None
        connection = http.client.HTTPConnection(host, port, timeout=15, source_address=(address_of(visitor), 0))
        try:
            write = random.random() < 0.05
            connection.request("POST" if write else "GET", "/api/notes" if write else random.choice(PAGES),
                               json.dumps({"body": "a line of visitor %d" % visitor}) if write else None,
                               visitors.headers(visitor))
            response = connection.getresponse()
            response.read()
            visitors.keep(visitor, response)
            bad, release = response.status >= 500, response.headers.get("X-Release")
        except (OSError, http.client.HTTPException):
            if halt.is_set():
                return
        finally:
            connection.close()
        statistics.add(bad, release)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--stats", required=True)
    parser.add_argument("--rate", type=float, default=150.0, help="requests per second")
    parser.add_argument("--visitors", type=int, default=2000)
    arguments = parser.parse_args()
    url = urllib.parse.urlsplit(arguments.url)
    visitors, statistics, halt, threads = Visitors(arguments.visitors), Statistics(arguments.stats), threading.Event(), 6
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: halt.set())
    for _ in range(threads):
        threading.Thread(target=visit, daemon=True, args=(url.hostname, url.port, visitors, statistics,
                                                          threads / arguments.rate, halt)).start()
    while not halt.wait(0.2):
        statistics.write()
    statistics.write()


if __name__ == "__main__":
    main()
