"""bench/run.sh's programme: rounds of load on each proxy in turn, CPU time per request, a table and a plot."""

import argparse
import collections
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import measure
import report
from scenarios import SCENARIOS

IDLE_CONNECTIONS = 10000  # lighttpd takes no more: half of the 20,000 descriptors that a process may have at times
WARM_CONNECTIONS = 64     # of them, whose memory is not counted
REPEATS = 3  # of a round that others disturbed; after that it counts


class Setting:
    """Where things are: folder, certificates, programs."""

    def __init__(self, binaries):
        self.binaries = os.path.abspath(binaries)
        self.folder = tempfile.mkdtemp(prefix="serin-bench-")
        self.root = os.path.join(self.folder, "root")
        os.mkdir(self.root)
        with open(os.path.join(self.root, "index.php"), "w", encoding="ascii") as script:
            script.write("<?php echo str_repeat('x', 150);\n")
        self.certificate, self.key, self.both = (os.path.join(self.folder, n) for n in ("c.pem", "k.pem", "both.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                        "2", "-subj", "/CN=localhost", "-keyout", self.key, "-out", self.certificate],
                       check=True, capture_output=True)
        with open(self.both, "w", encoding="ascii") as both:
            both.write(measure.read(self.certificate) + measure.read(self.key))

    def binary(self, name):
        return os.path.join(self.binaries, name)


class Run:
    """One scenario: its pools, and a proxy for each of its lines."""

    def __init__(self, setting, scenario, options):
        self.setting, self.scenario, self.options = setting, scenario, options
        self.pools = scenario.pools(setting, scenario)
        self.proxies = [line.kind(setting, self.pools, line) for line in scenario.lines
                        if not options.proxies or report.base_and_variant(line.name)[0] in options.proxies]
        self.at = "start"  # or the name of the line that is measured: for errors

    def results(self):
        """-> for each line, by name, what was measured in each round."""
        results = {proxy.line.name: [] for proxy in self.proxies}
        parts = [self.pools, *self.proxies]
        try:
            for part in parts:
                part.start()
            for proxy, measured in self.measure():
                results[proxy.line.name].append(measured)
            return results
        except (OSError, RuntimeError) as error:
            tell_of_the_dead(parts)
            raise RuntimeError("%s, %s: %s" % (self.scenario.name, self.at, error)) from error
        finally:
            for part in reversed(parts):
                part.stop()

    def measure(self):
        if not self.scenario.load:
            for proxy in self.proxies:
                self.at = proxy.line.name
                yield proxy, idle_memory(proxy)
            return
        for proxy in self.proxies:
            self.load(proxy, 1)  # warm
        turns = collections.deque(self.proxies)
        for left in reversed(range(self.options.rounds)):
            for proxy in turns:
                measured = self.one_round(proxy)
                if self.scenario.system_calls and left == 0:
                    measured["calls"] = self.count_calls(proxy)
                yield proxy, measured
            turns.rotate(-1)

    def load(self, proxy, seconds):
        self.at = proxy.line.name
        load = proxy.line.load or self.scenario.load
        return load(self.setting, self.scenario.load_cores, proxy.url(self.scenario.protocol), seconds)

    def one_round(self, proxy):
        for _ in range(REPEATS):
            with measure.Window(proxy.pids(), self.pools.pids()) as window:
                result = self.load(proxy, self.options.seconds)
            if window.foreign <= self.options.foreign / 100:
                break
            print("  %s: others used %.0f %% of the machine" % (proxy.line.name, window.foreign * 100), file=sys.stderr)
        return {"cpu": window.cpu, "requests": result.requests, "per_second": result.requests / result.seconds,
                "p50_us": result.p50_us, "p99_us": result.p99_us, "foreign": window.foreign}

    def count_calls(self, proxy):
        seen = []
        calls = measure.system_calls(proxy.pids(), lambda: seen.append(self.load(proxy, min(self.options.seconds, 2))))
        return calls / seen[0].requests if calls else None


def tell_of_the_dead(parts):
    """Raises what a program that ended had to say, if one did: connections break a moment before that."""
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        for part in parts:
            part.check()
        time.sleep(0.02)


def idle_memory(proxy):
    """-> anonymous memory of the proxy per connection that has had one request and waits."""
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

    def connect():
        client = socket.create_connection(("127.0.0.1", proxy.ports["http"]), timeout=10)
        client.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received or b"x" * 150 not in received:
            more = client.recv(65536)
            if not more:
                raise RuntimeError("a connection is closed after %r" % received)
            received += more
        return client
    clients = [connect() for _ in range(WARM_CONNECTIONS)]
    before = measure.anonymous_bytes(proxy.pids())
    clients += [connect() for _ in range(IDLE_CONNECTIONS - WARM_CONNECTIONS)]
    after = measure.anonymous_bytes(proxy.pids())
    for client in clients:
        client.close()
    return {"bytes": (after - before) / (IDLE_CONNECTIONS - WARM_CONNECTIONS)}


def parse():
    parser = argparse.ArgumentParser(prog="bench/run.sh", description="Measures Serin beside its peers.")
    parser.add_argument("scenarios", nargs="*", help="which; all by default")
    parser.add_argument("--list", action="store_true", help="names the scenarios")
    parser.add_argument("--quick", action="store_true", help="2 rounds of 1 s")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--proxies", type=lambda text: text.split(","), help="only these and their variants, with commas")
    parser.add_argument("--foreign", type=float, default=5,
                        help="percent of the machine that others may use before a round is repeated (5)")
    parser.add_argument("--results", help="a JSON file: what is measured is added to what it holds, and all is reported")
    parser.add_argument("--report", action="store_true", help="measure nothing, report --results")
    parser.add_argument("--plot", help="write the plot to this SVG file")
    parser.add_argument("--binaries", required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 2, 1
    unknown = set(options.scenarios) - set(SCENARIOS)
    if unknown:
        parser.error("unknown: %s; there are: %s" % (", ".join(sorted(unknown)), ", ".join(SCENARIOS)))
    return options


def print_list():
    for name, scenario in SCENARIOS.items():
        variants = dict.fromkeys(report.base_and_variant(line.name)[1] for line in scenario.lines)
        print("%-12s %s%s" % (name, scenario.title, "".join(variants)))


def main():
    options = parse()
    if options.list:
        print_list()
        return 0
    if os.cpu_count() < 2:
        sys.exit("needs two cores: one for the proxy, one for load and pools")
    everything = json.loads(measure.read(options.results)) if options.results and os.path.exists(options.results) else {}
    setting = Setting(options.binaries)
    try:
        for name in [] if options.report else options.scenarios or SCENARIOS:
            print(name, file=sys.stderr)
            everything[name] = Run(setting, SCENARIOS[name], options).results()
            if options.results:
                with open(options.results, "w", encoding="utf-8") as file:
                    json.dump(everything, file, indent=1)
            print(report.table(SCENARIOS[name], everything[name]), flush=True)
    except RuntimeError as error:
        sys.exit(str(error))
    finally:
        shutil.rmtree(setting.folder)
    everything = {name: everything[name] for name in SCENARIOS if name in everything}
    if options.report:
        for name, results in everything.items():
            print(report.table(SCENARIOS[name], results))
    print(report.summary(SCENARIOS, everything))
    if options.plot:
        with open(options.plot, "w", encoding="utf-8") as file:
            file.write(report.plot(SCENARIOS, everything))
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
