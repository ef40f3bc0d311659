"""What the integration tests stand on: scratch folders, ports, processes and clients.

A test is a class derived from SerinCase. Everything it starts through the
case is stopped by its own pid at the end; when it failed, the tails of all
logs are printed. Works as root (daemons that insist on it then run as
www-data) and as an ordinary user. Nothing of the host's services is touched.
"""

import contextlib
import ctypes
import grp
import json
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from fake_fpm import FakeFpm
from http_client import Connection, fetch

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SERIN = os.environ.get("SERIN_BIN", os.path.join(ROOT, ".build/dev/proxy/serin"))
SERINCTL = os.environ.get("SERINCTL_BIN", os.path.join(ROOT, ".build/dev/proxy/serinctl"))
SANITIZER = os.environ.get("SERIN_SANITIZE", "")
DEADLINE = int(os.environ.get("SERIN_TEST_DEADLINE", "600"))
# Sanitized binaries are several times slower; deadlines are not what is tested.
SLOWNESS = 4.0 if SANITIZER else 1.0
KEEP = bool(os.environ.get("SERIN_TEST_KEEP"))
for variable in [name for name in os.environ if name.startswith("SERIN_")]:
    del os.environ[variable]  # to the daemon they would be settings
IS_ROOT = os.geteuid() == 0
WEB_USER = "www-data"


def wait_for(condition, seconds=10.0, what="condition", interval=0.02):
    """Polls until condition() is true and returns its value; AssertionError at the deadline."""
    deadline = time.monotonic() + seconds * SLOWNESS
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("timed out after %.0f s waiting for %s" % (seconds * SLOWNESS, what))
        time.sleep(interval)


class Ports:
    """Free TCP ports, below the ephemeral range and each with a lock: with SO_REUSEPORT two
    daemons on one port would not notice each other. The lock is a name in the abstract
    namespace of unix sockets (unix(7)): gone with the process, whoever ran it."""

    def __init__(self):
        self.held = []

    def take(self):
        while True:
            port = random.randrange(20000, 32000)
            lock = socket.socket(socket.AF_UNIX)
            try:
                lock.bind("\0serin-test-port-%d" % port)
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            except OSError:
                lock.close()
                continue
            self.held.append(lock)
            return port

    def close(self):
        for lock in self.held:
            lock.close()
        self.held = []


def die_with_parent():
    """In the child: the kernel kills it when the test is killed (prctl PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Process:
    """A child with a log file and one way to end."""

    def __init__(self, name, argv, log, env=None, user=None, cwd=None):
        self.name, self.argv, self.log = name, argv, log
        kwargs = {}
        if user and IS_ROOT:
            entry = pwd.getpwnam(user)
            kwargs = {"user": entry.pw_uid, "group": entry.pw_gid,
                      "extra_groups": [g.gr_gid for g in grp.getgrall() if user in g.gr_mem]}
        self.log_file = open(log, "ab")
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log_file, stderr=self.log_file,
                                        env=dict(os.environ, **(env or {})), cwd=cwd, preexec_fn=die_with_parent,
                                        **kwargs)
        self.pid = self.process.pid

    @property
    def running(self):
        return self.process.poll() is None

    def send_signal(self, number):
        if self.running:
            self.process.send_signal(number)

    def wait(self, seconds=20.0):
        return self.process.wait(seconds * SLOWNESS)

    def stop(self, number=signal.SIGTERM, seconds=20.0):
        """Ends it; returns its exit status (negative: the signal)."""
        self.send_signal(number)
        try:
            return self.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("%s did not end %.0f s after signal %d" % (self.name, seconds * SLOWNESS, number))

    def kill(self):
        self.send_signal(signal.SIGKILL)
        self.process.wait()

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()


class Fpm:
    """A real PHP-FPM master with one pool."""

    def __init__(self, case, name, root, children=8, settings=(), environment=(), tcp_port=None):
        self.case, self.name, self.root = case, name, root
        self.socket = case.path(name + ".sock")
        self.address = "unix:" + self.socket if tcp_port is None else "127.0.0.1:%d" % tcp_port
        self.tcp_port = tcp_port
        self.children, self.settings, self.environment = children, dict(settings), dict(environment)
        self.process = None
        self.log = case.path(name + "-fpm.log")

    def start(self):
        lines = ["[global]", "error_log = /proc/self/fd/2", "process_control_timeout = 20s", "daemonize = no",
                 "[%s]" % self.name,
                 "listen = %s" % (self.socket if self.tcp_port is None else self.address), "listen.mode = 0666",
                 "pm = static", "pm.max_children = %d" % self.children, "catch_workers_output = yes",
                 "decorate_workers_output = no", "php_admin_flag[display_errors] = off",
                 "php_admin_flag[log_errors] = on", "php_admin_value[opcache.validate_timestamps] = 0",
                 "php_admin_value[upload_max_filesize] = 200M", "php_admin_value[post_max_size] = 200M",
                 "php_admin_value[upload_tmp_dir] = %s" % self.case.scratch]
        if IS_ROOT:
            lines += ["user = %s" % WEB_USER, "group = %s" % WEB_USER]
        lines += ["%s = %s" % item for item in self.settings.items()]
        lines += ["env[%s] = %s" % item for item in self.environment.items()]
        conf = self.case.write(self.name + "-fpm.conf", "\n".join(lines) + "\n")
        self.process = self.case.spawn(self.name + "-fpm", ["php-fpm8.2", "-F", "-y", conf], log=self.log)
        wait_for(lambda: self.answers() or not self.process.running, 15, "php-fpm %s" % self.name)
        assert self.process.running, self.process.log_text()
        return self

    def answers(self):
        family, target = ((socket.AF_UNIX, self.socket) if self.tcp_port is None
                          else (socket.AF_INET, ("127.0.0.1", self.tcp_port)))
        with socket.socket(family) as probe:
            return probe.connect_ex(target) == 0

    def stop(self, number=signal.SIGQUIT):
        return self.process.stop(number)


class Nginx:
    """nginx in the foreground under a prefix of ours; `http` is the inside of the http block."""

    def __init__(self, case, http, name="nginx"):
        prefix = case.folder(name)
        conf = case.write(name + ".conf", """
            %s
            worker_processes 1;
            pid %s/nginx.pid;
            error_log stderr warn;
            daemon off;
            events { worker_connections 512; }
            http {
                access_log off;
                client_body_temp_path %s/body;
                proxy_temp_path %s/proxy;
                fastcgi_temp_path %s/fastcgi;
                uwsgi_temp_path %s/uwsgi;
                scgi_temp_path %s/scgi;
                %s
            }
            """ % (("user %s;" % WEB_USER if IS_ROOT else ""), *[prefix] * 6, http))
        case.command(["nginx", "-e", "stderr", "-t", "-q", "-p", prefix, "-c", conf])
        self.process = case.spawn(name, ["nginx", "-e", "stderr", "-p", prefix, "-c", conf])


def to_toml(table, prefix=""):
    """Enough TOML for our own configurations: scalars, lists, tables, arrays of tables."""
    plain, nested = [], []
    for key, value in table.items():
        if value is None:
            continue
        if isinstance(value, dict):
            nested.append("\n[%s%s]\n%s" % (prefix, key, to_toml(value, prefix + key + ".")))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            nested += ["\n[[%s%s]]\n%s" % (prefix, key, to_toml(item, prefix + key + ".")) for item in value]
        else:
            plain.append("%s = %s\n" % (key, json.dumps(value)))
    return "".join(plain) + "".join(nested)


def merge(base, over):
    """base with over laid on it; None removes a key."""
    out = dict(base)
    for key, value in over.items():
        out[key] = merge(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


class Serin:
    """The daemon under test with its configuration, admin socket and metrics."""

    def __init__(self, case, config, name="serin"):
        self.case, self.name, self.config = case, name, config
        self.file = case.path(name + ".toml")
        self.address = config["listen"][0]["address"]
        self.admin_address = "unix:" + config["admin"]["socket"]
        self.metrics_address = config.get("metrics", {}).get("address")
        self.process = None
        self.write_config()

    def write_config(self, config=None, text=None):
        if config is not None:
            self.config = config
        self.case.write(os.path.basename(self.file), text if text is not None else to_toml(self.config))

    def start(self, arguments=(), wait=True):
        env = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=86",
               "UBSAN_OPTIONS": "print_stacktrace=1:exitcode=86",
               "TSAN_OPTIONS": "exitcode=86:second_deadlock_stack=1:halt_on_error=0"}
        self.process = self.case.spawn(self.name, [SERIN, "-c", self.file, *arguments], env=env)
        if wait:
            wait_for(lambda: self.ready() or not self.process.running, 15, "serin to answer on its admin socket")
            assert self.process.running, "serin ended with %s:\n%s" % (self.process.process.returncode,
                                                                       self.process.log_text())
        return self

    def ready(self):
        try:
            return self.admin("GET", "/v1/status")[0] == 200
        except (OSError, ValueError):
            return False

    def stop(self, seconds=20.0):
        """SIGTERM, and it must end well: exit status 0, no sanitizer report."""
        status = self.process.stop(signal.SIGTERM, seconds)
        self.check_log()
        assert status == 0, "serin ended with %d" % status

    def kill(self):
        self.process.kill()

    def restart_after_kill(self):
        self.kill()
        return self.start()

    def check_log(self):
        text = self.process.log_text()
        for mark in ("ERROR: AddressSanitizer", "WARNING: ThreadSanitizer", "runtime error:", "LeakSanitizer"):
            assert mark not in text, "sanitizer report:\n" + text[text.index(mark):][:6000]

    def admin(self, method, path, body=None):
        """-> (status, decoded JSON or text)."""
        payload = None if body is None else json.dumps(body).encode()
        headers = [] if body is None else [("Content-Type", "application/json")]
        response = fetch(self.admin_address, path, method, headers, payload, host="serin")
        kind = response.header("Content-Type", "")
        return response.status, json.loads(response.text) if "json" in kind else response.text

    def status(self):
        code, value = self.admin("GET", "/v1/status")
        assert code == 200, (code, value)
        return value

    def post(self, path, body=None, expect=200):
        code, value = self.admin("POST", path, body if body is not None else {})
        assert code == expect, "POST %s: %d %s" % (path, code, value)
        return value

    def set_weight(self, percent):
        return self.post("/v1/weight", {"canary": percent})

    def state(self):
        return self.status()["state"]

    def wait_state(self, *states, seconds=30.0):
        return wait_for(lambda: self.status() if self.state() in states else None, seconds,
                        "state %s" % " or ".join(states), 0.05)

    def ctl(self, *arguments, check=True, timeout=60):
        """Runs serinctl; -> CompletedProcess with text output."""
        result = subprocess.run([SERINCTL, "--socket", self.admin_address[5:], *arguments], text=True,
                                capture_output=True, timeout=timeout * SLOWNESS, stdin=subprocess.DEVNULL)
        if check:
            assert result.returncode == 0, "serinctl %s: %d\n%s%s" % (
                " ".join(arguments), result.returncode, result.stdout, result.stderr)
        return result

    def metrics_text(self):
        response = fetch(self.metrics_address, "/metrics")
        assert response.status == 200, response
        return response.text

    def metrics(self):
        """-> {"name{label=\"x\"}": value}"""
        out = {}
        for line in self.metrics_text().splitlines():
            match = re.fullmatch(r"([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)(?: \d+)?", line)
            if match:
                out[match.group(1)] = float(match.group(2))
        return out

    def metric_sum(self, name, **labels):
        """Sum over the series of that name whose labels include these."""
        total = 0.0
        for series, value in self.metrics().items():
            if series.partition("{")[0] == name and all('%s="%s"' % item in series for item in labels.items()):
                total += value
        return total

    def memory_kib(self, field="VmHWM"):
        with open("/proc/%d/status" % self.process.pid) as file:
            return int(re.search(field + r":\s+(\d+)", file.read()).group(1))

    def open_files(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def get(self, target="/", **kwargs):
        return fetch(self.address, target, **kwargs)


def client_address(number):
    return "10.%d.%d.%d" % (number >> 16 & 255, number >> 8 & 255, number & 255)


class Load:
    """Threads that send requests, each with an id of its own, and keep what came back.

    Each request comes from another client (X-Forwarded-For): many failures of
    one client are no verdict on a release.
    """

    def __init__(self, address, threads=4, target=lambda i: "/", method="GET", pause=0.0, headers=(), body=None):
        self.address, self.target, self.method, self.pause = address, target, method, pause
        self.headers, self.body = list(headers), body
        self.results, self.lock, self.next_id = [], threading.Lock(), 0
        self.halt = threading.Event()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def _run(self):
        connection = None
        while not self.halt.is_set():
            with self.lock:
                number = self.next_id
                self.next_id += 1
            began = time.monotonic()
            response, problem = None, None
            try:
                if connection is None:
                    connection = Connection(self.address, 30)
                response = connection.request(self.method, self.target(number),
                                              [("X-Id", str(number)), *(self.headers or [
                                                  ("X-Forwarded-For", client_address(number))])], self.body)
                if response.header("Connection", "").lower() == "close" or connection.eof:
                    connection.close()
                    connection = None
            except Exception as error:  # every failure is a result
                problem = repr(error)
                if connection:
                    connection.close()
                connection = None
            with self.lock:
                self.results.append((number, response, problem, time.monotonic() - began))
            if self.pause:
                time.sleep(self.pause)
        if connection:
            connection.close()

    def count(self):
        with self.lock:
            return len(self.results)

    def stop(self):
        """-> list of (id, response or None, problem or None, seconds), all answered."""
        self.halt.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive(), "a client of the load is stuck"
        return self.results

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.halt.set()


class SerinCase(unittest.TestCase):
    """See the module's comment."""

    maxDiff = None

    def setUp(self):
        # Short: a unix socket's path has at most 107 bytes.
        self.scratch = tempfile.mkdtemp(prefix="serin-")
        os.chmod(self.scratch, 0o777)
        self.ports, self.processes, self.fakes, self.daemons = Ports(), [], [], []
        self.addCleanup(self._clean)

    # --- files ---

    def path(self, *parts):
        return os.path.join(self.scratch, *parts)

    def folder(self, *parts):
        path = self.path(*parts)
        os.makedirs(path, exist_ok=True)
        os.chmod(path, 0o777)
        return path

    def write(self, name, text):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w" if isinstance(text, str) else "wb") as file:
            file.write(text)
        os.chmod(path, 0o644)
        return path

    def port(self):
        return self.ports.take()

    # --- processes ---

    def command(self, argv, check=True, timeout=60, **kwargs):
        result = subprocess.run(argv, text=True, capture_output=True, timeout=timeout * SLOWNESS,
                                stdin=subprocess.DEVNULL, **kwargs)
        if check and result.returncode != 0:
            raise AssertionError("%s: %d\n%s%s" % (" ".join(argv), result.returncode, result.stdout, result.stderr))
        return result

    def spawn(self, name, argv, log=None, **kwargs):
        process = Process(name, argv, log or self.path(name + ".log"), **kwargs)
        self.processes.append(process)
        return process

    def fake(self, name="fake", tcp=False, **kwargs):
        fake = FakeFpm("127.0.0.1:0" if tcp else "unix:" + self.path(name + ".sock"), name, **kwargs).start()
        self.fakes.append(fake)
        return fake

    def fakes_for_pools(self):
        self.blue, self.green = self.fake("blue"), self.fake("green")
        return self.blue, self.green

    def fpm(self, name, root, **kwargs):
        return Fpm(self, name, root, **kwargs).start()

    def release(self, name, place):
        """The demo application's release, with place/current pointing at it; -> the pool's root."""
        target = self.path("releases", "%s-%d" % (name, len(os.listdir(self.folder("releases")))))
        self.command([os.path.join(ROOT, "deploy/demo/make-release.sh"), name, target])
        link = os.path.join(self.folder(place), "current")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(link)
        os.symlink(target, link)
        return os.path.join(link, "public")

    def script(self, place, name, code):
        """A PHP file of the test's own; -> the folder."""
        folder = self.folder(place)
        self.write(os.path.join(place, name), "<?php\n" + code)
        return folder

    # --- the daemon ---

    def config(self, over=None, blue=None, green=None, blue_root=None, green_root=None):
        """A small complete configuration; `over` is laid on it. A pool that nobody named is a fake."""
        for pool, given in (("blue", blue), ("green", green)):
            if given is None and not hasattr(self, pool):
                setattr(self, pool, self.fake(pool + "-idle"))
        base = {
            "server": {"workers": 2},
            "listen": [{"address": "unix:" + self.path("http.sock"), "protocol": "http"}],
            "pools": {
                "blue": {"address": blue or self.blue.address, "root": blue_root or self.folder("root")},
                "green": {"address": green or self.green.address, "root": green_root or self.folder("root")},
            },
            "split": {"key": "none"},
            "rescue": {"enabled": False},
            "admin": {"socket": self.path("admin.sock")},
            "metrics": {"address": "127.0.0.1:%d" % self.port()},
            "state": {"directory": self.folder("state")},
        }
        return merge(base, over or {})

    def serin(self, over=None, start=True, name="serin", **kwargs):
        daemon = Serin(self, self.config(over, **kwargs), name)
        self.daemons.append(daemon)
        return daemon.start() if start else daemon

    # --- the end ---

    def _failed(self):
        result = self._outcome.result
        return any(case is self for case, _ in result.failures + result.errors)

    def _clean(self):
        trouble = []
        for daemon in self.daemons:
            if daemon.process and daemon.process.running:
                try:
                    daemon.stop()
                except AssertionError as error:
                    trouble.append(str(error))
            elif daemon.process:
                try:
                    daemon.check_log()
                except AssertionError as error:
                    trouble.append(str(error))
        for fake in self.fakes:
            fake.stop()
        for process in reversed(self.processes):
            if process.running:
                process.send_signal(signal.SIGQUIT if "fpm" in process.name else signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.process.wait(2)
                if process.running:
                    process.send_signal(signal.SIGTERM)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.process.wait(5)
                if process.running:
                    process.kill()
            process.log_file.close()
        if trouble or self._failed() or sys.exc_info()[0]:
            self._dump_logs()
        self.ports.close()
        if KEEP:
            print("kept: " + self.scratch, file=sys.stderr)
        else:
            shutil.rmtree(self.scratch, ignore_errors=True)
        if trouble:
            self.fail("\n".join(trouble))

    def _dump_logs(self):
        for process in self.processes:
            with contextlib.suppress(OSError):
                lines = process.log_text().splitlines()[-60:]
                print("--- %s ---\n%s" % (process.name, "\n".join(lines)), file=sys.stderr)
        for fake in self.fakes:
            print("--- fake %s: %d requests, %d connections, at most %d requests at once ---" % (
                fake.name, len(fake.seen), fake.connections_made, fake.most_busy), file=sys.stderr)


def deadline(*_):
    raise AssertionError("the test file ran into its deadline (SERIN_TEST_DEADLINE)")


def main():
    """Runs the file's tests, with a deadline a little before ctest's, so that we clean up ourselves."""
    signal.signal(signal.SIGALRM, deadline)
    signal.signal(signal.SIGTERM, deadline)
    signal.alarm(DEADLINE)
    unittest.main(verbosity=2)
