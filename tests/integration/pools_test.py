"""Real PHP-FPM with few children and many clients: never overrun, never starved, in each keep_alive mode."""

import os
import re
import signal
import threading
import time

from crowd import Crowd
from fake_fpm import BEGIN, PARAMS, STDIN, record
from harness import IS_ROOT, ROOT, Load, SerinCase, main, wait_for
from http_client import Connection, connect, format_request

MODES = ("off", "busy", "on")
CHILDREN = 5
# Says when it ran, on the clock that all processes share.
TIMED = 'header("Content-Type: text/plain"); $from = hrtime(true); usleep(2000); echo $from, " ", hrtime(true);'
# Leaves a byte in a file when it starts.
STARTED = 'file_put_contents(__DIR__ . "/../started", "x", FILE_APPEND | LOCK_EX); '


def most_at_once(results):
    """Of "from to" bodies: the most that overlap."""
    edges = []
    for _, _, body, _ in results:
        begin, end = map(int, body.split())
        edges += [(begin, 1), (end, -1)]
    running = most = 0
    for _, change in sorted(edges):
        running += change
        most = max(most, running)
    return most


def ask(path, script):
    """What PHP-FPM at that socket answers for a page of its own: raw FastCGI output, b"" without an answer."""
    params = b"".join(bytes([len(name), len(value)]) + name + value for name, value in (
        (b"SCRIPT_NAME", script.encode()), (b"SCRIPT_FILENAME", script.encode()), (b"REQUEST_METHOD", b"GET")))
    try:
        with connect("unix:" + path, 5) as sock:
            sock.sendall(record(1, BEGIN, b"\0\1\0\0\0\0\0\0") + record(1, PARAMS, params) + record(1, PARAMS) +
                         record(1, STDIN))
            return sock.recv(65536)
    except OSError:
        return b""


def read_shipped(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


class PoolCase(SerinCase):
    def pool_daemon(self, fpm, mode, workers=2, name=None, limits=None, **pool):
        name = name or "%s-%d" % (mode, workers)
        settings = {"keep_alive": mode, "max_connections": CHILDREN, "queue_timeout": "60s", **pool}
        return self.serin({
            "server": {"workers": workers}, "limits": limits or {},
            "listen": [{"address": "unix:" + self.path(name + ".http"), "protocol": "http"}],
            "pools": {"blue": settings}, "admin": {"socket": self.path(name + ".admin")},
            "state": {"directory": self.folder(name + "-state")}}, name=name, blue=fpm.address, blue_root=fpm.root)

    def assert_all_answered(self, results, count):
        self.assertEqual([r[:3] for r in results if r[1] != 200], [])
        self.assertEqual(len(results), count)


class CrowdTest(PoolCase):
    def test_two_hundred_clients_of_five_children_are_served_in_order(self):
        """More children than connections, so that a connection too many would show as a sixth script at once."""
        fpm = self.fpm("blue", self.script("root", "index.php", TIMED), children=CHILDREN + 3)
        for workers in (1, 2, 4):
            for mode in MODES:
                with self.subTest("%d workers, %s" % (workers, mode)):
                    daemon = self.pool_daemon(fpm, mode, workers)
                    with Crowd(daemon.address, 200) as crowd:
                        results = crowd.run(8)
                        self.assert_all_answered(results, 1600)
                        self.assertEqual(most_at_once(results), CHILDREN, "all connections were used, and no more")
                        self.assertLessEqual(crowd.spread(), 4, "nobody was served out of turn")
                    self.assertEqual(daemon.metric_sum("serin_backend_errors_total"), 0)
                    daemon.stop()

    def test_as_many_connections_as_children_stall_nobody(self):
        fpm = self.fpm("blue", self.script("root", "index.php", TIMED), children=CHILDREN)
        for workers in (1, 2, 4):
            for mode in MODES:
                with self.subTest("%d workers, %s" % (workers, mode)):
                    daemon = self.pool_daemon(fpm, mode, workers)
                    for method in ("GET", "POST"):
                        with Crowd(daemon.address, 200, method=method) as crowd:
                            self.assert_all_answered(crowd.run(2), 400)
                    self.assertEqual(daemon.metric_sum("serin_backend_errors_total"), 0)
                    daemon.stop()


class IdleTest(PoolCase):
    def test_no_worker_starves_while_another_holds_idle_connections(self):
        fpm = self.fpm("blue", self.script("root", "index.php", TIMED), children=4)
        daemon = self.pool_daemon(fpm, "on", 4, max_connections=4, keep_alive_timeout="1h", queue_timeout="20s",
                                  read_timeout="20s")
        clients = [Connection(daemon.address, 30) for _ in range(40)]
        for _ in range(2):
            for client in clients:
                self.assertEqual(client.request("GET", "/").status, 200)
        self.assertEqual(daemon.metric_sum("serin_backend_errors_total"), 0)
        for client in clients:
            client.close()

    def test_idle_connections_do_not_hold_up_a_reload(self):
        fpm = self.fpm("blue", self.script("root", "index.php", "echo getmypid();"), children=4)
        daemon = self.pool_daemon(fpm, "on", 1, keep_alive_timeout="1h")
        with Connection(daemon.address) as one, Connection(daemon.address) as two:
            for client in (one, two):
                client.send(format_request("GET", "/"))
            old = {client.response().text for client in (one, two)}
            wait_for(lambda: daemon.metric_sum("serin_pool_connections", pool="blue", state="idle") == len(old))
            fpm.process.send_signal(signal.SIGUSR2)  # the children wait for their idle connections now
            # One of them is used once more; when its child is gone, the others are let go.
            seen = wait_for(lambda: one.request("GET", "/").text not in old, 15, "a child of the new generation")
        self.assertTrue(seen)


class ReloadTest(PoolCase):
    def test_reloads_under_load_lose_nothing(self):
        fpm = self.fpm("blue", self.script("root", "index.php", 'usleep(3000); echo getmypid(), " ", $_GET["n"];'),
                       children=CHILDREN)
        for mode in MODES:
            with self.subTest(mode):
                daemon = self.pool_daemon(fpm, mode)
                loads = [Load(daemon.address, 8, lambda i: "/?n=%d" % i, method, body=body).start()
                         for method, body in (("GET", None), ("POST", b"x"))]
                for _ in range(2):
                    before = sum(load.count() for load in loads)
                    wait_for(lambda: sum(load.count() for load in loads) > before + 50)
                    known = self.children(loads)
                    fpm.process.send_signal(signal.SIGUSR2)
                    wait_for(lambda: self.children(loads) - known, 20, "children of the new generation to answer")
                results = [result for load in loads for result in load.stop()]
                bad = [problem or response for _, response, problem, _ in results
                       if problem or response.status != 200 or not response.complete]
                self.assertEqual(bad, [])
                self.assertGreater(len(results), 100)
                daemon.stop()

    @staticmethod
    def children(loads):
        return {response.text.split()[0] for load in loads for _, response, _, _ in list(load.results) if response}

    def test_children_that_end_after_a_few_requests_lose_nothing(self):
        fpm = self.fpm("blue", self.script("root", "index.php", TIMED), children=CHILDREN,
                       settings={"pm.max_requests": 3})
        for mode in MODES:
            with self.subTest(mode):
                daemon = self.pool_daemon(fpm, mode)
                for method in ("GET", "POST"):
                    with Crowd(daemon.address, 20, method=method) as crowd:
                        self.assert_all_answered(crowd.run(10), 200)
                daemon.stop()


class ReplaceTest(PoolCase):
    def test_a_pool_is_replaced_under_load_in_each_mode(self):
        """Drain, SIGQUIT, another release, start, ping, weight: GET and POST, and not one fails."""
        blue = self.fpm("blue", self.script("blue-root", "index.php", 'usleep(2000); echo "blue";'))
        for mode in MODES:
            with self.subTest(mode):
                old = self.fpm("green", self.script(mode + "-old", "index.php", 'usleep(2000); echo "old";'))
                link = self.path(mode + "-current")
                os.symlink(old.root, link)
                pool = {"keep_alive": mode, "max_connections": CHILDREN}
                daemon = self.serin({
                    "listen": [{"address": "unix:" + self.path(mode + ".http"), "protocol": "http"}],
                    "pools": {"blue": pool, "green": pool}, "admin": {"socket": self.path(mode + ".admin")},
                    "state": {"directory": self.folder(mode + "-state")}},
                    name=mode, blue=blue.address, blue_root=blue.root, green=old.address, green_root=link)
                daemon.set_weight(50)
                loads = [Load(daemon.address, 3, method=method, body=body).start()
                         for method, body in (("GET", None), ("POST", b"x"))]
                self.wait_answers(loads, "old")
                daemon.ctl("drain", "green", "--wait")
                self.assertEqual(old.stop(signal.SIGQUIT), 0)
                new = self.script(mode + "-new", "index.php", 'usleep(2000); echo "new";')
                os.unlink(link)
                os.symlink(new, link)
                master = self.fpm("green", new, settings={"ping.path": "/ping"})
                self.assertIn(b"pong", ask(master.socket, "/ping"))
                daemon.set_weight(50)
                self.wait_answers(loads, "new")
                results = [result for load in loads for result in load.stop()]
                bad = [problem or response for _, response, problem, _ in results
                       if problem or response.status != 200 or not response.complete]
                self.assertEqual(bad, [])
                self.assertEqual({response.text for _, response, _, _ in results}, {"blue", "old", "new"})
                self.assertEqual(daemon.metric_sum("serin_backend_errors_total"), 0)
                daemon.stop()
                master.stop()

    @staticmethod
    def wait_answers(loads, text):
        for load in loads:
            wait_for(lambda load=load: sum(response.text == text for _, response, _, _ in list(load.results)
                                           if response) > 20, 20, "answers of the %s release" % text)


class ShippedFilesTest(PoolCase):
    def test_the_shipped_pool_and_unit_lose_nothing_to_a_reload_or_a_stop(self):
        unit = read_shipped("deploy/systemd/serin-fpm@.service")
        self.assertIn("\nKillSignal=SIGQUIT\n", unit)
        self.assertIn("\nExecReload=/bin/kill -USR2 $MAINPID\n", unit)
        root = self.script("root", "index.php", STARTED + 'usleep(500000); echo getmypid(), " whole";')
        os.chmod(self.write("started", ""), 0o666)
        for pool in ("blue", "green"):
            with self.subTest(pool):
                text = read_shipped("deploy/php-fpm/%s.conf" % pool)
                control = int(re.search(r"process_control_timeout = (\d+)s", text).group(1))
                self.assertGreater(int(re.search(r"TimeoutStopSec=(\d+)", unit).group(1)), control)
                text = text.replace("/run/serin-fpm/", self.scratch + "/").replace("/var/log/", self.scratch + "/")
                if not IS_ROOT:
                    text = re.sub(r"(?m)^(user|group|listen\.(owner|group)) = .*$", "", text)
                conf = self.write(pool + ".conf", text)
                master = self.spawn(pool + "-fpm", ["php-fpm8.2", "--nodaemonize", "--fpm-config", conf])
                socket_file, status = self.path(pool + ".sock"), self.path(pool + "-status.sock")
                wait_for(lambda: os.path.exists(socket_file) and ask(status, "/status"))
                daemon = self.serin({
                    "listen": [{"address": "unix:" + self.path(pool + ".http"), "protocol": "http"}],
                    "pools": {"blue": {"status_address": "unix:" + status}},
                    "admin": {"socket": self.path(pool + ".admin")},
                    "state": {"directory": self.folder(pool + "-state")}},
                    name=pool, blue="unix:" + socket_file, blue_root=root)
                wait_for(lambda: daemon.metric_sum("serin_fpm_processes") > 20, 10, "the status page")
                old = self.in_flight(daemon, lambda: master.send_signal(signal.SIGUSR2))
                new = self.in_flight(daemon, lambda: master.send_signal(signal.SIGQUIT))
                self.assertEqual(old & new, set(), "a reload brings new children")
                self.assertEqual(master.wait(), 0)
                self.assertEqual(daemon.metric_sum("serin_fpm_overcommitted"), 0)
                daemon.stop()

    def in_flight(self, daemon, act):
        """Ten children are at work when act() is called, and all answer; -> the children. What waits in the
        backlog would be lost to a stop: hence the drain before it."""
        before = os.path.getsize(self.path("started"))
        clients = [Connection(daemon.address, 30) for _ in range(10)]
        for client in clients:
            client.send(format_request("POST", "/", [], b"x"))
        wait_for(lambda: os.path.getsize(self.path("started")) == before + 10)
        act()
        answers = [client.response() for client in clients]
        self.assertEqual({(answer.status, answer.text.split()[1]) for answer in answers}, {(200, "whole")})
        for client in clients:
            client.close()
        return {answer.text.split()[0] for answer in answers}


class HiddenWorkTest(PoolCase):
    def test_work_after_the_answer_delays_others_and_loses_nothing(self):
        """fastcgi_finish_request() ends the answer; the child goes on."""
        fpm = self.fpm("blue", self.script("root", "index.php", """
            header("Content-Type: text/plain");
            echo "answered"; fastcgi_finish_request(); usleep(50000);"""), children=CHILDREN)
        for mode in MODES:
            with self.subTest(mode):
                daemon = self.pool_daemon(fpm, mode)
                with Crowd(daemon.address, 20) as crowd:
                    self.assert_all_answered(crowd.run(3), 60)
                daemon.stop()


class SaturationTest(PoolCase):
    def test_a_full_backlog_is_waited_for_and_no_failure(self):
        """max_connections above the children, and a backlog of one: connect() says EAGAIN."""
        fpm = self.fpm("blue", self.script("root", "index.php", "usleep(20000); echo 'ok';"), children=1,
                       settings={"listen.backlog": 1})
        for mode in MODES:
            with self.subTest(mode):
                daemon = self.pool_daemon(fpm, mode, max_connections=10)
                with Crowd(daemon.address, 30) as crowd:
                    self.assert_all_answered(crowd.run(1), 30)
                self.assertEqual(daemon.metric_sum("serin_backend_errors_total"), 0)
                daemon.stop()

    def test_lack_of_room_is_told_apart_from_bad_answers(self):
        root = self.script("root", "index.php",
                           'if (isset($_GET["bad"])) { http_response_code(500); } else { sleep(6); } echo "x";')
        blue, green = self.fpm("blue", root), self.fpm("green", root)
        daemon = self.serin({"pools": {"green": {"max_connections": 1, "queue_size": 2}}, "server": {"workers": 1},
                             "rollout": {"min_requests": 1000000, "sequential": {"enabled": False},
                                         "dead_pool_span": "10m"}},
                            blue=blue.address, blue_root=root, green=green.address, green_root=root)
        daemon.set_weight(100)
        self.assertEqual([daemon.get("/?bad=1").status for _ in range(2)], [500, 500])
        crowd = [Connection(daemon.address) for _ in range(3)]
        for number, client in enumerate(crowd):
            client.send(format_request("GET", "/"))
            wait_for(lambda: daemon.metric_sum("serin_pool_connections", pool="green", state="active")
                     + daemon.metric_sum("serin_pool_queue_depth", pool="green") == number + 1)
        response = daemon.get("/")
        self.assertEqual(response.status, 503)
        self.assertGreater(int(response.header("Retry-After")), 0)
        self.assertEqual(daemon.metric_sum("serin_backend_errors_total", pool="green", reason="saturated"), 1)
        self.assertEqual(daemon.metric_sum("serin_backend_errors_total", pool="green"), 1)
        self.assertEqual(daemon.metric_sum("serin_requests_total", pool="green", code="500"), 2)
        explained = wait_for(lambda: (lambda text: text if "room" in text else None)(
            " ".join(daemon.ctl("explain").stdout.split())), 10, "the refusal to be explained")
        for part in ("2x status 500 /index.php", "1x no connection was free /index.php",
                     "1 of 3 for lack of room, not for a bad answer"):
            self.assertIn(part, explained)
        for client in crowd:
            client.close()


class ImpatientClientTest(PoolCase):
    def test_clients_that_leave_hold_a_connection_only_as_long_as_their_script_runs(self):
        root = self.script("root", "index.php", STARTED + 'usleep(20000); echo "x";')
        started = self.write("started", "")
        os.chmod(started, 0o666)
        fpm = self.fpm("blue", root, children=4)
        for mode in MODES:
            with self.subTest(mode):
                daemon = self.pool_daemon(fpm, mode, 1, max_connections=2, queue_timeout="800ms")
                for _ in range(5):
                    before = os.path.getsize(started)
                    leaving = [Connection(daemon.address) for _ in range(2)]
                    for client in leaving:
                        client.send(format_request("GET", "/"))
                    wait_for(lambda: os.path.getsize(started) == before + 2, interval=0.002)
                    for client in leaving:
                        client.close()
                    self.assertEqual(daemon.get("/").status, 200)
                daemon.stop()

    def test_a_script_that_nobody_waits_for_is_told_so_after_a_while(self):
        root = self.script("root", "index.php", 'echo "next";')
        self.script("root", "endless.php", """
            register_shutdown_function(function () { touch(__DIR__ . "/../ended"); });
            while (true) { echo str_repeat("x", 5000); flush(); usleep(10000); }""")
        fpm = self.fpm("blue", root, children=1)
        daemon = self.pool_daemon(fpm, "busy", 1, max_connections=1)
        with Connection(daemon.address) as client:
            client.send(format_request("GET", "/endless.php"))
            self.assertTrue(client.fill())
        wait_for(lambda: os.path.exists(self.path("ended")), 20, "PHP to notice that the client has left")
        self.assertEqual(daemon.get("/").text, "next")


class StatusTest(PoolCase):
    def fpm_with_status(self, name, children, code="echo 1;", **kwargs):
        return self.fpm(name, self.script(name + "-root", "index.php", code), children=children, settings={
            "pm.status_listen": self.path(name + "-status.sock"), "pm.status_path": "/status"}, **kwargs)

    def series(self, daemon, name):
        return {key.partition("{")[2].rstrip("}"): value for key, value in daemon.metrics().items()
                if key.startswith("serin_fpm_" + name)}

    def test_what_php_fpm_says_of_itself_is_in_the_metrics(self):
        fpm = self.fpm_with_status("blue", 4, 'while (!file_exists(__DIR__ . "/../seen")) usleep(5000); echo 1;')
        daemon = self.pool_daemon(fpm, "busy", max_connections=3, status_address="unix:" + self.path("blue-status.sock"))
        with Connection(daemon.address, 30) as one, Connection(daemon.address, 30) as two:
            for client in (one, two):
                client.send(format_request("GET", "/"))
            wait_for(lambda: self.series(daemon, "processes") == {
                'pool="blue",state="active"': 2, 'pool="blue",state="idle"': 2}, 10, "two of four children to be seen")
            self.write("seen", "")
            self.assertEqual([client.response().status for client in (one, two)], [200, 200])
        self.assertEqual(self.series(daemon, "max_children_reached_total"), {'pool="blue"': 0})
        self.assertEqual(self.series(daemon, "overcommitted"), {'pool="blue"': 0})
        self.assertEqual(self.series(daemon, "listen_queue"), {'pool="blue"': 0, 'pool="green"': 0})
        self.assertNotIn("status page", daemon.process.log_text())
        fpm.stop()
        wait_for(lambda: self.series(daemon, "") == {'pool="green"': 0}, 10, "what is not known to be absent")
        wait_for(lambda: "no status page at unix:" in daemon.process.log_text())

    def test_connections_that_no_child_accepts_are_seen_and_the_cause_is_named(self):
        fpm = self.fpm_with_status("blue", 1, "sleep(6); echo 1;")
        daemon = self.pool_daemon(fpm, "busy", max_connections=4, status_address="unix:" + self.path("blue-status.sock"))
        clients = [Connection(daemon.address, 60) for _ in range(4)]
        for client in clients:
            client.send(format_request("GET", "/"))
        wait_for(lambda: self.series(daemon, "listen_queue").get('pool="blue"') == 3, 10, "three in the backlog")
        wait_for(lambda: self.series(daemon, "overcommitted") == {'pool="blue"': 1}, 10, "the warning as a metric")
        self.assertIn("pool blue: max_connections is 4, and PHP-FPM has 1 children", daemon.process.log_text())
        for client in clients:
            client.close()

    def test_without_a_status_page_nothing_is_made_up(self):
        fpm = self.fpm("blue", self.script("root", "index.php", "echo 1;"), tcp_port=self.port())
        daemon = self.pool_daemon(fpm, "busy")
        wait_for(lambda: self.series(daemon, "") == {'pool="green"': 0}, 10, "the kernel's word on green")
        daemon.config["pools"]["blue"]["status_address"] = "127.0.0.1:%d" % fpm.tcp_port
        daemon.write_config()
        self.assertEqual(daemon.ctl("reload", check=False).returncode, 1, "the pool's own address")
        daemon.config["pools"]["blue"]["status_address"] = "unix:" + self.path("nobody.sock")
        daemon.write_config()
        daemon.ctl("reload")
        wait_for(lambda: "pool blue: no status page at unix:" in daemon.process.log_text(), 10)
        self.assertEqual(self.series(daemon, ""), {'pool="green"': 0})

    def test_the_queue_of_a_tcp_pool_comes_from_its_status_page(self):
        fpm = self.fpm_with_status("blue", 1, "sleep(6); echo 1;", tcp_port=self.port())
        daemon = self.pool_daemon(fpm, "busy", max_connections=3, status_address="unix:" + self.path("blue-status.sock"))
        clients = [Connection(daemon.address, 60) for _ in range(3)]
        for client in clients:
            client.send(format_request("GET", "/"))
        wait_for(lambda: self.series(daemon, "listen_queue").get('pool="blue"') == 2, 10, "two in the backlog")
        for client in clients:
            client.close()


class SlowClientTest(PoolCase):
    PAGE = 'for ($i = 0; $i < 50; ++$i) { echo str_repeat("x", 1000000); flush(); }'

    def test_a_slow_reader_of_a_large_page_holds_no_child(self):
        root = self.script("root", "index.php", 'echo "next";')
        self.script("root", "large.php", self.PAGE)
        fpm = self.fpm("blue", root, children=1)
        spool = self.folder("spool")
        daemon = self.pool_daemon(fpm, "busy", 1, max_connections=1, limits={"temporary_directory": spool})
        with Connection(daemon.address, 60) as slow:
            slow.send(format_request("GET", "/large.php"))
            reading = threading.Event()

            def read_a_kilobyte_a_second():
                while not reading.wait(1.0):
                    slow.sock.recv(1024)
            reader = threading.Thread(target=read_a_kilobyte_a_second)
            reader.start()
            # The only child answers the next request: it is done with the page, whose reader has some KB of it.
            self.assertEqual(daemon.get("/").text, "next")
            self.assertEqual(os.listdir(spool), [], "the file has no name")
            held = [link for link in self.links(daemon) if link.startswith(spool) and link.endswith(" (deleted)")]
            self.assertEqual(len(held), 1)
            reading.set()
            reader.join()
        wait_for(lambda: not any(link.startswith(spool) for link in self.links(daemon)), 10, "the file to be closed")
        self.assertEqual(daemon.metric_sum("serin_requests_total", pool="blue", code="499"), 1)

    def test_beyond_the_bound_of_the_file_php_waits_and_the_answer_is_whole(self):
        root = self.script("root", "index.php", 'echo "next";')
        self.script("root", "large.php", self.PAGE)
        fpm = self.fpm("blue", root, children=1)
        spool = self.folder("spool")
        daemon = self.pool_daemon(fpm, "busy", 1, max_connections=1, read_timeout="1s", limits={
            "temporary_directory": spool, "response_spill": "4MiB", "send_buffer": "64KiB"})
        with Connection(daemon.address, 60) as slow:
            slow.send(format_request("GET", "/large.php"))
            most = wait_for(lambda: (lambda size: size if size >= 4 << 20 else None)(self.held_bytes(daemon, spool)))
            time.sleep(1.5)  # longer than read_timeout: it is the client who is slow, not PHP
            self.assertLess(self.held_bytes(daemon, spool), most + (1 << 20), "the pool connection is not read")
            size = 0

            def count(part):
                nonlocal size
                size += len(part)
            response = slow.response(sink=count)
        self.assertEqual((response.status, response.complete, size), (200, True, 50000000))
        self.assertEqual(daemon.get("/").text, "next")

    @staticmethod
    def links(daemon):
        folder = "/proc/%d/fd" % daemon.process.pid
        out = []
        for name in os.listdir(folder):
            try:
                out.append(os.readlink(os.path.join(folder, name)))
            except FileNotFoundError:
                pass
        return out

    @staticmethod
    def held_bytes(daemon, spool):
        folder = "/proc/%d/fd" % daemon.process.pid
        size = 0
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            try:
                if os.readlink(path).startswith(spool):
                    size += os.stat(path).st_size
            except FileNotFoundError:
                pass
        return size


if __name__ == "__main__":
    main()
