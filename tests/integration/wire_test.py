"""HTTP/1 byte by byte: what must be refused, what must be taken, and what the backend must see.

A refusal is one answer with a status of 4xx or 5xx, a closed connection, and
nothing at all at the backend. The rules are RFC 9112's, and stricter where
other servers' leniency has been a hole.
"""

import hashlib
import os

from harness import SerinCase, main, wait_for
from http_client import Connection, Closed, exchange

HOST = b"Host: serin.test\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: serin.test\r\n\r\n"


def get(target=b"/first", fields=HOST, version=b"HTTP/1.1"):
    return b"GET " + target + b" " + version + b"\r\n" + fields + b"\r\n"


def post(fields, body=b"", target=b"/first"):
    return b"POST " + target + b" HTTP/1.1\r\n" + HOST + fields + b"\r\n" + body


def chunked(body, fields=b""):
    return post(b"Transfer-Encoding: chunked\r\n" + fields, body)


# name: (bytes, statuses allowed); the bytes are sent at once.
REFUSED = {
    # --- request line ---
    "only a method": (b"GET\r\n" + HOST + b"\r\n", {400}),
    "HTTP/0.9": (b"GET /first\r\n", {400, 505}),
    "HTTP/0.9, bare LF": (b"GET /first\n", {400, 505}),
    "no target": (b"GET  HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    "two spaces before the target": (b"GET  /first HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    "two spaces after the target": (b"GET /first  HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    "two versions": (b"GET /first HTTP/1.1 HTTP/1.1\r\n" + HOST + b"\r\n", {400, 505}),
    "a CR in the target": (get(b"/fi\rrst"), {400}),
    "a control byte in the target": (get(b"/fi\x01rst"), {400}),
    "DEL in the target": (get(b"/fi\x7frst"), {400}),
    "NUL in the method": (b"G\0T /first HTTP/1.1\r\n" + HOST + b"\r\n", {400, 501}),
    "brackets in the method": (b"GE(T) /first HTTP/1.1\r\n" + HOST + b"\r\n", {400, 501}),
    "an unknown method": (b"BREW /first HTTP/1.1\r\n" + HOST + b"\r\n", {501}),
    "CONNECT": (b"CONNECT 127.0.0.1:22 HTTP/1.1\r\n" + HOST + b"\r\n", {400, 403, 405, 501}),
    "a target without a slash": (get(b"first"), {400}),
    "only a query": (get(b"?a=b"), {400}),
    "an ftp target": (get(b"ftp://serin.test/first"), {400}),
    "a user in an absolute target": (get(b"http://user:pw@serin.test/first"), {400}),
    "lines that end in CR": (b"GET /first HTTP/1.1\rHost: serin.test\r\r" + SMUGGLED, {400}),
    "a blank after the version": (b"GET /first HTTP/1.1 \r\n" + HOST + b"\r\n", {400, 505}),
    # --- version ---
    "HTTP/3": (get(version=b"HTTP/3"), {400, 505}),
    "HTTP/2.0 by name": (get(version=b"HTTP/2.0"), {400, 505}),
    "HTTP/1.10": (get(version=b"HTTP/1.10"), {400, 505}),
    "HTTPS/1.1": (get(version=b"HTTPS/1.1"), {400, 505}),
    "http/1.1 in small letters": (get(version=b"http/1.1"), {400, 505}),
    # --- Host ---
    "no Host": (get(fields=b"X-Test: v\r\n"), {400}),
    "two Hosts": (get(fields=HOST + b"Host: other.test\r\n"), {400}),
    "two equal Hosts": (get(fields=HOST + HOST), {400}),
    "a user in Host": (get(fields=b"Host: user@serin.test\r\n"), {400}),
    "a list in Host": (get(fields=b"Host: serin.test, evil.test\r\n"), {400}),
    "a path in Host": (get(fields=b"Host: serin.test/x\r\n"), {400}),
    "a blank in Host": (get(fields=b"Host: serin test\r\n"), {400}),
    "letters for a port": (get(fields=b"Host: serin.test:a\r\n"), {400}),
    "a port beyond 65535": (get(fields=b"Host: serin.test:99999\r\n"), {400}),
    "an open bracket in Host": (get(fields=b"Host: [::1\r\n"), {400}),
    "a scheme in Host": (get(fields=b"Host: http://serin.test\r\n"), {400}),
    # --- fields ---
    "a blank before the colon": (get(fields=HOST + b"X-Test : v\r\n"), {400}),
    "a tab before the colon": (get(fields=HOST + b"X-Test\t: v\r\n"), {400}),
    "no name": (get(fields=HOST + b": v\r\n"), {400}),
    "no colon": (get(fields=HOST + b"X-Test\r\n"), {400}),
    "NUL in a name": (get(fields=HOST + b"X-\0Test: v\r\n"), {400}),
    "8 bits in a name": (get(fields=HOST + b"X-\xe9: v\r\n"), {400}),
    "brackets in a name": (get(fields=HOST + b"X(T: v\r\n"), {400}),
    "NUL in a value": (get(fields=HOST + b"X-Test: a\0b\r\n"), {400}),
    "CR in a value": (get(fields=HOST + b"X-Test: a\rX-Injected: yes\r\n"), {400}),
    "a control byte in a value": (get(fields=HOST + b"X-Test: a\x01b\r\n"), {400}),
    "a folded field": (get(fields=HOST + b"X-Test: a\r\n b\r\n"), {400}),
    "a field folded by a tab": (get(fields=HOST + b"X-Test: a\r\n\tb\r\n"), {400}),
    "a blank before the first field": (get(fields=b" X-Test: v\r\n" + HOST), {400}),
    # --- Content-Length ---
    "a negative length": (post(b"Content-Length: -5\r\n", b"hello"), {400}),
    "a length with a plus": (post(b"Content-Length: +5\r\n", b"hello"), {400}),
    "a hexadecimal length": (post(b"Content-Length: 0x5\r\n", b"hello"), {400}),
    "a length with a blank": (post(b"Content-Length: 5 0\r\n", b"hello"), {400}),
    "an empty length": (post(b"Content-Length:\r\n", b"hello"), {400}),
    "a length of 2^64": (post(b"Content-Length: 18446744073709551616\r\n", b"hello"), {400, 413}),
    "a length of 2^64 + 5": (post(b"Content-Length: 18446744073709551621\r\n", b"hello"), {400, 413}),
    "two lengths": (post(b"Content-Length: 5\r\nContent-Length: 50\r\n", b"hello" + SMUGGLED), {400}),
    "a list of two lengths": (post(b"Content-Length: 5, 50\r\n", b"hello" + SMUGGLED), {400}),
    "a folded length": (post(b"Content-Length: \r\n 5\r\n", b"hello"), {400}),
    "a length with a letter": (post(b"Content-Length: 5a\r\n", b"hello"), {400}),
    # --- Transfer-Encoding ---
    "length and chunked": (post(b"Content-Length: 50\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + SMUGGLED), {400}),
    "chunked and length": (post(b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", b"0\r\n\r\n" + SMUGGLED), {400}),
    "HTTP/1.0 with chunked": (b"POST /first HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\n"
                              b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, {400, 501}),
    **{"coding %r" % value: (post(b"Transfer-Encoding: " + value + b"\r\n", b"5\r\nhello\r\n0\r\n\r\n" + SMUGGLED),
                             {400, 501})
       for value in (b"xchunked", b"chunked, gzip", b"gzip", b"identity", b"identity, chunked", b"chunked, identity",
                     b"chunked, chunked", b"chunked;q=1", b'"chunked"', b"chunked,", b", chunked", b"chun ked",
                     b"chunked x", b"\x0bchunked", b"chunked\0", b"chunked-", b"cow", b"")},
    "two codings": (post(b"Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + SMUGGLED),
                    {400, 501}),
    "a blank before the coding's colon": (post(b"Content-Length: 5\r\nTransfer-Encoding : chunked\r\n",
                                               b"0\r\n\r\n" + SMUGGLED), {400}),
    "a coding after a lone CR": (post(b"Content-Length: 5\r\nX: y\rTransfer-Encoding: chunked\r\n",
                                      b"0\r\n\r\n" + SMUGGLED), {400}),
    # --- chunks ---
    **{"chunk size %r" % size: (chunked(size + b"\r\nhello\r\n0\r\n\r\n" + SMUGGLED), {400})
       for size in (b"+5", b"-5", b"0x5", b"5g", b"", b" 5", b"5 x", b"5,", b"5.0", b"5\0", b"\x0b5", b"x",
                    b"10000000000000005", b"FFFFFFFFFFFFFFFF", b"5;a=\rb")},
    "a chunk size that ends in LF": (chunked(b"5\nhello\r\n0\r\n\r\n" + SMUGGLED), {400}),
    "a chunk that ends in LF": (chunked(b"5\r\nhello\n0\r\n\r\n" + SMUGGLED), {400}),
    "a chunk without an end": (chunked(b"5\r\nhello0\r\n\r\n" + SMUGGLED), {400}),
    "a chunk longer than its size": (chunked(b"5\r\nhelloXX\r\n0\r\n\r\n" + SMUGGLED), {400}),
    "a last chunk that ends in LF": (chunked(b"5\r\nhello\r\n0\n\n" + SMUGGLED), {400}),
    # --- paths ---
    **{"path %r" % path: (get(path), {400, 403, 404})
       for path in (b"/%00", b"/index.php%00.jpg", b"/a.php%0a", b"/a%0d.php", b"/%zz", b"/%", b"/%4")},
    # --- other protocols ---
    "a PROXY line nobody asked for": (b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + get(), {400, 501}),
    "FastCGI": (b"\x01\x01\0\x01\0\x08\0\0\0\x01\0\0\0\0\0\0\r\n\r\n", {400, 501, None}),
    "TLS": (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"\0" * 300 + b"\r\n\r\n", {400, 501, None}),
}

# name: (bytes, params the backend must see, body)
TAKEN = {
    "a plain GET": (get(), {"REQUEST_METHOD": "GET", "REQUEST_URI": "/first"}, b""),
    "an empty value": (get(fields=HOST + b"X-Test:\r\n"), {"HTTP_X_TEST": ""}, b""),
    "a value without a blank": (get(fields=HOST + b"X-Test:v\r\n"), {"HTTP_X_TEST": "v"}, b""),
    "blanks around a value": (get(fields=HOST + b"X-Test: \t v \t\r\n"), {"HTTP_X_TEST": "v"}, b""),
    "8 bits in a value": (get(fields=HOST + b"X-Test: \xc3\xa9\r\n"), {"HTTP_X_TEST": "\xc3\xa9"}, b""),
    "a repeated field": (get(fields=HOST + b"X-Test: 1\r\nX-Test: 2\r\n"), {"HTTP_X_TEST": "1, 2"}, b""),
    "cookies in two lines": (get(fields=HOST + b"Cookie: a=1\r\nCookie: b=2\r\n"), {"HTTP_COOKIE": "a=1; b=2"}, b""),
    "a length": (post(b"Content-Length: 5\r\n", b"hello"), {"CONTENT_LENGTH": "5"}, b"hello"),
    "no length": (post(b""), {"CONTENT_LENGTH": ("", "0", None)}, b""),
    "chunks": (chunked(b"1\r\nh\r\n2\r\nel\r\n2\r\nlo\r\n0\r\n\r\n"), {"CONTENT_LENGTH": "5"}, b"hello"),
    "capitals in the coding": (post(b"tRANSFER-eNCODING: CHUNKED\r\n", b"5\r\nhello\r\n0\r\n\r\n"), {}, b"hello"),
    "chunk extensions": (chunked(b"5;name=value\r\nhello\r\n0;last\r\n\r\n"), {}, b"hello"),
    "trailers, dropped": (chunked(b"5\r\nhello\r\n0\r\nX-Trail: t\r\nHost: evil.test\r\n\r\n"),
                          {"HTTP_X_TRAIL": None, "HTTP_HOST": "serin.test"}, b"hello"),
    "leading zeros of a chunk size": (chunked(b"0005\r\nhello\r\n0\r\n\r\n"), {}, b"hello"),
    "an empty line before the request": (b"\r\n" + get(), {}, b""),
    "an absolute target wins over Host": (get(b"http://other.test:8080/first?x=1", HOST),
                                          {"HTTP_HOST": "other.test:8080", "QUERY_STRING": "x=1"}, b""),
    "a port in Host": (get(fields=b"Host: serin.test:8081\r\n"),
                       {"HTTP_HOST": "serin.test:8081", "SERVER_NAME": "serin.test", "SERVER_PORT": "8081"}, b""),
    "an IPv6 Host": (get(fields=b"Host: [::1]:80\r\n"), {"HTTP_HOST": "[::1]:80"}, b""),
    "a raw query": (get(b"/first?a=%00b&c=%0d%0a&e=/../f"), {"QUERY_STRING": "a=%00b&c=%0d%0a&e=/../f"}, b""),
    "httpoxy": (get(fields=HOST + b"Proxy: http://evil.test\r\n"), {"HTTP_PROXY": None}, b""),
    "an underscore": (get(fields=HOST + b"X-Real-Test: good\r\nX_Real_Test: evil\r\n"), {"HTTP_X_REAL_TEST": "good"}, b""),
    "an underscored coding": (post(b"Content-Length: 5\r\nTransfer_Encoding: chunked\r\n", b"hello"),
                              {"HTTP_TRANSFER_ENCODING": None}, b"hello"),
    "Connection naming Host": (get(fields=HOST + b"Connection: Host\r\n"), {"HTTP_HOST": "serin.test"}, b""),
    "h2c by Upgrade, not taken up": (get(fields=HOST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                                         b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n"), {}, b""),
    "dots in a path": (get(b"/a/./b/../first"), {"REQUEST_URI": "/a/./b/../first"}, b""),
    "PATCH": (b"PATCH /first HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\n{}", {"REQUEST_METHOD": "PATCH"}, b"{}"),
    "DELETE with a body": (b"DELETE /first HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\n{}", {}, b"{}"),
    "20,000 chunks of a byte": (chunked(b"1\r\nx\r\n" * 20000 + b"0\r\n\r\n"), {"CONTENT_LENGTH": "20000"}, None),
}

# Sent in parts, or cut: nothing of it may look whole to the backend.
UNFINISHED = {
    "reset in a field": [b"GET /first HTTP/1.1\r\nHost: ser", "reset"],
    "closed in the head": [b"GET /first HTTP/1.1\r\n" + HOST, "shutdown"],
    "closed in the request line": [b"GET /fir", "shutdown"],
    "closed at once": ["shutdown"],
    "closed in a body": [post(b"Content-Length: 10\r\n", b"hello"), 0.1, "shutdown"],
    "reset in a body": [post(b"Content-Length: 10\r\n", b"hello"), 0.1, "reset"],
    "closed in a chunk": [chunked(b"5\r\nhel"), 0.1, "shutdown"],
    "reset before the last chunk": [chunked(b"5\r\nhello\r\n"), 0.1, "reset"],
    "closed in the trailers": [chunked(b"5\r\nhello\r\n0\r\nX-T: 1"), 0.1, "shutdown"],
}


class WireCase(SerinCase):
    def setUp(self):
        super().setUp()
        self.fakes_for_pools()
        self.root = self.script("root", "index.php", "")
        self.daemon = self.serin(blue_root=self.root, green_root=self.root)

    def backend(self):
        return self.blue.seen + self.green.seen

    def clear(self):
        self.blue.reset_counts()
        self.green.reset_counts()

    def send(self, steps, **kwargs):
        return exchange(self.daemon.address, steps if isinstance(steps, list) else [steps], **kwargs)

    def check_invariants(self):
        """Whatever was sent, a request that reaches PHP looks like this."""
        for request in self.backend():
            self.assertEqual(request.problems, [])
            names = [name for name, _ in request.params]
            self.assertEqual(len(names), len(set(names)), "a param twice: %r" % names)
            self.assertNotIn("/smuggled", request.param("REQUEST_URI", ""))
            script = request.param("SCRIPT_FILENAME", "")
            self.assertTrue(script.startswith(os.path.realpath(self.root) + "/") and script.endswith(".php"), script)
            self.assertNotIn("..", script.split("/"))


class RefusedTest(WireCase):
    def test_what_must_be_refused(self):
        for name, (data, statuses) in REFUSED.items():
            with self.subTest(name):
                self.clear()
                responses, end = self.send(data)
                status = responses[0].status if responses else None
                self.assertIn(status, statuses, responses)
                self.assertEqual(len(responses), 1 if status else 0, "one answer, then nothing")
                self.assertEqual(end, "closed", "the rest of the connection means nothing")
                self.assertEqual(self.backend(), [])
                if responses:
                    self.assertEqual(responses[0].problems, [])
                    self.assertTrue(responses[0].complete)

    def test_a_refusal_ends_the_pipeline_but_not_what_came_before(self):
        responses, end = self.send(get(b"/one") + get(b"/two") + b"BAD\r\n\r\n" + SMUGGLED)
        self.assertEqual([r.status for r in responses], [200, 200, 400])
        self.assertEqual(end, "closed")
        self.check_invariants()

    def test_what_is_too_large_is_refused_while_it_is_still_coming(self):
        cases = {"target": ([b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"], {414, 431}),
                 "field": ([get(fields=HOST + b"X-Big: " + b"v" * 70000 + b"\r\n")], {431}),
                 "field of 4 MB": ([get(fields=HOST + b"X-Big: " + b"v" * 4194304 + b"\r\n")], {431}),
                 "2,000 fields": ([get(fields=HOST + b"X-A: 1\r\n" * 2000)], {431}),
                 "endless fields": ([b"GET / HTTP/1.1\r\n" + HOST] + [b"X-A: 1\r\n" * 1000] * 200, {431}),
                 "Host": ([get(fields=b"Host: " + b"a" * 5000 + b"\r\n")], {400, 431}),
                 "chunk extension": ([chunked(b"5;" + b"x" * 70000 + b"\r\nhello\r\n0\r\n\r\n")], {400, 431}),
                 "trailers": ([chunked(b"5\r\nhello\r\n0\r\n" + b"X-T: vvvvvvvv\r\n" * 9000 + b"\r\n")], {400, 413, 431}),
                 "junk": ([b"\xff" * 4096 * 40], {400, 414, 431, 501})}
        for name, (steps, statuses) in cases.items():
            with self.subTest(name):
                self.clear()
                responses, end = self.send(steps)
                self.assertIn(responses[0].status if responses else None, statuses)
                self.assertEqual((len(responses), end), (1, "closed"))
                self.assertEqual(self.backend(), [])


class TakenTest(WireCase):
    def test_what_must_be_taken(self):
        for name, (data, params, body) in TAKEN.items():
            with self.subTest(name):
                self.clear()
                responses, _ = self.send(data, count=1)
                self.assertEqual([r.status for r in responses], [200], responses)
                self.assertEqual([r.problems for r in responses if r.problems], [])
                seen = self.backend()
                self.assertEqual(len(seen), 1)
                for key, value in params.items():
                    allowed = value if isinstance(value, tuple) else (value,)
                    self.assertIn(seen[0].param(key), allowed, key)
                if body is not None:
                    self.assertEqual(seen[0].body, body)
                self.check_invariants()

    def test_every_split_of_a_request_is_the_same_request(self):
        data = post(b"Transfer-Encoding: chunked\r\nX-Test: v\r\n", b"5\r\nhello\r\n0\r\n\r\n")
        for cut in range(1, len(data), 3):
            self.clear()
            responses, _ = self.send([data[:cut], 0.002, data[cut:]], count=1, quiet=0.01)
            self.assertEqual([r.status for r in responses], [200], cut)
            self.assertEqual(self.backend()[0].body, b"hello", cut)

    def test_a_request_byte_by_byte(self):
        data = post(b"Content-Length: 5\r\n", b"hello")
        with Connection(self.daemon.address) as connection:
            for i in range(len(data)):
                connection.send(data[i:i + 1])
            self.assertEqual(connection.response().status, 200)
        self.assertEqual(self.backend()[0].body, b"hello")

    def test_a_pipeline_of_mixed_requests_keeps_its_order(self):
        data = (get(b"/a?id=1") + chunked(b"5\r\nhello\r\n0\r\n\r\n") + b"HEAD /h?id=3 HTTP/1.1\r\n" + HOST + b"\r\n" +
                post(b"Content-Length: 3\r\n", b"abc") + get(b"/b?id=5"))
        responses, _ = self.send(data, count=5, methods=("GET", "POST", "HEAD", "POST", "GET"))
        self.assertEqual([r.status for r in responses], [200] * 5)
        self.assertIn("id=1 ", responses[0].text)
        self.assertEqual(responses[2].body, b"")
        self.assertIn("id=5 ", responses[4].text)
        self.check_invariants()

    def test_nothing_after_connection_close_is_served(self):
        responses, end = self.send(get(fields=HOST + b"Connection: keep-alive, Close\r\n") + SMUGGLED)
        self.assertEqual(([r.status for r in responses], end), ([200], "closed"))
        self.assertEqual(len(self.backend()), 1)

    def test_close_is_seen_with_a_tab_behind_it(self):
        responses, end = self.send(get(fields=HOST + b"Connection: close\t\r\n") + SMUGGLED)
        self.assertEqual(([r.status for r in responses], end), ([200], "closed"))

    def test_a_body_is_never_taken_for_a_request(self):
        for name, fields, method in (("Upgrade", b"Connection: Upgrade\r\nUpgrade: websocket\r\n", b"POST"),
                                     ("GET", b"", b"GET"), ("TRACE", b"", b"TRACE"), ("OPTIONS", b"", b"OPTIONS"),
                                     ("Expect", b"Expect: nonsense\r\n", b"POST")):
            with self.subTest(name):
                self.clear()
                data = method + b" /first HTTP/1.1\r\n" + HOST + fields + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED)
                self.send(data + SMUGGLED, timeout=1.0, count=1)
                self.check_invariants()
                self.assertLessEqual(len(self.backend()), 1)

    def test_paths_that_look_like_scripts_never_leave_the_root(self):
        self.script(".", "outside.php", "")
        self.write("root/picture.jpg", "x")
        for path in ("/../outside.php", "/a/b/../../../outside.php", "/%2e%2e/outside.php", "/..%2foutside.php",
                     "/%252e%252e/outside.php", "/..\\outside.php", "/..;/outside.php", "/index.php/../../outside.php",
                     "/index.php/%2e%2e/%2e%2e/outside.php", "/picture.jpg/.php", "/INDEX.PHP", "//evil.test/index.php",
                     "/index.php%20", "/shell.%EF%BD%90hp", "/index%3Fx=.php", "/`id`.php", "/proc/self/environ",
                     "/a.php/b.php/c.php", "/index.php/", "/caf%C3%A9/index.php", "/" + "a" * 3000 + ".php"):
            with self.subTest(path):
                self.clear()
                responses, _ = self.send(get(path.encode()), count=1, quiet=0.02)
                self.assertEqual(len(responses), 1)
                self.check_invariants()


class UnfinishedTest(WireCase):
    def test_nothing_unfinished_reaches_a_pool(self):
        for name, steps in UNFINISHED.items():
            with self.subTest(name):
                self.clear()
                responses, _ = self.send(steps, timeout=1.0)
                self.assertEqual([r.status for r in responses if r.status < 400], [])
                self.assertEqual(self.backend(), [])
        self.assertEqual(self.daemon.get("/").status, 200)

    def test_a_client_that_closes_its_side_still_gets_its_answer(self):
        responses, end = self.send([get(), "shutdown"])
        self.assertEqual(([r.status for r in responses], end), ([200], "closed"))

    def test_a_client_that_leaves_while_waiting_frees_its_connection(self):
        """Over TCP that is a reset, over a unix socket (nginx before us) a hang-up: no PHP worker is held for nobody."""
        port = self.port()
        daemon = self.serin({"listen": [{"address": "127.0.0.1:%d" % port, "protocol": "http"},
                                        {"address": "unix:" + self.path("left.sock"), "protocol": "http"}],
                             "admin": {"socket": self.path("left-admin.sock")},
                             "state": {"directory": self.folder("left-state")}}, name="left", blue_root=self.root,
                            green_root=self.root)
        for address in (daemon.address, "unix:" + self.path("left.sock")):
            with self.subTest(address.partition(":")[0]):
                for _ in range(5):
                    exchange(address, [get(b"/?fault=hang"), 0.05, "reset"])
                wait_for(lambda: self.blue.open_now == 0, 10, "the backend connections to be closed")

    def test_all_of_this_leaves_no_file_open(self):
        self.daemon.get("/")
        before = self.daemon.open_files()
        for steps in list(UNFINISHED.values())[:4] * 5:
            self.send(steps, timeout=0.5)
        wait_for(lambda: self.daemon.open_files() <= before + 2, 10, "the connections to be closed")


if __name__ == "__main__":
    main()
