"""Limits on clients: deadlines for the head, the body, idling and reading; sizes; counts."""

import time

from harness import SLOWNESS, SerinCase, main, wait_for
from http_client import Closed, Connection, exchange, fetch, format_request

LIMITS = {"head_timeout": "1s", "body_timeout": "1s", "idle_timeout": "1s", "send_timeout": "1s", "body": "64KiB"}


class LimitsTest(SerinCase):
    def setUp(self):
        super().setUp()
        self.fakes_for_pools()

    def elapsed(self, call):
        began = time.monotonic()
        value = call()
        return value, time.monotonic() - began

    def test_a_head_that_drips_is_408_at_its_deadline(self):
        daemon = self.serin({"limits": LIMITS})

        def drip():
            with Connection(daemon.address) as connection:
                try:
                    for byte in b"GET / HTTP/1.1\r\nHost: serin.test\r\nX: " + b"y" * 100:
                        connection.send(bytes([byte]))
                        time.sleep(0.05)
                except OSError:
                    pass
                return connection.response()
        response, seconds = self.elapsed(drip)
        self.assertEqual(response.status, 408)
        self.assertLess(seconds, 8 * SLOWNESS)
        self.assertEqual(self.blue.seen, [])

    def test_a_body_that_drips_is_408_at_its_deadline(self):
        daemon = self.serin({"limits": LIMITS})
        with Connection(daemon.address) as connection:
            connection.send(b"POST / HTTP/1.1\r\nHost: serin.test\r\nContent-Length: 1000\r\n\r\n")
            try:
                for _ in range(100):
                    connection.send(b"x")
                    time.sleep(0.05)
            except OSError:
                pass
            self.assertEqual(connection.response().status, 408)
        self.assertEqual(self.blue.seen, [], "no pool was held for a slow body")

    def test_an_idle_connection_is_closed_silently(self):
        daemon = self.serin({"limits": LIMITS})
        for first in (False, True):
            with Connection(daemon.address) as connection:
                if first:
                    self.assertEqual(connection.request("GET", "/").status, 200)
                self.assertFalse(connection.fill(), "nothing is said, the connection is closed")
                self.assertEqual(connection.buffer, b"")

    def test_a_body_over_the_limit_is_413_before_it_is_read(self):
        daemon = self.serin({"limits": LIMITS})
        with Connection(daemon.address) as connection:
            connection.send(b"POST / HTTP/1.1\r\nHost: serin.test\r\nContent-Length: 70000\r\nExpect: 100-continue\r\n\r\n")
            response = connection.response()
        self.assertEqual((response.status, response.interim), (413, []))
        self.assertEqual(fetch(daemon.address, "/", "POST", body=b"x" * 65536).status, 200)

    def test_a_chunked_body_over_the_limit_is_413(self):
        daemon = self.serin({"limits": LIMITS})
        responses, end = exchange(daemon.address, [
            b"POST / HTTP/1.1\r\nHost: serin.test\r\nTransfer-Encoding: chunked\r\n\r\n"] +
            [b"4000\r\n" + b"x" * 0x4000 + b"\r\n"] * 8)
        self.assertEqual(([r.status for r in responses], end), ([413], "closed"))
        self.assertEqual(self.blue.seen, [])

    def test_a_refusal_survives_what_the_client_is_still_sending(self):
        """RFC 9112 §9.6: closing at once would reset the connection and lose the answer."""
        port = self.port()
        daemon = self.serin({"limits": LIMITS, "listen": [{"address": "127.0.0.1:%d" % port, "protocol": "http"}]})
        for _ in range(10):
            responses, _ = exchange(daemon.address, [
                b"POST / HTTP/1.1\r\nHost: serin.test\r\nContent-Length: 1000000\r\n\r\n"] + [b"x" * 65536] * 8)
            self.assertEqual([r.status for r in responses], [413])

    def test_a_client_that_does_not_read_is_let_go(self):
        daemon = self.serin({"limits": LIMITS})
        with Connection(daemon.address) as connection:
            connection.send(format_request("GET", "/?fault=big&size=50000000"))
            wait_for(lambda: self.blue.seen, 5, "the request at the backend")
            before = daemon.open_files()
            wait_for(lambda: daemon.open_files() < before, 15, "the stuck connection to be closed")
            self.assertEqual(daemon.get("/").status, 200)

    def test_a_slow_client_does_not_hold_the_pool(self):
        daemon = self.serin({"limits": dict(LIMITS, send_timeout="30s")})
        with Connection(daemon.address) as connection:
            connection.send(format_request("GET", "/?fault=big&size=30000000"))
            wait_for(lambda: self.blue.seen and self.blue.open_now == 0, 20, "the pool to be free of the slow client")
            size = 0

            def count(part):
                nonlocal size
                size += len(part)
            response = connection.response(sink=count)
        self.assertEqual((response.status, response.complete, size), (200, True, 30000000))

    def test_connections_over_the_limit_wait_and_the_others_are_served(self):
        daemon = self.serin({"server": {"max_connections": 20}})
        before = daemon.open_files()
        crowd = [Connection(daemon.address, 5) for _ in range(300)]
        try:
            for connection in crowd:
                connection.send(format_request("GET", "/"))
            wait_for(lambda: len(self.blue.seen) >= 20, 5)
            time.sleep(0.5)  # nothing more must come in this time
            # A batch that was accepted in one go may be over the limit, no more.
            self.assertLess(len(self.blue.seen), 150)
            self.assertLess(daemon.open_files() - before, 150)
            for connection in crowd:  # each that leaves makes room for one that waits
                self.assertEqual(connection.response().status, 200)
                connection.close()
        finally:
            for connection in crowd:
                connection.close()


class TimeoutPageTest(SerinCase):
    def setUp(self):
        super().setUp()
        self.fakes_for_pools()

    def test_a_pool_that_hangs_is_504_at_read_timeout(self):
        daemon = self.serin({"pools": {"blue": {"read_timeout": "1s"}}})
        response = daemon.get("/?fault=hang")
        self.assertEqual(response.status, 504)
        wait_for(lambda: self.blue.open_now == 0, 10, "the hanging connection to be closed")

    def test_a_pool_that_drips_is_cut_at_total_timeout(self):
        daemon = self.serin({"pools": {"blue": {"total_timeout": "1s"}}})
        response = daemon.get("/?fault=slow_body&parts=200")
        self.assertTrue(response.status == 504 or not response.complete, response)

    def test_a_request_waits_in_the_queue_no_longer_than_queue_timeout(self):
        daemon = self.serin({"server": {"workers": 1}, "pools": {"blue": {
            "max_connections": 1, "queue_timeout": "1s"}}})
        with Connection(daemon.address) as first:
            first.send(format_request("GET", "/?fault=sleep&seconds=4"))
            wait_for(lambda: self.blue.seen, 5)
            response = daemon.get("/")
            self.assertEqual(response.status, 503)
            self.assertIsNotNone(response.header("Retry-After"))
            self.assertEqual(first.response().status, 200)

    def test_a_full_queue_is_503_at_once(self):
        daemon = self.serin({"server": {"workers": 1}, "pools": {"blue": {"max_connections": 1, "queue_size": 1}}})
        with Connection(daemon.address) as first, Connection(daemon.address) as second:
            first.send(format_request("GET", "/?fault=sleep&seconds=3"))
            wait_for(lambda: self.blue.seen, 5)
            second.send(format_request("GET", "/"))
            wait_for(lambda: daemon.metric_sum("serin_pool_queue_depth", pool="blue") == 1, 5, "one in the queue")
            self.assertEqual(daemon.get("/").status, 503)
            self.assertEqual([first.response().status, second.response().status], [200, 200])

    def test_the_pool_never_sees_more_connections_than_its_limit(self):
        from harness import Load
        daemon = self.serin({"pools": {"blue": {"max_connections": 3}}})
        with Load(daemon.address, threads=12, target=lambda i: "/?fault=sleep&seconds=0.02") as load:
            wait_for(lambda: load.count() > 150, 30)
            results = load.stop()
        self.assertEqual({r[1].status for r in results if r[1]}, {200})
        self.assertLessEqual(self.blue.most_busy, 3)


if __name__ == "__main__":
    main()
