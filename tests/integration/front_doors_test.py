"""What stands before the HTTP listeners: load balancers with PROXY headers, nginx with TLS and with files."""

import json
import os
import shutil
import socket
import struct
import time
import unittest

from front_nginx import shipped, start
from harness import Load, SerinCase, main, wait_for
from http_client import Connection, connect, fetch

SHOW = "header('Content-Type: application/json'); echo json_encode(['server' => $_SERVER, " \
       "'release' => basename(dirname(__DIR__)), 'length' => strlen(file_get_contents('php://input'))]);"
GET = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command=1, family=0x11, payload=b""):
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, family, len(payload)) + payload


def inet(peer="203.0.113.7", peer_port=40000, local="192.0.2.1", local_port=8443):
    return socket.inet_aton(peer) + socket.inet_aton(local) + struct.pack("!HH", peer_port, local_port)


class DoorsCase(SerinCase):
    """One PHP-FPM behind both pools' roots, and `listen` of the test's."""

    listen = ()
    server = {}
    limits = {}

    def setUp(self):
        super().setUp()
        self.roots = {pool: self.script(pool + "/public", "index.php", SHOW) for pool in ("blue", "green")}
        self.masters = {pool: self.fpm(pool, root, children=4) for pool, root in self.roots.items()}
        self.log = self.path("access.log")
        self.tcp = "127.0.0.1:%d" % self.port()
        self.daemon = self.serin({
            "server": {"pool_header": "X-Serin-Pool", **self.server}, "limits": self.limits, "listen": self.listeners(),
            "pools": {pool: {"max_connections": 4} for pool in ("blue", "green")},
            "access_log": {"target": "file", "path": self.log}, **self.more()},
            blue=self.masters["blue"].address, green=self.masters["green"].address,
            blue_root=self.roots["blue"], green_root=self.roots["green"])

    def listeners(self):
        return [{"address": "unix:" + self.path("http.sock"), "protocol": "http"}]

    def more(self):
        return {}

    def certificate(self):
        files = self.path("cert.pem"), self.path("key.pem")
        self.command(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=serin.test",
                      "-addext", "subjectAltName=DNS:serin.test", "-keyout", files[1], "-out", files[0]])
        for file in files:
            os.chmod(file, 0o644)
        return files


class ProxyProtocolTest(DoorsCase):
    server = {"trusted_proxies": ["unix:", "127.0.0.0/8", "10.0.0.0/8"]}
    limits = {"head_timeout": "1s"}

    def listeners(self):
        self.tls = "127.0.0.1:%d" % self.port()
        self.files = self.certificate()
        return [{"address": "unix:" + self.path("proxied.sock"), "protocol": "http", "proxy_protocol": True},
                {"address": self.tcp, "protocol": "http", "proxy_protocol": True},
                {"address": self.tls, "protocol": "https", "proxy_protocol": True}]

    def more(self):
        return {"tls": {"certificate": self.files[0], "key": self.files[1]}}

    def talk(self, data, address=None, steps=1):
        """-> $_SERVER of the answer, or None when the connection was closed without one."""
        with Connection(address or "unix:" + self.path("proxied.sock")) as connection:
            try:
                size = -(-len(data) // steps)
                for at in range(0, len(data), size):
                    connection.send(data[at:at + size])
                    if steps > 1:
                        time.sleep(0.001)
                return json.loads(connection.response().text)["server"]
            except (ConnectionError, BrokenPipeError):
                return None
            except Exception as error:  # http_client.Closed
                self.assertEqual(type(error).__name__, "Closed")
                return None

    def test_both_versions_name_the_client(self):
        line = b"PROXY TCP4 203.0.113.7 192.0.2.1 40000 8443\r\n"
        for header in (line, v2(payload=inet()), v2(payload=inet() + b"\x04\x00\x60" + b"n" * 96)):
            for address in (None, self.tcp):
                for steps in (1, 2, len(header) + 3):
                    seen = self.talk(header + GET, address, steps)
                    self.assertEqual((seen["REMOTE_ADDR"], seen["REMOTE_PORT"], seen["SERVER_ADDR"], seen["SERVER_PORT"]),
                                     ("203.0.113.7", "40000", "192.0.2.1", "8443"))
        seen = self.talk(b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 8443\r\n" + GET)
        self.assertEqual(seen["REMOTE_ADDR"], "2001:db8::7")
        with open(self.log) as file:
            self.assertIn("203.0.113.7", {json.loads(line)["client"] for line in file})

    def test_the_named_client_is_trusted_only_if_it_is_a_trusted_proxy(self):
        forwarded = GET.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 198.51.100.9\r\n\r\n")
        self.assertEqual(self.talk(b"PROXY TCP4 203.0.113.7 1.1.1.1 1 2\r\n" + forwarded)["REMOTE_ADDR"], "203.0.113.7")
        self.assertEqual(self.talk(b"PROXY TCP4 10.1.2.3 1.1.1.1 1 2\r\n" + forwarded)["REMOTE_ADDR"], "198.51.100.9")

    def test_a_header_that_vouches_for_nobody_leaves_the_connections_addresses(self):
        for header in (b"PROXY UNKNOWN\r\n", v2(command=0), v2(command=0, payload=inet()), v2(family=0)):
            self.assertEqual(self.talk(header + GET, self.tcp)["REMOTE_ADDR"], "127.0.0.1", header)

    def test_without_a_good_header_nothing_is_answered(self):
        for data in (GET, b"PROXY TCP4 1.2.3.4\r\n" + GET, b"PROXY TCP4 x y 1 2\r\n" + GET, v2(command=5) + GET,
                     v2(family=0x11, payload=b"short") + GET, b"PROXY UNKNOWN" + b"x" * 200 + b"\r\n" + GET):
            self.assertIsNone(self.talk(data), data)

    def test_a_client_that_says_nothing_is_not_waited_for_longer_than_for_a_head(self):
        for data in (b"", b"PROXY TCP4 1.2", SIGNATURE):
            with Connection(self.tcp, 10) as connection:
                connection.send(data)
                self.assertFalse(connection.fill())

    def test_tls_follows_the_header(self):
        result = self.command(["curl", "-sk", "--haproxy-protocol", "https://" + self.tls + "/"])
        seen = json.loads(result.stdout)["server"]
        self.assertEqual((seen["REMOTE_ADDR"], seen["HTTPS"]), ("127.0.0.1", "on"))

    @unittest.skipUnless(shutil.which("haproxy"), "needs haproxy")
    def test_haproxy_speaks_both_versions(self):
        doors = {version: "127.0.0.1:%d" % self.port() for version in ("send-proxy", "send-proxy-v2",
                                                                       "send-proxy-v2 ssl verify none")}
        text = "defaults\n mode tcp\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n"
        for number, (version, door) in enumerate(doors.items()):
            target = self.tls if "ssl" in version else self.tcp
            text += "listen door%d\n bind %s\n server serin %s %s\n" % (number, door, target, version)
        self.spawn("haproxy", ["haproxy", "-db", "-f", self.write("haproxy.cfg", text)])
        for door in doors.values():
            def up(address=door):
                try:
                    connect(address, 1).close()
                    return True
                except OSError:
                    return False
            wait_for(up)
            with Connection(door) as connection:
                own = "%s:%d" % connection.sock.getsockname()
                seen = json.loads(connection.request("GET", "/").text)["server"]
            self.assertEqual("%s:%s" % (seen["REMOTE_ADDR"], seen["REMOTE_PORT"]), own)


class TlsAtNginxTest(DoorsCase):
    def setUp(self):
        super().setUp()
        certificate, key = self.certificate()
        self.secure, self.plain = "127.0.0.1:%d" % self.port(), "127.0.0.1:%d" % self.port()
        for pool in ("blue", "green"):
            self.write("%s/public/app.%s.css" % (pool, pool), pool)
        text = shipped(self, "serin-tls.conf", ("/run/serin/http.sock", self.path("http.sock")),
                       ("/etc/serin/tls/fullchain.pem", certificate), ("/etc/serin/tls/privkey.pem", key),
                       ("/srv/app/blue/public", self.roots["blue"]), ("/srv/app/green/public", self.roots["green"]),
                       ("listen 80;", "listen %s;" % self.plain),
                       ("listen 443 ssl http2;", "listen %s ssl http2;" % self.secure))
        start(self, text, self.secure)

    def curl(self, target, *arguments):
        """-> (status, HTTP version, body) by curl over TLS."""
        host, port = self.secure.split(":")
        result = self.command(["curl", "-sk", "--resolve", "serin.test:%s:%s" % (port, host), "-w",
                               "\n%{http_code} %{http_version}", *arguments, "https://serin.test:%s%s" % (port, target)])
        body, _, end = result.stdout.rpartition("\n")
        status, version = end.split()
        return int(status), version, body

    def test_pages_over_http2_and_http1(self):
        for flag, version in (("--http2", "2"), ("--http1.1", "1.1")):
            for percent, pool in ((0, "blue"), (100, "green")):
                self.daemon.set_weight(percent)
                status, spoken, body = self.curl("/page?x=1", flag)
                seen = json.loads(body)
                self.assertEqual((status, spoken, seen["release"]), (200, version, pool))
                self.assertEqual((seen["server"]["HTTPS"], seen["server"]["REQUEST_SCHEME"], seen["server"]["REMOTE_ADDR"],
                                  seen["server"]["HTTP_HOST"], seen["server"]["REQUEST_URI"]),
                                 ("on", "https", "127.0.0.1", "serin.test:" + self.secure.split(":")[1],
                                  "/page?x=1"))

    def test_uploads_files_of_both_releases_and_the_redirect_to_tls(self):
        upload = self.write("upload.bin", os.urandom(3_000_000))
        status, _, body = self.curl("/", "--http2", "--data-binary", "@" + upload)
        self.assertEqual((status, json.loads(body)["length"]), (200, 3_000_000))
        for pool in ("blue", "green"):
            self.assertEqual(self.curl("/app.%s.css" % pool)[2], pool)
        self.assertEqual(json.loads(self.curl("/missing.css")[2])["server"]["REQUEST_URI"], "/missing.css")
        self.assertEqual(self.curl("/.git/config")[0], 404)
        self.assertEqual(fetch(self.plain, "/a?b").header("Location"), "https://serin.test/a?b")


class HttpBehindNginxTest(DoorsCase):
    def setUp(self):
        super().setUp()
        for pool in ("blue", "green"):
            self.write("%s/public/app.%s.css" % (pool, pool), pool)
        text = shipped(self, "serin-http.conf", ("/run/serin/http.sock", self.path("http.sock")),
                       ("/srv/app/blue/public", self.roots["blue"]), ("/srv/app/green/public", self.roots["green"]),
                       ("listen 80;", "listen %s;" % self.tcp))
        start(self, text, self.tcp)

    def test_files_of_both_releases(self):
        for percent in (0, 100):
            self.daemon.set_weight(percent)
            for pool in ("blue", "green"):
                self.assertEqual(fetch(self.tcp, "/app.%s.css" % pool).text, pool)
        self.assertNotIn("<?php", fetch(self.tcp, "/index.php").text)

    def test_shares_over_http(self):
        self.daemon.set_weight(25)
        with Load(self.tcp, threads=3) as load:
            wait_for(lambda: load.count() >= 600, 60)
            results = load.stop()
        self.assertEqual([problem or response.status for _, response, problem, _ in results
                          if problem or response.status != 200], [])
        canary = sum(json.loads(response.text)["release"] == "green" for _, response, _, _ in results)
        self.assertAlmostEqual(canary, len(results) / 4, delta=1.5)

    def test_ids_are_begun_unless_that_is_off(self):
        server = json.loads(fetch(self.tcp, "/").text)["server"]
        self.assertEqual(server["HTTP_TRACEPARENT"][3:35], server["HTTP_X_REQUEST_ID"])
        config = self.daemon.config
        config["server"]["request_ids"] = False
        self.daemon.write_config(config)
        self.daemon.stop()
        self.daemon.start()
        server = json.loads(fetch(self.tcp, "/", headers=[("X-Request-ID", "any thing")]).text)["server"]
        self.assertNotIn("HTTP_TRACEPARENT", server)
        self.assertEqual(server["HTTP_X_REQUEST_ID"], "any thing")


if __name__ == "__main__":
    main()
