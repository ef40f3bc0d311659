"""A FastCGI responder that misbehaves on request and remembers everything.

    fpm = FakeFpm("unix:/tmp/x.sock").start()
    fpm.behave = lambda request: "reset_head"      # or by the query: ?fault=reset_head
    fpm.seen                                       # every request, in order of arrival

A behaviour is the name of one of the functions in FAULTS, or a function of
(connection, request). What a real PHP-FPM does is tried with a real one; this
is for what it will not do on demand.
"""

import hashlib
import re
import socket
import struct
import threading
import time

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR = 1, 2, 3, 4, 5, 6, 7


def record(request_id, kind, data=b"", padding=0, version=1):
    return struct.pack("!BBHHBx", version, kind, request_id, len(data), padding) + data + b"\xAA" * padding


def stream(request_id, kind, data, size=65528, padding=0):
    return b"".join(record(request_id, kind, data[i:i + size], padding) for i in range(0, len(data), size))


def end(request_id, protocol_status=0):
    return record(request_id, END, struct.pack("!IB3x", 0, protocol_status))


def decode_params(data):
    """-> list of (name, value) bytes; raises ValueError for what runs past the end."""
    out, at = [], 0
    while at < len(data):
        sizes = []
        for _ in range(2):
            if at >= len(data):
                raise ValueError("length cut short")
            size = data[at]
            if size & 0x80:
                if at + 4 > len(data):
                    raise ValueError("length cut short")
                size = struct.unpack_from("!I", data, at)[0] & 0x7FFFFFFF
                at += 4
            else:
                at += 1
            sizes.append(size)
        name, value = sizes
        if at + name + value > len(data):
            raise ValueError("pair runs past the end")
        out.append((data[at:at + name], data[at + name:at + name + value]))
        at += name + value
    return out


class SeenRequest:
    """What reached the backend of one request, and how it arrived."""

    def __init__(self, connection_number, number_on_connection, keep, request_id):
        self.connection_number, self.number_on_connection, self.keep = connection_number, number_on_connection, keep
        self.params, self.body_hash, self.body_size, self.body = [], hashlib.sha256(), 0, b""
        self.problems = []          # breaches of FastCGI by the client of it
        self.whole = False          # params and stdin both ended
        self.at = time.monotonic()
        self.request_id, self.fpm, self.busy = request_id, None, True

    def idle(self):
        """Just before the end of the answer goes out: from then on the client may send the next."""
        with self.fpm._lock:
            self.fpm.busy_now -= self.busy
            self.busy = False

    def out(self, data, **kwargs):
        """Bytes for its standard output, as records."""
        return stream(self.request_id, STDOUT, data, **kwargs)

    def err(self, data):
        return stream(self.request_id, STDERR, data)

    def finish(self):
        return record(self.request_id, STDOUT) + end(self.request_id)

    def param(self, name, default=None):
        values = [value for key, value in self.params if key == name.encode()]
        return values[-1].decode("latin-1") if values else default

    def query(self, name, default=None):
        match = re.search(r"(?:^|&)%s=([^&]*)" % re.escape(name), self.param("QUERY_STRING", ""))
        return match.group(1) if match else default

    @property
    def id(self):
        return self.param("HTTP_X_ID") or self.query("id")


class FpmConnection:
    def __init__(self, sock, number):
        self.sock, self.number, self.requests, self.buffer = sock, number, 0, b""

    def send(self, data):
        self.sock.sendall(data)

    def reset(self):
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.close()

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def exactly(self, count):
        while len(self.buffer) < count:
            data = self.sock.recv(262144)
            if not data:
                raise EOFError
            self.buffer += data
        out, self.buffer = self.buffer[:count], self.buffer[count:]
        return out

    def record(self):
        version, kind, request_id, size, padding = struct.unpack("!BBHHBx", self.exactly(8))
        if version != 1:
            raise ValueError("version %d" % version)
        data = self.exactly(size)
        self.exactly(padding)
        return kind, request_id, data

    def wait_closed(self, seconds=30):
        """Until the other side closes."""
        self.sock.settimeout(seconds)
        try:
            while self.sock.recv(65536):
                pass
        except OSError:
            pass


def head_of(request, status="200 OK", extra=b""):
    return b"Status: %s\r\nContent-Type: text/plain\r\nX-Backend: %s\r\n%s\r\n" % (
        status.encode(), request.fpm.name.encode(), extra)


def body_of(request):
    return b"pool=%s id=%s method=%s size=%d sha256=%s\n" % (
        request.fpm.name.encode(), (request.id or "-").encode(), request.param("REQUEST_METHOD", "?").encode(),
        request.body_size, request.body_hash.hexdigest().encode())


def answer(connection, request, status="200 OK", extra=b"", body=None):
    body = body_of(request) if body is None else body
    if request.param("REQUEST_METHOD") == "HEAD":
        body = b""
    request.idle()
    connection.send(request.out(head_of(request, status, extra) + body) + request.finish())


# --- Behaviours: each takes (connection, request); True keeps the connection ---

def ok(connection, request):
    answer(connection, request)
    return True


def error(connection, request):
    answer(connection, request, "500 Internal Server Error", body=b"secret stack trace\n")
    return True


def status(connection, request):
    answer(connection, request, request.query("status", "200") + " Text")
    return True


def sleep(connection, request):
    time.sleep(float(request.query("seconds", str(request.fpm.sleep_seconds))))
    answer(connection, request)
    return True


def hang(connection, _):
    connection.wait_closed()


def reset_head(connection, _):
    connection.reset()


def close_head(connection, _):
    connection.close()


def reset_middle(connection, request):
    connection.send(request.out(head_of(request, extra=b"Content-Length: 1000\r\n") + b"x" * 500))
    time.sleep(0.05)
    connection.reset()


def truncated(connection, request):
    """Half of the announced body, no END_REQUEST, orderly close."""
    connection.send(request.out(head_of(request) + b"x" * 500))
    connection.close()


def short_length(connection, request):
    """END_REQUEST before as much has come as Content-Length says."""
    answer(connection, request, extra=b"Content-Length: 1000\r\n", body=b"x" * 500)


def long_length(connection, request):
    """More body than Content-Length says."""
    answer(connection, request, extra=b"Content-Length: 5\r\n", body=b"hello and more")


def garbage(connection, _):
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    connection.close()


def bad_version(connection, request):
    connection.send(record(request.request_id, STDOUT, head_of(request) + b"x", version=9))
    connection.wait_closed(5)


def no_head(connection, request):
    """A body without the blank line that ends a CGI head."""
    connection.send(request.out(b"just text, no head") + request.finish())


def bad_status(connection, request):
    answer(connection, request, "999 What")


def early_100(connection, request):
    answer(connection, request, "100 Continue")


def header_injection(connection, request):
    answer(connection, request, extra=b"X-Bad: a\rSet-Cookie: evil=1\r\n")


def huge_head(connection, request):
    answer(connection, request, extra=b"".join(b"X-H%d: %s\r\n" % (i, b"v" * 1000) for i in range(300)))


def hop_by_hop(connection, request):
    answer(connection, request, extra=b"Connection: close, X-Hop\r\nX-Hop: 1\r\nTransfer-Encoding: chunked\r\n"
           b"Keep-Alive: timeout=9\r\nUpgrade: foo\r\n")


def drip(connection, request):
    """One byte of STDOUT per record."""
    for byte in head_of(request) + body_of(request):
        connection.send(record(request.request_id, STDOUT, bytes([byte])))
    connection.send(request.finish())
    return True


def split_head(connection, request):
    data = head_of(request)
    connection.send(record(request.request_id, STDOUT, data[:10]))
    time.sleep(0.02)
    connection.send(record(request.request_id, STDOUT, data[10:-2]))
    time.sleep(0.02)
    connection.send(record(request.request_id, STDOUT, data[-2:]) + request.out(body_of(request)) + request.finish())
    return True


def split_record_header(connection, request):
    """Every TCP segment ends inside a record's header."""
    data = request.out(head_of(request) + body_of(request), size=20, padding=3) + request.finish()
    for i in range(0, len(data), 5):
        connection.send(data[i:i + 5])
    return True


def padding(connection, request):
    connection.send(request.out(head_of(request) + body_of(request), size=37, padding=255) +
                    record(request.request_id, STDOUT, padding=8) + end(request.request_id))
    return True


def stderr(connection, request):
    connection.send(request.err(b"PHP message: PHP Warning:  something small"))
    answer(connection, request)
    return True


def fatal_200(connection, request):
    connection.send(request.out(head_of(request) + b"partial page") +
                    request.err(b"PHP message: PHP Fatal error:  Uncaught Error: no such method") +
                    request.finish())
    return True


def stderr_flood(connection, request):
    connection.send(request.err(b"PHP message: noise " * 60000))
    answer(connection, request)
    return True


def big(connection, request):
    size, block = int(request.query("size", "1000000")), bytes(range(256)) * 256
    connection.send(request.out(head_of(request, extra=b"" if request.query("chunked") else
                                           b"Content-Length: %d\r\n" % size)))
    while size:
        part = block[:size]
        connection.send(request.out(part))
        size -= len(part)
    connection.send(request.finish())
    return True


def slow_body(connection, request):
    """Head at once, then a part every 50 ms."""
    connection.send(request.out(head_of(request)))
    for _ in range(int(request.query("parts", "10"))):
        time.sleep(0.05)
        connection.send(record(request.request_id, STDOUT, b"part\n"))
    connection.send(request.finish())
    return True


def stall_body(connection, request):
    """Head and some body, then silence."""
    connection.send(request.out(head_of(request) + b"x" * 100))
    connection.wait_closed()


def early_end(connection, request):
    """END_REQUEST and nothing else."""
    connection.send(end(request.request_id))
    return True


def overloaded(connection, request):
    connection.send(end(request.request_id, protocol_status=2))
    return True


def wrong_id(connection, request):
    connection.send(stream(request.request_id + 7, STDOUT, head_of(request) + b"not yours") +
                    end(request.request_id + 7))
    connection.wait_closed(5)


def extra_bytes(connection, request):
    """A whole answer and then something unasked for: must never reach the next request."""
    answer(connection, request)
    connection.send(request.out(head_of(request) + b"poison for the next one") + request.finish())
    return True


def late_bytes(connection, request):
    """As extra_bytes, but only once the next request is there."""
    answer(connection, request)
    connection.buffer = connection.sock.recv(262144)
    poison = {"answer": request.out(head_of(request) + b"poison for the next one") + request.finish(),
              "end": request.finish(), "text": b"HTTP/1.1 200 OK\r\n\r\npoison", "piece": b"\1\6\0\1"}
    connection.send(poison[request.query("poison", "answer")])
    return True


def no_content(connection, request):
    answer(connection, request, "204 No Content", body=b"")
    return True


def not_modified(connection, request):
    answer(connection, request, "304 Not Modified", extra=b'ETag: "x"\r\n', body=b"")
    return True


def redirect(connection, request):
    """CGI's Location without Status means 302 (RFC 3875 §6.2.3)."""
    connection.send(request.out(b"Location: https://example.test/there\r\n\r\n") + request.finish())
    return True


def cookies(connection, request):
    answer(connection, request, extra=b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n")
    return True


def bare_lf_head(connection, request):
    """CGI allows LF line ends; PHP sends CRLF."""
    connection.send(request.out(b"Content-Type: text/plain\nX-Lf: 1\n\nbody") + request.finish())
    return True


FAULTS = {function.__name__: function for function in (
    ok, error, status, sleep, hang, reset_head, close_head, reset_middle, truncated, short_length, long_length,
    garbage, bad_version, no_head, bad_status, early_100, header_injection, huge_head, hop_by_hop, drip, split_head,
    split_record_header, padding, stderr, fatal_200, stderr_flood, big, slow_body, stall_body, early_end, overloaded,
    wrong_id, extra_bytes, late_bytes, no_content, not_modified, redirect, cookies, bare_lf_head)}


class FakeFpm:
    """Listens at once; one thread per connection."""

    def __init__(self, address, name="fake", backlog=511):
        self.address, self.name, self.backlog = address, name, backlog
        self.behave = None            # request -> name or function; None: what ?fault= says, or ok
        self.error_percent = 0.0      # of the requests that would be ok, exactly spread
        self.sleep_seconds = 3.0
        self.accept_then_reset = False
        self.seen, self.connections_made, self.open_now = [], 0, 0
        self.busy_now = self.most_busy = 0    # requests between their first record and the end of their answer
        self._lock, self._listener, self._open = threading.Lock(), None, set()

    def start(self):
        if self.address.startswith("unix:"):
            path = self.address[5:]
            try:
                import os
                os.unlink(path)
            except FileNotFoundError:
                pass
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(path)
            os.chmod(path, 0o666)
        else:
            host, _, port = self.address.rpartition(":")
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, int(port)))
            self.address = "%s:%d" % (host, listener.getsockname()[1])
        listener.listen(self.backlog)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return self

    def stop(self):
        """Refuses from now on and drops what is open."""
        listener, self._listener = self._listener, None
        if listener:
            try:
                listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            listener.close()
        with self._lock:
            connections, self._open = self._open, set()
        for connection in connections:
            connection.close()

    def ids(self):
        """How often each request id was answered whole."""
        counts = {}
        with self._lock:
            for request in self.seen:
                if request.whole:
                    counts[request.id] = counts.get(request.id, 0) + 1
        return counts

    def reset_counts(self):
        with self._lock:
            self.seen = []

    def _accept(self, listener):
        while self._listener is listener:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections_made += 1
                connection = FpmConnection(sock, self.connections_made)
                self._open.add(connection)
                self.open_now += 1
            if self.accept_then_reset:
                connection.reset()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            while self._one(connection):
                pass
        except (OSError, EOFError, ValueError):
            pass
        finally:
            connection.close()
            with self._lock:
                self._open.discard(connection)
                self.open_now -= 1

    def _one(self, connection):
        kind, request_id, data = connection.record()
        if kind != BEGIN or len(data) != 8:
            return False
        connection.requests += 1
        request = SeenRequest(connection.number, connection.requests, bool(data[2] & 1), request_id)
        request.fpm = self
        with self._lock:
            self.seen.append(request)
            self.busy_now += 1
            self.most_busy = max(self.most_busy, self.busy_now)
        try:
            return self._take_and_answer(connection, request, request_id)
        finally:
            request.idle()

    def _take_and_answer(self, connection, request, request_id):
        while True:
            kind, got_id, data = connection.record()
            if got_id != request_id:
                request.problems.append("record for request %d" % got_id)
            if kind == PARAMS:
                if not data:
                    continue
                try:  # PHP-FPM wants every pair within one record
                    request.params += decode_params(data)
                except ValueError as problem:
                    request.problems.append("PARAMS record: %s" % problem)
            elif kind == STDIN:
                if not data:
                    break
                request.body_size += len(data)
                request.body_hash.update(data)
                if len(request.body) < 65536:
                    request.body += data[:65536 - len(request.body)]
            else:
                request.problems.append("record of type %d" % kind)
        request.whole = True
        length = request.param("CONTENT_LENGTH", "") or "0"
        if not length.isdigit() or int(length) != request.body_size:
            request.problems.append("CONTENT_LENGTH %r, %d bytes" % (length, request.body_size))
        keep = self._behaviour(request)(connection, request)
        return bool(keep and request.keep)

    def _behaviour(self, request):
        choice = self.behave(request) if self.behave else request.query("fault", "ok")
        if choice is None or choice == "ok":
            choice = "ok"
            if self.error_percent:
                with self._lock:
                    self._errors = getattr(self, "_errors", 0) + self.error_percent / 100
                    if self._errors >= 1:
                        self._errors -= 1
                        choice = "error"
        return FAULTS[choice] if isinstance(choice, str) else choice
