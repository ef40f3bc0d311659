"""What streams, through every door: the four ways behind nginx, and Serin's own by HTTP/1.1 and 2, in clear and TLS.

The scripts wait for a file that the test makes once it has seen the beginning: nothing here depends on a clock.
"""

import contextlib
import hashlib
import json
import os
import subprocess

from certificates import Authority
from front_nginx import LISTENERS, open_ways
from harness import SLOWNESS, SerinCase, main, wait_for

MIB = 1024 * 1024
STREAM = r"""
$go = getenv('GO') . '/' . ($_GET['go'] ?? '');
function wait_for_go() { global $go; while (!file_exists($go)) { usleep(5000); clearstatcache(); } }
while (ob_get_level()) ob_end_flush();
switch ($_GET['do'] ?? '') {
case 'events':
    header('Content-Type: text/event-stream');
    echo "data: first\n\n"; flush(); wait_for_go(); echo "data: last\n\n"; break;
case 'download':
    header('Content-Type: application/octet-stream'); header('Content-Length: ' . 8 * 1048576);
    for ($i = 0; $i < 64; $i++) { if ($i == 32) { flush(); wait_for_go(); } echo str_repeat(chr(65 + $i % 26), 131072); }
    break;
case 'drip':
    header('Content-Type: text/plain');
    while (true) { echo '.'; flush(); usleep(5000); }
case 'silence':
    echo "nothing more\n"; flush(); sleep(600); break;
case 'upload':
    touch($go); echo hash('sha256', file_get_contents('php://input')), ' ', $_SERVER['CONTENT_LENGTH']; break;
}
"""
DOWNLOAD = b"".join(bytes([65 + i % 26]) * 131072 for i in range(64))


class StreamTest(SerinCase):
    def setUp(self):
        super().setUp()
        self.go = self.folder("go")
        roots = {pool: self.script(pool + "/public", "index.php", STREAM) for pool in ("blue", "green")}
        masters = {pool: self.fpm(pool, root, children=32, environment={"GO": self.go}) for pool, root in roots.items()}
        authority = Authority(self)
        certificate, key = authority.issue("serin", "localhost")
        clear, secure = self.port(), self.port()
        self.log = self.path("access.log")
        self.daemon = self.serin({
            "listen": [*({"address": "unix:" + self.path(protocol + ".sock"), "protocol": protocol}
                         for protocol in LISTENERS),
                       {"address": "127.0.0.1:%d" % clear, "protocol": "http"},
                       {"address": "127.0.0.1:%d" % secure, "protocol": "https"}],
            "tls": {"certificate": certificate, "key": key}, "limits": {"temporary_directory": self.folder("spool")},
            "pools": {pool: {"max_connections": 32} for pool in ("blue", "green")},
            "access_log": {"target": "file", "path": self.log}},
            blue=masters["blue"].address, green=masters["green"].address, blue_root=roots["blue"],
            green_root=roots["green"])
        self.certificate = authority.certificate
        nginx = [(way.name, "%s://%s" % (way.scheme, way.host), "--http2" if way.scheme == "https" else "--http1.1")
                 for way in open_ways(self, roots, masters["blue"].socket, authority)]
        self.doors = [*nginx, ("HTTP/1.0", "http://localhost:%d" % clear, "--http1.0"), ("HTTP/1.1", "http://localhost:%d" % clear, "--http1.1"),
                      ("HTTP/1.1 with an offer of h2c", "http://localhost:%d" % clear, "--http2"),
                      ("HTTP/2", "http://localhost:%d" % clear, "--http2-prior-knowledge"),
                      ("HTTP/1.1 over TLS", "https://localhost:%d" % secure, "--http1.1"),
                      ("HTTP/2 over TLS", "https://localhost:%d" % secure, "--http2")]

    @contextlib.contextmanager
    def curl(self, door, target, *arguments):
        """A curl at work; what it receives can be read from .stdout. Gone at the end of the block."""
        _, url, flag = door
        argv = ["curl", "-sSN", "--max-time", "%d" % (60 * SLOWNESS), flag, "--cacert", self.certificate, *arguments,
                url + target]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
            try:
                yield process
            finally:
                process.kill()

    def wait_for_active(self, count):
        wait_for(lambda: self.daemon.metric_sum("serin_pool_connections", state="active") == count, 10,
                 "%d active pool connections" % count)

    def test_events_and_downloads_pass_as_they_are_written(self):
        for mark, door in enumerate(self.doors):
            with self.subTest(door[0]):
                with self.curl(door, "/?do=events&go=e%d" % mark) as client:
                    self.assertEqual(client.stdout.readline(), b"data: first\n")
                    self.write("go/e%d" % mark, "")
                    self.assertEqual(client.stdout.read(), b"\ndata: last\n\n")
                    self.assertEqual(client.wait(), 0)
                with self.curl(door, "/?do=download&go=d%d" % mark) as client:
                    half = client.stdout.read(4 * MIB)
                    self.write("go/d%d" % mark, "")
                    self.assertEqual(half + client.stdout.read(), DOWNLOAD)
                    self.assertEqual(client.wait(), 0)

    def test_a_client_that_leaves_frees_its_pool_connection(self):
        """Whether the script writes on or is silent, and in the middle of a download."""
        targets = (("/?do=drip", b"."), ("/?do=silence", b"n"), ("/?do=download&go=never", b"A"))
        for target, first in targets:
            with self.subTest(target), contextlib.ExitStack() as clients:
                leaving = [(door[0], clients.enter_context(self.curl(door, target))) for door in self.doors]
                for name, client in leaving:
                    self.assertEqual(client.stdout.read(1), first, name)
                self.wait_for_active(len(leaving))
                for _, client in leaving:
                    client.kill()
                self.wait_for_active(0)

        def logged():
            with open(self.log) as file:
                return [(line["status"], line["error"]) for line in map(json.loads, file)]
        wait_for(lambda: len(logged()) == len(self.doors) * len(targets), 5, "the access log")
        self.assertEqual(set(logged()), {(499, "client_left")})

    def test_uploads_are_whole_or_never_begun(self):
        data = os.urandom(3 * MIB)
        upload, digest = self.write("upload", data), hashlib.sha256(data).hexdigest()
        for mark, door in enumerate(self.doors):
            with self.subTest(door[0]):
                with self.curl(door, "/?do=upload&go=u%d" % mark, "-T", upload, "-X", "POST") as client:
                    self.assertEqual(client.stdout.read().decode(), "%s %d" % (digest, len(data)))
                self.assertEqual(os.listdir(self.path("spool")), [])
                received = self.daemon.metric_sum("serin_received_bytes_total")
                with self.curl(door, "/?do=upload&go=half%d" % mark, "-T", upload, "-X", "POST", "--limit-rate", "300k"):
                    # By the way with a backup nginx keeps the body until it is whole.
                    wait_for(lambda: self.daemon.metric_sum("serin_received_bytes_total") > received
                             or door[0] == "fastcgi-backup")
                # The next one's turn has come, and nobody has asked PHP for the half.
                with self.curl(door, "/?do=upload&go=after%d" % mark, "-d", "x") as client:
                    self.assertEqual(client.stdout.read().split()[1], b"1")
                self.assertNotIn("half%d" % mark, os.listdir(self.go))


if __name__ == "__main__":
    main()
