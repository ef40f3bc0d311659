"""bench/run.sh's programme: rounds of load on each proxy in turn, CPU time per request, a table and a plot."""

import argparse
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
from proxies import spawn
from scenarios import SCENARIOS

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
IDLE_CONNECTIONS = 10000
REPEATS = 3  # of a round that others disturbed; after that it counts


class Setting:
    """Where things are: folder, certificates, cores, programs."""

    proxy_core, load_core = "0", "1"

    def __init__(self, binaries):
        self.binaries = os.path.abspath(binaries)
        self.folder = tempfile.mkdtemp(prefix="serin-bench-")
        self.root = os.path.join(self.folder, "root")
        os.mkdir(self.root)
        with open(os.path.join(self.root, "index.php"), "w", encoding="ascii") as script:
            script.write("<?php echo 'hello';\n")
        self.certificate, self.key, self.both = (os.path.join(self.folder, n) for n in ("c.pem", "k.pem", "both.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                        "2", "-subj", "/CN=localhost", "-keyout", self.key, "-out", self.certificate],
                       check=True, capture_output=True)
        with open(self.both, "w", encoding="ascii") as both:
            both.write(measure.read(self.certificate) + measure.read(self.key))

    def binary(self, name):
        return os.path.join(self.binaries, name)


class Pools:
    """Two responders on the load's core."""

    def __init__(self, setting, size):
        self.sockets = {pool: os.path.join(setting.folder, pool + ".sock") for pool in ("blue", "green")}
        self.processes = [
            spawn(setting.load_core, [setting.binary("bench/responder/fastcgi_responder"), "--listen", "unix:" + path,
                                      "--size", str(size)], path + ".log") for path in self.sockets.values()]
        while not all(os.path.exists(path) for path in self.sockets.values()):
            time.sleep(0.02)

    def pids(self):
        return [process.pid for process in self.processes]

    def stop(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
            process.wait()
        for path in self.sockets.values():
            os.unlink(path)


def one_round(setting, scenario, proxy, pools, options):
    for _ in range(REPEATS):
        with measure.Window(proxy.pids(), pools.pids()) as window:
            result = scenario.load(setting, proxy.url(scenario.protocol), options.seconds)
        if window.foreign <= options.foreign / 100:
            break
        print("  %s: others used %.0f %% of the machine" % (proxy.name, window.foreign * 100), file=sys.stderr)
    return {"cpu": window.cpu, "requests": result.requests, "per_second": result.requests / result.seconds,
            "p50_us": result.p50_us, "p99_us": result.p99_us, "foreign": window.foreign}


def count_calls(setting, scenario, proxy, options):
    seen = []
    calls = measure.system_calls(proxy.pids(), lambda: seen.append(
        scenario.load(setting, proxy.url(scenario.protocol), min(options.seconds, 2))))
    return calls / seen[0].requests if calls else None


def idle_memory(proxy):
    """-> anonymous memory of the proxy per connection that has had one request and waits."""
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

    def connect():
        client = socket.create_connection(("127.0.0.1", proxy.ports["http"]), timeout=10)
        client.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received or b"x" * 150 not in received:
            received += client.recv(65536)
        return client
    clients = [connect() for _ in range(64)]
    before = measure.anonymous_bytes(proxy.pids())
    clients += [connect() for _ in range(IDLE_CONNECTIONS)]
    after = measure.anonymous_bytes(proxy.pids())
    for client in clients:
        client.close()
    return {"bytes": (after - before) / IDLE_CONNECTIONS}


def run_scenario(setting, scenario, options):
    pools = Pools(setting, scenario.size)
    proxies = [kind(setting, pools.sockets, scenario.access_log) for kind in scenario.proxies
               if not options.proxies or kind.name in options.proxies]
    results = {proxy.name: [] for proxy in proxies}
    try:
        for proxy in proxies:
            proxy.start()
        if scenario.idle:
            for proxy in proxies:
                results[proxy.name].append(idle_memory(proxy))
            return results
        for proxy in proxies:  # warm
            scenario.load(setting, proxy.url(scenario.protocol), 1)
        for number in range(options.rounds):
            for proxy in proxies[number % len(proxies):] + proxies[:number % len(proxies)]:
                results[proxy.name].append(one_round(setting, scenario, proxy, pools, options))
        if scenario.system_calls:
            for proxy in proxies:
                results[proxy.name][-1]["calls"] = count_calls(setting, scenario, proxy, options)
        return results
    finally:
        for proxy in proxies:
            proxy.stop()
        pools.stop()


def parse():
    parser = argparse.ArgumentParser(prog="bench/run.sh", description="Measures Serin beside its peers.")
    parser.add_argument("scenarios", nargs="*", help="which; all by default")
    parser.add_argument("--list", action="store_true", help="names the scenarios")
    parser.add_argument("--quick", action="store_true", help="2 rounds of 1 s")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--proxies", type=lambda text: text.split(","), help="only these, by name, with commas")
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


def main():
    options = parse()
    if options.list:
        for name, scenario in SCENARIOS.items():
            print("%-12s %s" % (name, scenario.title))
        return 0
    if os.cpu_count() < 2:
        sys.exit("needs two cores: one for the proxy, one for load and pools")
    everything = json.loads(measure.read(options.results)) if options.results and os.path.exists(options.results) else {}
    setting = Setting(options.binaries)
    try:
        for name in [] if options.report else options.scenarios or SCENARIOS:
            print(name, file=sys.stderr)
            everything[name] = run_scenario(setting, SCENARIOS[name], options)
            if options.results:
                with open(options.results, "w", encoding="utf-8") as file:
                    json.dump(everything, file, indent=1)
            print(report.table(SCENARIOS[name], everything[name]), flush=True)
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
