"""A backend that breaks in every way we know of: what the client gets, and what the next one gets."""

import threading
import time

from fake_fpm import answer
from harness import Load, SerinCase, main, wait_for
from http_client import Connection, fetch, format_request

# fault: status the client must get (None: 200 but visibly cut off)
GATEWAY_ERRORS = {
    "reset_head": 502, "close_head": 502, "garbage": 502, "bad_version": 502, "no_head": 502, "bad_status": 502,
    "early_100": 502, "header_injection": 502, "huge_head": 502, "early_end": 502, "overloaded": 503, "wrong_id": 502,
    "reset_middle": None, "truncated": None, "short_length": None,
}
HARMLESS = ("ok", "drip", "split_head", "split_record_header", "padding", "stderr", "stderr_flood", "slow_body",
            "cookies", "no_content", "not_modified")


class FaultsTest(SerinCase):
    over = {}

    def setUp(self):
        super().setUp()
        self.fakes_for_pools()
        self.daemon = self.serin(self.over)

    def fault(self, name, connection=None, **kwargs):
        target = "/?fault=%s" % name
        if connection:
            return connection.request("GET", target, **kwargs)
        return self.daemon.get(target, **kwargs)

    def test_each_breach_has_its_answer_and_harms_nobody_else(self):
        for name, expected in GATEWAY_ERRORS.items():
            with self.subTest(name):
                response = self.fault(name)
                if expected:
                    self.assertEqual(response.status, expected, response)
                    self.assertTrue(response.complete)
                    self.assertEqual(response.problems, [])
                else:
                    self.assertFalse(response.complete, "a cut answer must look cut: %r" % response)
                self.assertEqual(self.daemon.get("/").status, 200)

    def test_an_error_page_leaks_nothing(self):
        for name in ("reset_head", "garbage", "overloaded"):
            response = self.fault(name)
            text = (response.text + str(response.headers)).lower()
            for word in (self.scratch, ".sock", "blue", "green", "canary", "fastcgi", "php", "errno"):
                self.assertNotIn(word, text, name)
            self.assertEqual(response.header("Cache-Control"), "no-store")

    def test_an_odd_but_lawful_backend_is_passed_through(self):
        for name in HARMLESS:
            with self.subTest(name):
                response = self.fault(name)
                self.assertIn(response.status, (200, 204, 304))
                self.assertTrue(response.complete)
                self.assertEqual(response.problems, [])
                self.assertNotIn("PHP message", response.text)

    def test_set_cookie_lines_are_kept_apart(self):
        self.assertEqual(self.fault("cookies").all("Set-Cookie"), ["a=1", "b=2"])

    def test_a_location_without_a_status_is_a_302(self):
        response = self.fault("redirect")
        self.assertEqual((response.status, response.header("Location")), (302, "https://example.test/there"))

    def test_lf_line_ends_in_a_cgi_head_are_accepted(self):
        response = self.fault("bare_lf_head")
        self.assertEqual((response.status, response.header("X-Lf"), response.text), (200, "1", "body"))

    def test_hop_by_hop_fields_of_the_backend_stay_behind(self):
        response = self.fault("hop_by_hop")
        self.assertEqual((response.status, response.problems, response.complete), (200, [], True))
        for name in ("Keep-Alive", "Upgrade"):
            self.assertIsNone(response.header(name))

    def test_more_body_than_announced_never_reaches_the_client(self):
        with Connection(self.daemon.address) as connection:
            connection.send(format_request("GET", "/?fault=long_length", [("Connection", "close")]))
            response = connection.response()
            while connection.fill():
                pass
            self.assertNotIn(b"more", response.body + connection.buffer)
            self.assertTrue(response.status == 502 or response.body == b"hello" or not response.complete)

    def test_extra_bytes_never_reach_the_next_request(self):
        for _ in range(10):
            self.assertIn("id=-", self.fault("extra_bytes").text)
            response = self.daemon.get("/?id=mine")
            self.assertIn("id=mine", response.text)
            self.assertNotIn("poison", response.text)

    def test_a_refused_pool_is_502_and_comes_back_by_itself(self):
        self.blue.stop()
        self.assertIn(self.daemon.get("/").status, (502, 503))
        self.blue.start()
        wait_for(lambda: self.daemon.get("/").status == 200, 10, "the pool to be used again")

    def test_an_accept_and_reset_is_502(self):
        self.blue.accept_then_reset = True
        self.assertEqual(self.daemon.get("/").status, 502)

    def test_the_reasons_are_counted(self):
        before = self.daemon.metric_sum("serin_backend_errors_total", pool="blue")
        for name in ("reset_head", "garbage", "truncated"):
            self.fault(name)
        wait_for(lambda: self.daemon.metric_sum("serin_backend_errors_total", pool="blue") >= before + 3)
        for reason in ("reset", "protocol", "truncated"):
            self.assertGreaterEqual(self.daemon.metric_sum("serin_backend_errors_total", pool="blue", reason=reason), 1,
                                    reason)

    def test_a_post_is_never_sent_twice(self):
        for name in ("reset_head", "close_head", "truncated"):
            self.blue.reset_counts()
            response = self.daemon.get("/?id=once&fault=" + name, method="POST", body=b"x")
            self.assertTrue(response.status == 502 or not response.complete)
            self.assertEqual(len(self.blue.seen) + len(self.green.seen), 1)

    def test_what_reaches_a_pool_is_lawful_fastcgi(self):
        for size in (0, 1, 7, 8, 65527, 65528, 65535, 65536, 200000):
            self.assertEqual(fetch(self.daemon.address, "/", "POST", body=b"x" * size).status, 200)
        fields = [("X-Field-%d" % i, "v" * 700) for i in range(70)]
        self.assertEqual(fetch(self.daemon.address, "/", headers=fields).status, 200)
        self.assertEqual(self.blue.seen[-1].param("HTTP_X_FIELD_69"), "v" * 700)
        self.assertEqual([r.problems for r in self.blue.seen if r.problems], [])

    def test_a_large_answer_arrives_whole_in_both_framings(self):
        import hashlib
        expected = hashlib.sha256((bytes(range(256)) * 256 * 100)[:5000000]).hexdigest()
        for query, framing in (("", "length"), ("&chunked=1", "chunked")):
            response = self.daemon.get("/?fault=big&size=5000000" + query)
            self.assertEqual((response.framing, response.complete), (framing, True))
            self.assertEqual(hashlib.sha256(response.body).hexdigest(), expected)

    def test_the_head_is_passed_on_before_the_body_is_whole(self):
        with Connection(self.daemon.address) as connection:
            connection.send(format_request("GET", "/?fault=slow_body&parts=40"))
            began = time.monotonic()
            while b"part" not in connection.buffer:
                self.assertTrue(connection.fill())
            self.assertLess(time.monotonic() - began, 1.8, "streamed, not collected")
            self.assertEqual(connection.response().text.count("part"), 40)


class KeptConnectionsTest(FaultsTest):
    """The same with connections to the pool kept open."""

    over = {"pools": {"blue": {"keep_alive": "on"}, "green": {"keep_alive": "on"}}}

    def test_a_kept_connection_that_died_is_replaced_without_the_client_noticing(self):
        self.assertEqual(self.daemon.get("/").status, 200)
        self.blue.stop()
        self.blue.start()
        for _ in range(10):
            self.assertEqual(self.daemon.get("/").status, 200)

    def late(self, connection, poison):
        """Leaves a kept connection on which `poison` comes when the next request has been sent."""
        response = self.fault("late_bytes&poison=" + poison, connection)
        self.assertIn("id=-", response.text)
        self.blue.reset_counts()

    def test_bytes_that_come_late_never_answer_the_next_request(self):
        for poison in ("answer", "end", "text", "piece"):
            with self.subTest(poison), Connection(self.daemon.address) as connection:
                self.late(connection, poison)
                response = connection.request("GET", "/?id=mine")
                self.assertEqual((response.status, response.complete), (200, True))
                self.assertIn("id=mine", response.text)
                wait_for(lambda: len(self.blue.seen) == 2)  # the kept connection's thread sends first, then looks
                self.assertEqual(sorted((r.id, r.number_on_connection > 1) for r in self.blue.seen),
                                 [("mine", False), ("mine", True)], "tried on the kept one, then on a new one")

    def test_what_cannot_be_repeated_never_travels_on_a_kept_connection(self):
        with Connection(self.daemon.address) as connection:
            for method in ("GET", "POST", "PATCH", "POST", "GET"):
                self.assertEqual(connection.request(method, "/", body=None if method == "GET" else b"x").status, 200)
        self.assertEqual([(r.param("REQUEST_METHOD"), r.number_on_connection) for r in self.blue.seen[:4]],
                         [("GET", 1), ("POST", 1), ("PATCH", 1), ("POST", 1)])
        self.assertGreater(self.blue.seen[4].number_on_connection, 1)

    def test_an_idle_connection_makes_way_when_there_is_no_room_for_a_new_one(self):
        daemon = self.serin({"server": {"workers": 1}, "pools": {"blue": {
            "max_connections": 1, "queue_size": 0, "keep_alive": "on", "keep_alive_timeout": "1m"}},
            "listen": [{"address": "unix:" + self.path("one.sock"), "protocol": "http"}],
            "admin": {"socket": self.path("one-admin.sock")}, "state": {"directory": self.folder("one-state")}},
            name="one")
        for method in ("GET", "POST", "GET", "POST", "POST", "GET"):
            self.assertEqual(daemon.get("/", method=method, body=b"" if method == "GET" else b"x").status, 200)

    def test_a_request_that_is_tried_again_keeps_its_place_in_the_queue(self):
        queued = threading.Event()

        def end_late(connection, request):
            answer(connection, request)
            connection.buffer = connection.sock.recv(262144)
            queued.wait(30)
            return False
        self.blue.behave = lambda request: end_late if request.id == "first" else "ok"
        daemon = self.serin({"server": {"workers": 1}, "pools": {"blue": {"max_connections": 1, "keep_alive": "on"}},
                             "listen": [{"address": "unix:" + self.path("one.sock"), "protocol": "http"}],
                             "admin": {"socket": self.path("one-admin.sock")},
                             "state": {"directory": self.folder("one-state")}}, name="one")
        self.assertEqual(daemon.get("/?id=first").status, 200)
        clients = [Connection(daemon.address) for _ in range(3)]
        for waiting, client in enumerate(clients):
            client.send(format_request("GET", "/?id=%d" % waiting))
            wait_for(lambda: daemon.metric_sum("serin_pool_connections", pool="blue", state="active") == 1 and
                     daemon.metric_sum("serin_pool_queue_depth", pool="blue") == waiting)
        queued.set()  # the kept connection closes under request 0: its slot is 1's, and the next its own
        self.assertEqual([client.response().status for client in clients], [200] * 3)
        self.assertEqual([request.id for request in self.blue.seen], ["first", "1", "0", "2"])
        for client in clients:
            client.close()

    def test_each_request_of_a_connection_has_an_id_of_its_own(self):
        with Connection(self.daemon.address) as connection:
            for _ in range(5):
                connection.request("GET", "/")
        self.assertEqual([(r.number_on_connection, r.request_id) for r in self.blue.seen],
                         [(n, n) for n in range(1, 6)])

    def test_connections_are_reused(self):
        with Connection(self.daemon.address) as connection:
            for _ in range(20):
                connection.request("GET", "/")
        self.assertLess(self.blue.connections_made, 5)

    def test_a_kept_connection_is_closed_when_idle_for_long(self):
        self.daemon.get("/")
        wait_for(lambda: self.blue.open_now == 0, 15, "keep_alive_timeout")


class BusyConnectionsTest(FaultsTest):
    over = {"pools": {"blue": {"keep_alive": "busy"}, "green": {"keep_alive": "busy"}}}

    def test_no_connection_is_left_idle(self):
        with Load(self.daemon.address, threads=4) as load:
            wait_for(lambda: load.count() > 100)
            load.stop()
        wait_for(lambda: self.blue.open_now == 0, 2, "the last connection to be closed at once")


class FatalErrorTest(SerinCase):
    def test_a_fatal_error_behind_a_200_is_the_pools_error(self):
        self.fakes_for_pools()
        daemon = self.serin({"rollout": {"hold": "60s", "min_requests": 50, "min_step_requests": 20}})
        self.green.behave = lambda request: "fatal_200"
        daemon.ctl("start", "v2")
        daemon.set_weight(50)
        with Load(daemon.address, threads=3, pause=0.002) as load:
            status = daemon.wait_state("reverted")
            load.stop()
        self.assertIn("fail", status["reason"].lower())


if __name__ == "__main__":
    main()
