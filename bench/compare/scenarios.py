"""What is measured: which load on which proxies, and how Serin should stand to its peers."""

import dataclasses
import typing

from load import BROWSER_HEAD, h2load, http_load, wrk
from pools import PhpFpm, Responders
from proxies import Floor, H2o, Haproxy, Lighttpd, Nginx, NginxBuffers, NginxSerin, Serin, SerinRollout

MEGABYTE = 1024 * 1024
BOTH = "0,1"


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of a scenario's table: a proxy in a process of its own. "serin, busy" is a variant of "serin"."""
    name: str
    kind: type
    access_log: bool = False
    workers: int = 1
    kept: bool = True  # connections to the pools; False: as suits PHP-FPM, whose children they hold
    load: typing.Optional[typing.Callable] = None  # instead of the scenario's


def lines(*kinds, variant="", **options):
    """-> one for each kind of proxy, with the same variant and options."""
    return tuple(Line(kind.name + (", " + variant if variant else ""), kind, **options) for kind in kinds)


FOUR = (Serin, Nginx, Haproxy, H2o)
ALL = lines(*FOUR)


@dataclasses.dataclass(frozen=True)
class Target:
    """At most `limit` times what `than` had in the same round ("best": the cheapest peer in the same variant);
    if that is "", at most `limit` itself. Without a limit the ratio is told and not judged."""
    limit: typing.Optional[float] = None
    than: str = "best"
    subject: str = "serin"
    figure: str = ""  # of report.FIGURES; the scenario's own if there is none


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    load: typing.Optional[typing.Callable]  # none: memory of 10,000 idle connections is what is measured
    lines: tuple
    targets: tuple              # of the summary, one row for each; the first is what the plot shows
    protocol: str = "http"
    pools: type = Responders
    size: int = 150             # bytes of the answer
    megabytes: float = 0        # of body in each request or answer: costs are per MB then
    system_calls: bool = False  # counted as well
    proxy_cores: str = "0"
    load_cores: str = "1"       # of load and pools


SCENARIOS = {scenario.name: scenario for scenario in (
    Scenario("h1", "HTTP/1 keep-alive, 64 connections", wrk(64),
             (*ALL, *lines(Lighttpd), *lines(Serin, variant="busy", kept=False), *lines(SerinRollout, Floor)),
             (Target(0.80), Target(4.2, "", figure="calls"), Target(1.03, "serin", "serin, rollout")),
             system_calls=True),
    Scenario("h1-browser", "the same with a browser's 1.2 KB head", wrk(64, BROWSER_HEAD), (*ALL, *lines(Floor)),
             (Target(0.80),)),
    Scenario("h1-log", "HTTP/1 keep-alive", wrk(64), (*ALL, *lines(*FOUR, variant="access log on", access_log=True)),
             (Target(0.80, "best", "serin, access log on"), Target(1.08, "serin", "serin, access log on"))),
    Scenario("h1-4000", "HTTP/1 keep-alive", wrk(64),
             (*lines(*FOUR, Floor), *lines(*FOUR, Floor, variant="4,000 connections", load=wrk(4000))),
             (Target(0.80, "best", "serin, 4,000 connections"), Target(1.03, "serin", "serin, 4,000 connections"))),
    Scenario("workers", "HTTP/1 keep-alive, proxy and load on the same two cores", wrk(64),
             (*ALL, *lines(*FOUR, variant="2 workers", workers=2)),
             (Target(), Target(None, "best", "serin, 2 workers"), Target(None, "serin", "serin, 2 workers")),
             proxy_cores=BOTH, load_cores=BOTH),
    Scenario("h2c", "HTTP/2 cleartext, 10 × 32 streams", h2load(10, 32), ALL, (Target(0.95, "h2o"),), protocol="h2c"),
    Scenario("h2-tls", "HTTP/2 over TLS, 10 × 32 streams", h2load(10, 32), ALL, (Target(0.95, "h2o"),),
             protocol="https"),
    Scenario("h1-tls", "HTTP/1 over TLS, keep-alive", wrk(64), ALL, (Target(0.85),), protocol="https"),
    Scenario("connect", "a new connection per request", http_load("--close"), (*ALL, *lines(Floor)), (Target(0.95),)),
    Scenario("tls-full", "a TLS handshake per request, full", http_load("--close", tls="full"), ALL, (Target(0.95),),
             protocol="https"),
    Scenario("tls-resumed", "a TLS handshake per request, resumed", http_load("--close", tls="resumed"), ALL,
             (Target(0.95),), protocol="https"),
    Scenario("16k", "16 KB answers", wrk(64), (*ALL, *lines(NginxBuffers, Floor)), (Target(0.80, "h2o"),),
             size=16 * 1024, megabytes=1 / 64),
    Scenario("1m", "1 MB answers", wrk(64), (*ALL, *lines(NginxBuffers, Floor)), (Target(0.75, "haproxy"),),
             size=MEGABYTE, megabytes=1),
    Scenario("upload", "64 KB uploads", http_load("--body=65536"), (*ALL, *lines(Floor)), (Target(0.95, "nginx"),)),
    Scenario("upload-10m", "10 MB uploads", http_load("--body=%d" % (10 * MEGABYTE), "--connections=8"), ALL,
             (Target(),), megabytes=10),
    Scenario("open-1000", "open loop, 1,000 requests/s", http_load("--rate=1000"), (*ALL, *lines(Floor)),
             (Target(0.90, "nginx"), Target(1.0, "nginx", figure="p99"))),
    Scenario("open-5000", "open loop, 5,000 requests/s", http_load("--rate=5000"), (*ALL, *lines(Floor)),
             (Target(0.90, "nginx"),)),
    Scenario("fastcgi", "FastCGI in: nginx before Serin", wrk(64), lines(NginxSerin, Nginx),
             (Target(1.60, "nginx", "nginx + serin"),)),
    Scenario("php-fpm", "real PHP-FPM, HTTP/1 keep-alive, 64 connections", http_load(), lines(*FOUR, kept=False),
             (Target(),), pools=PhpFpm),
    Scenario("idle", "memory per idle connection, 10,000 of them", None, (*ALL, *lines(Lighttpd)), (Target(1.0, ""),)),
)}
