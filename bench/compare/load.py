"""The load generators, each as functions of setting, cores, url and seconds that return what they saw."""

import dataclasses
import json
import re
import subprocess

# A browser's request, 1.2 KB with what a shop and its analytics put into a cookie.
BROWSER_HEAD = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
              "application/signed-exchange;v=b3;q=0.7",
    "Accept-Language": "en-GB,en;q=0.9,de-DE;q=0.8,de;q=0.7,fr;q=0.6",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Cache-Control": "max-age=0",
    "Referer": "https://shop.example/catalogue/garden/chairs?colour=green&sort=price&page=3",
    "Sec-Ch-Ua": '"Google Chrome";v="131", "Chromium";v="131", "Not_A Brand";v="24"',
    "Sec-Ch-Ua-Mobile": "?0",
    "Sec-Ch-Ua-Platform": '"Linux"',
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-User": "?1",
    "Upgrade-Insecure-Requests": "1",
    "Cookie": "serin_id=0123456789abcdef; session=eyJpdiI6IkZrVzRkQ1pLbU1UU0NvPSIsInZhbHVlIjoiTmhLb0l; theme=dark; "
              "_ga=GA1.1.1234567890.1700000000; _ga_ABCDEF1234=GS1.1.1700000000.5.1.1700000123.0.0.0; consent=analytics%3D1",
}


@dataclasses.dataclass
class Result:
    requests: int
    seconds: float
    received: int = 0
    p50_us: float = 0
    p99_us: float = 0


SLACK_SECONDS = 30  # beyond what a load was told to last, until it counts as stuck


def run(cores, seconds, command):
    try:
        done = subprocess.run(["taskset", "-c", cores, *command], capture_output=True, text=True, check=False,
                              timeout=seconds + SLACK_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError("%s: does not end" % " ".join(command)) from error
    if done.returncode != 0:
        raise RuntimeError("%s: %s" % (" ".join(command), done.stderr or done.stdout))
    return done.stdout


def number(pattern, text, units):
    match = re.search(pattern, text)
    return float(match.group(1)) * units[match.group(2)] if match else 0.0


TIMES = {"us": 1, "ms": 1e3, "s": 1e6, "m": 6e7}
SIZES = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "K": 2**10, "M": 2**20, "G": 2**30}


def wrk(connections, head=None):
    def load(_, cores, url, seconds):
        headers = [word for name, value in (head or {}).items() for word in ("-H", "%s: %s" % (name, value))]
        out = run(cores, seconds, ["wrk", "-t1", "-c%d" % connections, "-d%gs" % seconds, "--latency", *headers, url])
        if "Non-2xx" in out or re.search(r"Socket errors: .*[1-9]", out):
            raise RuntimeError("%s: %s" % (url, out))
        requests, elapsed = re.search(r"(\d+) requests in ([\d.]+)s", out).groups()
        return Result(int(requests), float(elapsed), int(number(r"in [\d.]+s, ([\d.]+)(\w+) read", out, SIZES)),
                      number(r"50%\s+([\d.]+)(\w+)", out, TIMES), number(r"99%\s+([\d.]+)(\w+)", out, TIMES))
    return load


def h2load(connections, streams):
    def load(_, cores, url, seconds):
        out = run(cores, seconds, ["h2load", "-t1", "-c%d" % connections, "-m%d" % streams, "-D%g" % seconds, url])
        done, failed, errors = map(int, re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", out).groups())
        if failed > errors or errors or "status codes: %d 2xx" % done not in out:
            raise RuntimeError("%s: %s" % (url, out))
        return Result(done, float(seconds), int(number(r"traffic: ([\d.]+)(\w+)", out, SIZES)))
    return load


def http_load(*options, tls=None):
    def load(setting, cores, url, seconds):
        target = url.split("/")[2]
        words = [*options, "--tls", tls] if tls else list(options)
        out = json.loads(run(cores, seconds, [setting.binary("bench/load/http_load"), target, "--seconds=%g" % seconds,
                                              *words]))
        full = out["handshakes"] - out["resumed"] - 64  # but the first of each connection
        if out["errors"] or (tls == "resumed" and full > 0.02 * out["handshakes"]):
            raise RuntimeError("%s: %s" % (url, out))
        return Result(out["requests"], out["seconds"], out["received"], out["p50_us"], out["p99_us"])
    return load
