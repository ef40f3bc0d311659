"""Memory and descriptors stay bounded: idle crowds, slow readers, long queues, and a long run."""

import time

from harness import SANITIZER, Load, SerinCase, main, wait_for
from http_client import Connection, format_request


class MemoryTest(SerinCase):
    def setUp(self):
        super().setUp()
        self.fakes_for_pools()

    def resident(self, daemon):
        return daemon.memory_kib("VmRSS")

    def assert_growth(self, daemon, before, limit_kib):
        if not SANITIZER:
            self.assertLess(self.resident(daemon) - before, limit_kib)

    def warm(self, daemon, count=400):
        with Load(daemon.address, threads=4) as load:
            wait_for(lambda: load.count() > count, 30)
            load.stop()

    def test_800_idle_connections_cost_little_each(self):
        daemon = self.serin()
        self.warm(daemon)
        before = self.resident(daemon)
        crowd = [Connection(daemon.address) for _ in range(800)]
        for connection in crowd:
            self.assertEqual(connection.request("GET", "/").status, 200)
        self.assert_growth(daemon, before, 800 * 16)
        files = daemon.open_files()
        for connection in crowd:
            connection.close()
        wait_for(lambda: daemon.open_files() <= files - 790, 10, "the descriptors to be returned")

    def test_slow_readers_spill_to_disk(self):
        daemon = self.serin({"limits": {"send_timeout": "60s"}})
        self.warm(daemon)
        before = self.resident(daemon)
        readers = [Connection(daemon.address, 30) for _ in range(16)]
        for reader in readers:
            reader.send(format_request("GET", "/?fault=big&size=20000000"))
        wait_for(lambda: len([r for r in self.blue.seen if r.query("fault")]) == 16 and self.blue.open_now == 0, 60,
                 "the pool to be done with all of them")
        self.assert_growth(daemon, before, 16 * 1024)
        for reader in readers:
            reader.close()

    def test_a_long_queue_is_bounded_in_memory(self):
        daemon = self.serin({"server": {"workers": 1}, "pools": {"blue": {"max_connections": 1}}})
        self.warm(daemon)
        before = self.resident(daemon)
        self.blue.behave = lambda request: "hang" if request.query("hold") else "ok"
        waiting = [Connection(daemon.address) for _ in range(300)]
        for i, connection in enumerate(waiting):
            connection.send(format_request("POST", "/?hold=1", [], b"x" * 30000))
        wait_for(lambda: daemon.metric_sum("serin_pool_queue_depth", pool="blue") >= 290, 10, "the queue to fill")
        self.assert_growth(daemon, before, 300 * 120)
        for connection in waiting:
            connection.close()
        wait_for(lambda: daemon.metric_sum("serin_pool_queue_depth", pool="blue") == 0, 10, "the queue to empty")

    def test_a_long_run_does_not_grow(self):
        daemon = self.serin({"access_log": {"target": "file", "path": self.path("access.log")}})
        daemon.set_weight(50)
        self.warm(daemon, 1500)
        before, files = self.resident(daemon), daemon.open_files()
        kinds = ("/", "/?fault=big&size=300000", "/?fault=error", "/?fault=reset_head", "/?fault=truncated",
                 "/?fault=padding")
        for target in (lambda i: kinds[i % len(kinds)],) * 2:
            with Load(daemon.address, threads=4, target=target, method="POST", body=b"x" * 70000) as load:
                wait_for(lambda: load.count() > 1500, 60)
                load.stop()
        self.assert_growth(daemon, before, 8 * 1024)
        wait_for(lambda: daemon.open_files() <= files + 2, 10, "the descriptors to be returned")


if __name__ == "__main__":
    main()
