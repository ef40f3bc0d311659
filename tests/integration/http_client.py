"""A small, strict HTTP/1.1 client over TCP or unix sockets.

Unlike http.client it shows what is on the wire: repeated header lines, the
framing that was used, and every breach of it (Response.problems).
"""

import re
import socket
import ssl
import time

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def connect(address, timeout=10.0):
    """address: "unix:/path", "host:port", or "tls:host:port" (whatever its certificate says)."""
    if address.startswith("tls:"):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sock = connect(address[4:], timeout)
        try:
            return context.wrap_socket(sock, server_hostname="localhost")
        except BaseException:
            sock.close()
            raise
    if address.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        try:
            sock.connect(address[5:])
        except OSError:
            sock.close()
            raise
        return sock
    host, _, port = address.rpartition(":")
    sock = socket.create_connection((host.strip("[]"), int(port)), timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class Response:
    """One answer. `body` is None when a sink took it."""

    def __init__(self):
        self.status, self.reason, self.version = 0, "", ""
        self.headers, self.body = [], b""
        self.framing = "none"      # none | length | chunked | close
        self.complete = False
        self.problems = []
        self.interim = []          # statuses of 1xx answers before it

    def header(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def __repr__(self):
        return "<Response %d %s %r%s>" % (self.status, self.framing, (self.body or b"")[:120],
                                          "" if self.complete else " CUT")


class Closed(Exception):
    """The peer closed before a whole head came."""


class Connection:
    """One connection; requests one after another, or raw bytes and answers."""

    def __init__(self, address, timeout=10.0):
        self.sock = connect(address, timeout)
        self.buffer = b""
        self.eof = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def fill(self):
        """Reads more; False at the end."""
        if self.eof:
            return False
        try:
            data = self.sock.recv(262144)
        except ConnectionResetError:
            data = b""
        self.eof = not data
        self.buffer += data
        return bool(data)

    def line(self):
        while b"\r\n" not in self.buffer:
            if not self.fill():
                raise Closed("closed after %r" % self.buffer[:200])
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def take(self, count, sink):
        """Passes exactly count bytes to sink; False when they do not come."""
        while count:
            if not self.buffer and not self.fill():
                return False
            part, self.buffer = self.buffer[:count], self.buffer[count:]
            count -= len(part)
            sink(part)
        return True

    def read_head(self, response):
        match = re.fullmatch(rb"(HTTP/1\.[01]) ([1-9]\d\d)(?: (.*))?", self.line(), re.S)
        if not match:
            raise Closed("no status line")
        response.version, response.status = match.group(1).decode(), int(match.group(2))
        response.reason = (match.group(3) or b"").decode("latin-1")
        response.headers = []
        while True:
            line = self.line()
            if not line:
                return
            name, colon, value = line.partition(b":")
            if not colon or not TOKEN.fullmatch(name) or re.search(rb"[\0\r\n]", line):
                response.problems.append("bad header line %r" % line[:80])
            response.headers.append((name.decode("latin-1"), value.strip(b" \t").decode("latin-1")))

    def read_chunks(self, response, sink):
        while True:
            match = re.fullmatch(rb"([0-9A-Fa-f]+)(;.*)?", self.line())
            if not match:
                response.problems.append("bad chunk size")
                return
            size = int(match.group(1), 16)
            if size == 0:
                while self.line():
                    pass
                response.complete = True
                return
            if not self.take(size, sink) or self.line() != b"":
                response.problems.append("bad chunk end")
                return

    def response(self, method="GET", sink=None):
        """Reads the next final answer. Raises Closed without one."""
        response = Response()
        while True:
            self.read_head(response)
            if response.status >= 200 or response.status == 101:
                break
            response.interim.append(response.status)
        parts = []
        out = sink or parts.append
        lengths, codings = response.all("content-length"), response.all("transfer-encoding")
        if len(lengths) > 1 or (lengths and codings):
            response.problems.append("contradictory framing")
        if method == "HEAD" or response.status in (204, 304) or response.status < 200:
            response.complete = True
        elif codings:
            response.framing = "chunked"
            try:
                self.read_chunks(response, out)
            except Closed:
                pass
        elif lengths:
            response.framing = "length"
            response.complete = self.take(int(lengths[0]), out)
        else:
            response.framing = "close"
            while self.buffer or self.fill():
                out(self.buffer)
                self.buffer = b""
            response.complete = True
        response.body = None if sink else b"".join(parts)
        return response

    def request(self, method, target, headers=(), body=None, host="serin.test", sink=None):
        self.send(format_request(method, target, headers, body, host))
        return self.response(method, sink)


def format_request(method, target, headers=(), body=None, host="serin.test"):
    lines = ["%s %s HTTP/1.1" % (method, target)]
    if host is not None:
        lines.append("Host: %s" % host)
    items = list(headers.items()) if isinstance(headers, dict) else list(headers)
    lines += ["%s: %s" % item for item in items]
    if body is not None and not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in items):
        lines.append("Content-Length: %d" % len(body))
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


def fetch(address, target, method="GET", headers=(), body=None, timeout=10.0, host="serin.test"):
    """One request on a connection of its own."""
    with Connection(address, timeout) as connection:
        return connection.request(method, target, headers, body, host)


def exchange(address, steps, timeout=3.0, quiet=0.3, count=None, methods=()):
    """Sends raw steps (bytes to send, a float to wait, "shutdown" or "reset") and
    returns (responses, end), where end is "closed", "open" or "reset" (by us).
    Stops early after `count` answers and a quiet moment.
    """
    connection = Connection(address, timeout)
    responses, started = [], time.monotonic()
    try:
        for step in steps:
            if isinstance(step, bytes):
                try:
                    connection.send(step)
                except (BrokenPipeError, ConnectionResetError):
                    break  # answered and closed early: read what it said
            elif isinstance(step, float):
                time.sleep(step)
            elif step == "shutdown":
                connection.sock.shutdown(socket.SHUT_WR)
            elif step == "reset":
                import struct
                connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return [], "reset"
        while True:
            enough = count is not None and len(responses) >= count
            left = started + timeout - time.monotonic()
            connection.sock.settimeout(max(0.01, min(quiet, left) if enough else left))
            method = methods[len(responses)] if len(responses) < len(methods) else "GET"
            responses.append(connection.response(method))
    except Closed:
        return responses, "closed"
    except (socket.timeout, TimeoutError):
        return responses, "open"
    finally:
        connection.close()
