"""Requests through Serin to a real PHP-FPM: what PHP sees and what comes back."""

import json
import os

from harness import SerinCase, main
from http_client import Connection, fetch, format_request

ECHO = r"""
header('Content-Type: application/json');
$server = array_filter($_SERVER, 'is_string');
echo json_encode(['server' => $server, 'get' => $_GET, 'post' => $_POST, 'cookie' => $_COOKIE,
    'body' => base64_encode(file_get_contents('php://input'))]);
"""


class BasicsTest(SerinCase):
    def setUp(self):
        super().setUp()
        self.root = self.script("app/public", "index.php", ECHO)
        self.script("app/public", "second.php", "header('Content-Type: application/json');"
                    "echo json_encode(['second' => true, 'info' => $_SERVER['PATH_INFO'] ?? null,"
                    " 'script' => $_SERVER['SCRIPT_NAME'], 'server' => array_filter($_SERVER, 'is_string')]);")
        self.script("app/public/admin", "index.php", "echo 'admin index';")
        self.script("app", "secret.php", "echo 'must never run';")
        self.write("app/public/picture.jpg", "<?php echo 'must never run';")
        self.fpm_blue = self.fpm("blue", self.root)
        self.daemon = self.serin(blue=self.fpm_blue.address, blue_root=self.root)

    def seen(self, target="/", **kwargs):
        response = self.daemon.get(target, **kwargs)
        self.assertEqual(response.status, 200, response)
        self.assertEqual(response.problems, [])
        return json.loads(response.text)

    def test_php_sees_a_plain_get_as_a_web_server_would_show_it(self):
        server = self.seen("/some/page?a=1&b=%00x")["server"]
        expected = {"REQUEST_METHOD": "GET", "REQUEST_URI": "/some/page?a=1&b=%00x", "QUERY_STRING": "a=1&b=%00x",
                    "SCRIPT_NAME": "/index.php", "SERVER_PROTOCOL": "HTTP/1.1", "GATEWAY_INTERFACE": "CGI/1.1",
                    "HTTP_HOST": "serin.test", "SERVER_NAME": "serin.test", "REDIRECT_STATUS": "200",
                    "SCRIPT_FILENAME": os.path.realpath(self.root) + "/index.php",
                    "DOCUMENT_ROOT": os.path.realpath(self.root)}
        for name, value in expected.items():
            self.assertEqual(server.get(name), value, name)
        self.assertIn("serin", server["SERVER_SOFTWARE"].lower())

    def test_a_form_arrives(self):
        body = b"name=Ann+B&text=%C3%BC"
        seen = self.seen("/", method="POST", body=body, headers=[
            ("Content-Type", "application/x-www-form-urlencoded")])
        self.assertEqual(seen["post"], {"name": "Ann B", "text": "ü"})
        self.assertEqual(seen["server"]["CONTENT_LENGTH"], str(len(body)))
        self.assertEqual(seen["server"]["CONTENT_TYPE"], "application/x-www-form-urlencoded")

    def test_a_chunked_body_gets_its_length(self):
        raw = (b"PUT /item HTTP/1.1\r\nHost: serin.test\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n")
        with Connection(self.daemon.address) as connection:
            connection.send(raw)
            seen = json.loads(connection.response().text)
        self.assertEqual(seen["server"]["CONTENT_LENGTH"], "11")
        self.assertNotIn("HTTP_TRANSFER_ENCODING", seen["server"])
        self.assertEqual(seen["body"], "aGVsbG8gd29ybGQ=")

    def test_cookies_of_two_lines_are_joined(self):
        seen = self.seen("/", headers=[("Cookie", "a=1"), ("Cookie", "b=2")])
        self.assertEqual({key: seen["cookie"].get(key) for key in "ab"}, {"a": "1", "b": "2"})

    def test_a_script_is_found_by_its_name(self):
        response = self.daemon.get("/second.php?x=1")
        self.assertTrue(json.loads(response.text)["second"])
        self.assertEqual(json.loads(response.text)["script"], "/second.php")

    def test_path_info_follows_the_script(self):
        seen = json.loads(self.daemon.get("/second.php/2024/may").text)
        self.assertEqual(seen["info"], "/2024/may")
        self.assertEqual(seen["script"], "/second.php")

    def test_a_folder_runs_its_own_index(self):
        self.assertEqual(self.daemon.get("/admin/").text, "admin index")

    def test_nothing_but_php_under_the_root_runs(self):
        for target in ("/picture.jpg/x.php", "/picture.jpg", "/../secret.php", "/%2e%2e/secret.php",
                       "/index.php/../../secret.php", "/..%2fsecret.php", "/picture.jpg%00.php", "/secret.php%0a"):
            response = self.daemon.get(target)
            self.assertNotIn("must never run", response.text, target)

    def test_a_script_that_is_not_there_is_not_found(self):
        response = self.daemon.get("/missing.php")
        # Either the front controller takes it (as WordPress wants) or it is 404; never FPM's "No input file".
        self.assertIn(response.status, (200, 404))
        self.assertNotIn("No input file", response.text)

    def test_head_has_the_fields_and_no_body(self):
        with Connection(self.daemon.address) as connection:
            response = connection.request("HEAD", "/")
            self.assertEqual((response.status, response.body), (200, b""))
            self.assertEqual(connection.request("GET", "/").status, 200)

    def test_a_connection_is_kept_for_many_requests(self):
        with Connection(self.daemon.address) as connection:
            for i in range(50):
                response = connection.request("GET", "/?n=%d" % i)
                self.assertEqual(json.loads(response.text)["get"]["n"], str(i))

    def test_pipelined_requests_are_answered_in_order(self):
        with Connection(self.daemon.address) as connection:
            connection.send(b"".join(format_request("GET", "/?n=%d" % i) for i in range(20)))
            answers = [json.loads(connection.response().text)["get"]["n"] for _ in range(20)]
        self.assertEqual(answers, [str(i) for i in range(20)])

    def test_http_1_0_is_answered_without_chunks_and_closed(self):
        with Connection(self.daemon.address) as connection:
            connection.send(b"GET /old HTTP/1.0\r\nHost: serin.test\r\n\r\n")
            response = connection.response()
            self.assertEqual(response.status, 200)
            self.assertIn(response.framing, ("close", "length"))
            self.assertEqual(json.loads(response.text)["server"]["SERVER_PROTOCOL"], "HTTP/1.0")
            self.assertFalse(connection.fill(), "the connection must be closed")

    def test_expect_100_continue_is_answered_before_the_body(self):
        with Connection(self.daemon.address) as connection:
            connection.send(b"POST / HTTP/1.1\r\nHost: serin.test\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            self.assertTrue(connection.fill())
            self.assertTrue(connection.buffer.startswith(b"HTTP/1.1 100 "), connection.buffer)
            connection.send(b"hi")
            response = connection.response()
            self.assertEqual((response.status, response.interim), (200, [100]))

    def test_the_client_and_the_scheme_come_from_a_trusted_proxy(self):
        server = self.seen("/", headers=[("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https"),
                                         ("X-Forwarded-Host", "shop.example")])["server"]
        self.assertEqual(server["REMOTE_ADDR"], "203.0.113.9")
        self.assertEqual(server.get("HTTPS"), "on")
        self.assertEqual(server["SERVER_NAME"], "shop.example")

    def test_no_header_can_pose_as_a_variable_of_the_server(self):
        server = self.seen("/", headers=[("Proxy", "http://evil.test:3128"), ("X_Real_Ip", "6.6.6.6"),
                                         ("Https", "on"), ("Remote-Addr", "6.6.6.6")])["server"]
        self.assertNotIn("HTTP_PROXY", server)
        self.assertNotIn("HTTP_X_REAL_IP", server)
        self.assertNotIn("HTTPS", server)
        self.assertNotEqual(server.get("REMOTE_ADDR"), "6.6.6.6")

    def test_a_header_of_50_kb_reaches_php(self):
        value = "v" * 50000
        self.assertEqual(self.seen("/", headers=[("X-Big", value)])["server"]["HTTP_X_BIG"], value)

    def test_no_pool_header_unless_asked_for(self):
        self.assertIsNone(self.daemon.get("/").header("X-Serin-Pool"))


class AddressTest(SerinCase):
    def test_an_untrusted_peer_cannot_choose_its_address(self):
        root = self.script("root", "index.php", "echo $_SERVER['REMOTE_ADDR'], ' ', $_SERVER['HTTPS'] ?? 'plain';")
        port = self.port()
        fpm = self.fpm("blue", root)
        daemon = self.serin({"listen": [{"address": "127.0.0.1:%d" % port, "protocol": "http"}],
                             "server": {"trusted_proxies": []}},
                            blue=fpm.address, blue_root=root)
        response = fetch(daemon.address, "/", headers=[("X-Forwarded-For", "203.0.113.9"),
                                                       ("X-Forwarded-Proto", "https")])
        self.assertEqual(response.text, "127.0.0.1 plain")

    def test_a_pool_may_listen_on_tcp(self):
        root = self.script("root", "index.php", "echo 'over tcp';")
        fpm = self.fpm("blue", root, tcp_port=self.port())
        daemon = self.serin(blue=fpm.address, blue_root=root)
        self.assertEqual(daemon.get("/").text, "over tcp")


if __name__ == "__main__":
    main()
