"""What is measured: which load on which proxies, and how Serin should stand to its peers."""

import dataclasses
import typing

from load import BROWSER_HEAD, h2load, http_load, wrk
from proxies import (Floor, H2o, Haproxy, Lighttpd, Nginx, NginxBuffers, NginxSerin, Serin, SerinDefaults, SerinRollout)

ALL = (Serin, Nginx, Haproxy, H2o)


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    load: typing.Callable
    proxies: tuple
    protocol: str = "http"
    size: int = 150             # bytes of the answer
    megabytes: bool = False     # per MB of body instead of per request
    access_log: bool = False
    system_calls: bool = False  # counted as well
    idle: bool = False          # memory of 10,000 idle connections instead
    target: str = ""            # "0.80 best", "0.95 h2o": at most this share of that proxy's figure


SCENARIOS = {scenario.name: scenario for scenario in (
    Scenario("h1", "HTTP/1 keep-alive, 64 connections", wrk(64), (*ALL, Lighttpd, SerinDefaults, SerinRollout, Floor),
             system_calls=True, target="0.80 best"),
    Scenario("h1-browser", "the same with a browser's 1.2 KB head", wrk(64, BROWSER_HEAD), (*ALL, Floor),
             target="0.80 best"),
    Scenario("h1-log", "HTTP/1 keep-alive, access log on", wrk(64), ALL, access_log=True, target="0.80 best"),
    Scenario("h1-4000", "HTTP/1 keep-alive, 4,000 connections", wrk(4000), ALL, target="0.80 best"),
    Scenario("h2c", "HTTP/2 cleartext, 10 × 32 streams", h2load(10, 32), ALL, protocol="h2c", target="0.95 h2o"),
    Scenario("h2-tls", "HTTP/2 over TLS, 10 × 32 streams", h2load(10, 32), ALL, protocol="https", target="0.95 h2o"),
    Scenario("h1-tls", "HTTP/1 over TLS, keep-alive", wrk(64), ALL, protocol="https", target="0.85 best"),
    Scenario("connect", "a new connection per request", http_load("--close"), (*ALL, Floor), target="0.95 best"),
    Scenario("tls-full", "a TLS handshake per request, full", http_load("--close", tls="full"), ALL, protocol="https",
             target="0.95 best"),
    Scenario("tls-resumed", "a TLS handshake per request, resumed", http_load("--close", tls="resumed"), ALL,
             protocol="https", target="0.95 best"),
    Scenario("16k", "16 KB answers", wrk(64), (*ALL, NginxBuffers, Floor), size=16 * 1024, megabytes=True,
             target="0.80 h2o"),
    Scenario("1m", "1 MB answers", wrk(64), (*ALL, NginxBuffers, Floor), size=1024 * 1024, megabytes=True,
             target="0.75 haproxy"),
    Scenario("upload", "64 KB uploads", http_load("--body=65536"), (*ALL, Floor), target="0.95 nginx"),
    Scenario("open-1000", "open loop, 1,000 requests/s", http_load("--rate=1000"), (*ALL, Floor), target="0.90 nginx"),
    Scenario("open-5000", "open loop, 5,000 requests/s", http_load("--rate=5000"), (*ALL, Floor), target="0.90 nginx"),
    Scenario("fastcgi", "FastCGI in: nginx before Serin", wrk(64), (NginxSerin, Nginx), target="1.60 nginx"),
    Scenario("idle", "memory per idle connection, 10,000 of them", None, (*ALL, Lighttpd), idle=True),
)}
