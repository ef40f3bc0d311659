"""HTTP/2 by prior knowledge: curl, nghttp, h2load and hand-made frames against the daemon and a real PHP-FPM."""

import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

from harness import SANITIZER, SLOWNESS, SerinCase, main, wait_for
from http_client import Connection

MIB = 1024 * 1024
SHOW = r"""
switch ($_GET['do'] ?? '') {
case 'upload':
    $hash = hash_init('sha256'); $size = 0; $in = fopen('php://input', 'rb');
    while (!feof($in)) { $part = fread($in, 1 << 20); hash_update($hash, $part); $size += strlen($part); }
    echo $size, ' ', hash_final($hash), ' ', $_SERVER['CONTENT_LENGTH']; break;
case 'download':
    $size = (int) $_GET['size']; $block = str_repeat(pack('N*', ...range(1, 16384)), 16);
    while (ob_get_level()) ob_end_clean();
    for (; $size > 0; $size -= strlen($block)) { echo $size >= strlen($block) ? $block : substr($block, 0, $size); }
    break;
case 'events':
    header('Content-Type: text/event-stream');
    while (ob_get_level()) ob_end_flush();
    for ($i = 0; $i < 3; ++$i) { echo "data: $i\n\n"; flush(); usleep(300000); }
    break;
case 'sleep': usleep((int) (1e6 * $_GET['seconds'])); echo 'slept'; break;
case 'cookies': setcookie('a', '1'); setcookie('b', '2'); echo $_SERVER['HTTP_COOKIE'] ?? ''; break;
case 'redirect': header('Location: /elsewhere', true, 302); break;
case 'missing': http_response_code(404); echo 'no such page'; break;
default:
    echo $_SERVER['SERVER_PROTOCOL'], ' ', $_SERVER['REQUEST_METHOD'], ' ', $_SERVER['REQUEST_URI'], ' ',
         $_SERVER['HTTP_HOST'];
}
"""
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4


def download_digest(size):
    block, digest = struct.pack(">16384I", *range(1, 16385)) * 16, hashlib.sha256()
    while size:
        digest.update(block[:size])
        size -= min(size, len(block))
    return digest.hexdigest()


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + struct.pack("!BBI", kind, flags, stream) + payload


def literal(name, value):
    """A field of HPACK without indexing and Huffman (RFC 7541 §6.2.2); both shorter than 127 bytes."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def request_head(stream, path, end=True):
    block = b"".join(literal(*field) for field in ((b":method", b"GET"), (b":scheme", b"http"), (b":path", path),
                                                   (b":authority", b"serin.test")))
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block)


class RawClient:
    """A client of frames: what it sends is up to the test."""

    def __init__(self, port, settings=b""):
        self.socket = socket.create_connection(("127.0.0.1", port), 20 * SLOWNESS)
        self.send(PREFACE + frame(SETTINGS, 0, 0, settings))

    def send(self, data):
        self.socket.sendall(data)

    def read(self):
        """-> (type, flags, stream, payload), or None at the end."""
        head = self.exactly(9)
        if head is None:
            return None
        kind, flags, stream = struct.unpack("!BBI", head[3:])
        return kind, flags, stream, self.exactly(int.from_bytes(head[:3], "big"))

    def exactly(self, size):
        data = b""
        while len(data) < size:
            try:
                part = self.socket.recv(size - len(data))
            except ConnectionResetError:
                return None
            if not part:
                return None
            data += part
        return data

    def until(self, kind, stream=None):
        """Reads on to the first frame of that type; None if there is none."""
        while (got := self.read()) is not None:
            if got[0] == kind and stream in (None, got[2]):
                return got
        return None

    def close(self):
        self.socket.close()


class Http2Test(SerinCase):
    def setUp(self):
        super().setUp()
        self.tcp_port = self.port()
        self.url = "http://127.0.0.1:%d" % self.tcp_port

    def start(self, over=None, fake=False, children=8):
        pool = {"max_connections": children, "queue_size": 20000, "queue_timeout": "60s", "front_controller": "index.php"}
        root = self.script("root", "index.php", SHOW)
        address = self.fakes_for_pools()[0].address if fake else self.fpm("blue", root, children=children).address
        settings = {"listen": [{"address": "127.0.0.1:%d" % self.tcp_port, "protocol": "http"}], "pools": {"blue": pool},
                    "limits": {"temporary_directory": self.folder("spool")}, **(over or {})}
        self.daemon = self.serin(settings, blue=address, blue_root=root, green_root=root)
        return self.daemon

    def raw(self, settings=b""):
        client = RawClient(self.tcp_port, settings)
        self.addCleanup(client.close)
        return client

    def curl(self, path, *arguments, check=True):
        return self.command(["curl", "-sS", "--max-time", "60", "--http2-prior-knowledge", *arguments, self.url + path],
                            check=check)

    # --- real clients ---

    def test_curl_gets_pages_with_all_that_belongs_to_them(self):
        self.start()
        result = self.curl("/a/b.php?c=d", "-w", " %{http_version} %{response_code}")
        self.assertEqual(result.stdout, "HTTP/2.0 GET /a/b.php?c=d 127.0.0.1:%d 2 200" % self.tcp_port)
        self.assertEqual(self.curl("/?do=missing", "-w", " %{response_code}").stdout, "no such page 404")
        head = self.curl("/?do=redirect", "-i").stdout
        self.assertRegex(head, r"(?m)^HTTP/2 302")
        self.assertRegex(head, r"(?m)^location: /elsewhere")
        cookies = self.curl("/?do=cookies", "-i", "-H", "Cookie: x=1; y=2").stdout
        self.assertEqual(re.findall(r"set-cookie: (\w=\w)", cookies), ["a=1", "b=2"])
        self.assertTrue(cookies.endswith("x=1; y=2"), cookies)
        head = self.curl("/", "-I", "-w", "%{size_download}").stdout
        self.assertRegex(head, r"(?s)^HTTP/2 200.*\n0$")

    def test_uploads_and_downloads_keep_every_byte_in_bounded_memory(self):
        daemon = self.start()
        data = os.urandom(20 * MIB)
        with open(self.path("upload"), "wb") as file:
            file.write(data)
        expected = "%d %s %d" % (len(data), hashlib.sha256(data).hexdigest(), len(data))
        for extra in ([], ["-H", "Expect: 100-continue"], ["-T", "-"]):
            source = [] if "-T" in extra else ["--data-binary", "@" + self.path("upload")]
            with open(self.path("upload"), "rb") as file:
                result = subprocess.run(["curl", "-sS", "--http2-prior-knowledge", "-X", "POST", *source, *extra,
                                         self.url + "/?do=upload"], stdin=file, capture_output=True, text=True,
                                        timeout=100 * SLOWNESS)
            self.assertEqual(result.stdout, expected, result.stderr)
        out = self.path("download")
        self.curl("/?do=download&size=%d" % (50 * MIB), "-o", out)
        with open(out, "rb") as file:
            self.assertEqual(hashlib.sha256(file.read()).hexdigest(), download_digest(50 * MIB))
        self.assertEqual(os.listdir(self.path("spool")), [])
        if not SANITIZER:
            self.assertLess(daemon.memory_kib(), 64 * 1024)

    def test_many_uploads_and_downloads_share_a_connection(self):
        self.start()
        data = os.urandom(2 * MIB)
        with open(self.path("upload"), "wb") as file:
            file.write(data)
        result = self.command(["nghttp", "-nv", "-m", "8", "-d", self.path("upload"), self.url + "/?do=upload"])
        self.assertEqual(result.stdout.count(":status: 200"), 8)
        self.assertNotIn("RST_STREAM", result.stdout)
        expected = "%d %s %d" % (len(data), hashlib.sha256(data).hexdigest(), len(data))
        result = self.command(["nghttp", "-m", "8", "-d", self.path("upload"), self.url + "/?do=upload"])
        self.assertEqual(result.stdout, expected * 8)
        urls = [self.url + "/?do=download&size=%d" % size for size in (100, 100000, 3 * MIB, 70000)]
        result = subprocess.run(["nghttp", *urls], capture_output=True, timeout=60 * SLOWNESS)
        self.assertEqual(len(result.stdout), 100 + 100000 + 3 * MIB + 70000)

    def test_nghttp_sends_trailers(self):
        self.start()
        with open(self.path("body"), "w") as file:
            file.write("some body")
        result = self.command(["nghttp", "-d", self.path("body"), "--trailer", "x-sum: 1", self.url + "/?do=upload"])
        self.assertEqual(result.stdout.split()[0], "9")

    def test_h2load_loses_nothing(self):
        self.start()
        total = 5000 if SANITIZER else 30000
        for clients, streams in ((100, 100), (10, 32), (1, 1)):
            count = total if clients > 1 else 200
            result = self.command(["h2load", "-n", str(count), "-c", str(clients), "-m", str(streams), self.url + "/"],
                                  timeout=120)
            self.assertIn("%d succeeded, 0 failed, 0 errored, 0 timeout" % count, result.stdout)
            self.assertIn("status codes: %d 2xx, 0 3xx, 0 4xx, 0 5xx" % count, result.stdout)

    def test_http1_is_still_spoken_on_the_same_port(self):
        self.start()
        with Connection("127.0.0.1:%d" % self.tcp_port, 20) as connection:
            self.assertEqual(connection.request("GET", "/").text, "HTTP/1.1 GET / serin.test")
        with Connection("127.0.0.1:%d" % self.tcp_port, 20) as connection:
            connection.send(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")  # almost
            self.assertIn(connection.response().status, (400, 505))

    def test_events_arrive_as_they_are_written(self):
        self.start()
        began, seen = time.monotonic(), []
        with subprocess.Popen(["curl", "-sSN", "--http2-prior-knowledge", self.url + "/?do=events"],
                              stdout=subprocess.PIPE) as process:
            for line in process.stdout:
                if line.strip():
                    seen.append((line, time.monotonic() - began))
        self.assertEqual([line for line, _ in seen], [b"data: 0\n", b"data: 1\n", b"data: 2\n"])
        self.assertGreater(seen[2][1] - seen[0][1], 0.4)

    # --- leaving, draining, idling ---

    def test_a_reset_stream_frees_its_pool_connection(self):
        self.start(fake=True)
        client = self.raw()
        for stream in (1, 3):
            client.send(request_head(stream, b"/?fault=hang"))
        wait_for(lambda: self.blue.open_now == 2, what="two requests at the pool")
        client.send(frame(RST_STREAM, 0, 1, struct.pack("!I", 8)))
        wait_for(lambda: self.blue.open_now == 1, what="one of them to be given up")
        client.send(request_head(5, b"/"))
        self.assertIsNotNone(client.until(HEADERS, 5))
        client.close()
        wait_for(lambda: self.blue.open_now == 0, what="the other one to be given up")

    def test_a_drain_answers_what_is_open_and_says_goodbye_twice(self):
        daemon = self.start()
        client = self.raw()
        client.send(request_head(1, b"/?do=sleep&seconds=1.5"))
        time.sleep(0.5)
        daemon.process.send_signal(signal.SIGTERM)
        first = client.until(GOAWAY)
        self.assertEqual(struct.unpack("!II", first[3][:8]), (0x7FFFFFFF, 0))
        ping = client.until(PING)
        client.send(request_head(3, b"/"))  # it was on its way
        client.send(frame(PING, ACK, 0, ping[3]))
        frames = []
        while (got := client.read()) is not None:
            frames.append(got)
        goodbye = [got for got in frames if got[0] == GOAWAY]
        self.assertEqual([struct.unpack("!II", got[3][:8]) for got in goodbye], [(3, 0)])
        ended = {got[2] for got in frames if got[0] == DATA and got[1] & END_STREAM}
        self.assertEqual(ended, {1, 3})
        self.assertEqual(daemon.process.wait(), 0)

    def test_idle_and_slow_clients_are_ended(self):
        self.start({"limits": {"idle_timeout": "500ms", "head_timeout": "500ms", "body_timeout": "700ms"}})
        idle = self.raw()
        goodbye = idle.until(GOAWAY)
        self.assertEqual(struct.unpack("!I", goodbye[3][4:8])[0], 0)
        self.assertIsNone(idle.read())
        slow_head = self.raw()
        slow_head.send(request_head(1, b"/")[:30])
        self.assertEqual(struct.unpack("!I", slow_head.until(GOAWAY)[3][4:8])[0], 11)
        slow_body = self.raw()
        slow_body.send(request_head(1, b"/", end=False) + frame(DATA, 0, 1, b"some"))
        self.assertIsNotNone(slow_body.until(HEADERS, 1))  # 408
        self.assertEqual(slow_body.until(RST_STREAM, 1)[3], b"\0\0\0\0")
        self.assertEqual(self.daemon.metric_sum("serin_refused_requests_total", code="408"), 2)

    # --- attacks ---

    def test_rapid_resets_do_not_reach_the_pool(self):
        self.start(fake=True)
        self.blue.behave = lambda request: "sleep"
        self.blue.sleep_seconds = 0.2
        client = self.raw()
        try:
            for stream in range(1, 4001, 2):
                client.send(request_head(stream, b"/") + frame(RST_STREAM, 0, stream, struct.pack("!I", 8)))
        except OSError:
            pass  # we have been told to stop
        client.socket.settimeout(20 * SLOWNESS)
        self.assertLess(len(self.blue.seen), 100)
        self.assertEqual(self.curl("/").returncode, 0)

    def test_a_zero_window_costs_bounded_memory_and_bounded_time(self):
        daemon = self.start({"limits": {"send_timeout": "2s"}}, children=4)
        self.curl("/?do=download&size=1000000", "-o", os.devnull)
        before = daemon.memory_kib("VmRSS")
        clients = [self.raw(struct.pack("!HI", 4, 0)) for _ in range(5)]
        for client in clients:
            for stream in range(1, 200, 2):
                client.send(request_head(stream, b"/?do=download&size=20000000"))
        time.sleep(1)
        if not SANITIZER:
            self.assertLess(daemon.memory_kib("VmHWM") - before, 24 * 1024)
        self.assertIsNotNone(clients[0].until(RST_STREAM))
        for client in clients:
            client.close()
        self.assertIn("HTTP/2.0", self.curl("/").stdout)

    def test_a_client_that_does_not_read_is_dropped(self):
        daemon = self.start({"limits": {"send_timeout": "1s"}}, fake=True)
        client = self.raw(struct.pack("!HI", 4, 0x7FFFFFFF))
        client.send(frame(WINDOW_UPDATE, 0, 0, struct.pack("!I", 0x7FFFFFFF - 65535)))
        for stream in range(1, 20, 2):
            client.send(request_head(stream, b"/?fault=big"))
        wait_for(lambda: len(self.blue.seen) > 0)
        wait_for(lambda: self.blue.open_now == 0, 20, "the pool's connections to be given up")
        if not SANITIZER:
            self.assertLess(daemon.memory_kib("VmHWM"), 64 * 1024)

    def test_floods_end_the_connection_and_nothing_else(self):
        self.start()
        bystander = self.raw()
        for first, flood in ((b"", frame(PING, 0, 0, b"12345678")), (b"", frame(SETTINGS, 0, 0)),
                             (request_head(3, b"/?do=upload", end=False), frame(DATA, 0, 3)),
                             (frame(HEADERS, 0, 3, b"\x82"), frame(CONTINUATION, 0, 3))):
            client = self.raw()
            client.send(request_head(1, b"/?do=sleep&seconds=0.1") + first)
            threading.Thread(target=self.drown, args=(client, flood), daemon=True).start()
            goodbye = client.until(GOAWAY)
            self.assertEqual(struct.unpack("!I", goodbye[3][4:8])[0], 11)
        bystander.send(request_head(1, b"/"))
        self.assertIsNotNone(bystander.until(HEADERS, 1))

    @staticmethod
    def drown(client, flood):
        try:
            for _ in range(200):
                client.send(flood * 50)
        except OSError:
            pass


if __name__ == "__main__":
    main()
