"""Large bodies through nginx, Serin and a real PHP-FPM, in bounded memory."""

import hashlib
import os
import threading

from harness import SANITIZER, Nginx, SerinCase, main, wait_for
from http_client import Connection, fetch

MIB = 1024 * 1024
LIMIT_KIB = 64 * 1024

TAKE = r"""
$hash = hash_init('sha256'); $size = 0; $in = fopen('php://input', 'rb');
while (!feof($in)) { $part = fread($in, 1 << 20); hash_update($hash, $part); $size += strlen($part); }
echo $size, ' ', hash_final($hash), ' ', $_SERVER['CONTENT_LENGTH'];
"""
GIVE = r"""
$size = (int) $_GET['size']; $block = str_repeat(pack('N*', ...range(1, 16384)), 16);
if (!isset($_GET['chunked'])) header("Content-Length: $size");
header('Content-Type: application/octet-stream');
while (ob_get_level()) ob_end_clean();
for (; $size > 0; $size -= strlen($block)) { echo $size >= strlen($block) ? $block : substr($block, 0, $size); }
"""


def download_block():
    import struct
    return struct.pack(">16384I", *range(1, 16385)) * 16


class BodiesTest(SerinCase):
    def setUp(self):
        super().setUp()
        root = self.script("root", "take.php", TAKE)
        self.script("root", "give.php", GIVE)
        settings = {"php_admin_value[memory_limit]": "64M", "php_admin_value[max_execution_time]": "300"}
        self.fpm_blue = self.fpm("blue", root, settings=settings)
        self.daemon = self.serin({"limits": {"body": "128MiB", "temporary_directory": self.folder("spool")},
                                  "pools": {"blue": {"read_timeout": "60s"}}},
                                 blue=self.fpm_blue.address, blue_root=root,
                                 green_root=root)
        Nginx(self, """
            upstream serin { server unix:%s; keepalive 4; }
            server {
                listen unix:%s; client_max_body_size 0;
                location / {
                    proxy_pass http://serin; proxy_http_version 1.1; proxy_set_header Connection "";
                    proxy_set_header Host $http_host; proxy_request_buffering off; proxy_buffering off;
                }
            }""" % (self.path("http.sock"), self.path("nginx.sock")))
        self.through_nginx = "unix:" + self.path("nginx.sock")
        wait_for(lambda: os.path.exists(self.path("nginx.sock")))
        for _ in range(20):  # settle: allocators, first spool
            self.daemon.get("/take.php", method="POST", body=b"x" * 100000)

    def check_memory(self):
        if not SANITIZER:  # shadow memory is not ours
            self.assertLess(self.daemon.memory_kib("VmHWM"), LIMIT_KIB)
        self.assertEqual(os.listdir(self.path("spool")), [], "temporary files have no name")

    def upload(self, address, megabytes, chunked):
        block, expected = os.urandom(MIB), hashlib.sha256()
        with Connection(address, 120) as connection:
            framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (megabytes * MIB)
            connection.send(b"POST /take.php HTTP/1.1\r\nHost: serin.test\r\nContent-Type: application/octet-stream\r\n"
                            + framing + b"\r\n\r\n")
            for _ in range(megabytes):
                expected.update(block)
                connection.send(b"%x\r\n%s\r\n" % (MIB, block) if chunked else block)
            if chunked:
                connection.send(b"0\r\n\r\n")
            response = connection.response()
        size = megabytes * MIB
        self.assertEqual(response.text, "%d %s %d" % (size, expected.hexdigest(), size))

    def download(self, address, size, chunked):
        block, expected, left = download_block(), hashlib.sha256(), size
        while left:
            part = block[:left]
            expected.update(part)
            left -= len(part)
        got, count = hashlib.sha256(), 0

        def sink(part):
            nonlocal count
            got.update(part)
            count += len(part)
        with Connection(address, 120) as connection:
            response = connection.request("GET", "/give.php?size=%d%s" % (size, "&chunked=1" if chunked else ""),
                                          sink=sink)
        self.assertEqual((response.status, response.complete, count), (200, True, size))
        self.assertEqual(response.framing, "chunked" if chunked else "length")
        self.assertEqual(got.hexdigest(), expected.hexdigest())

    def test_100_mb_up_with_a_known_length(self):
        self.upload(self.daemon.address, 100, chunked=False)
        self.upload(self.through_nginx, 100, chunked=False)
        self.check_memory()

    def test_100_mb_up_in_chunks(self):
        self.upload(self.daemon.address, 100, chunked=True)
        self.upload(self.through_nginx, 100, chunked=True)
        self.check_memory()

    def test_1_gb_down(self):
        self.download(self.through_nginx, 1 << 30, chunked=False)
        self.check_memory()

    def test_1_gb_down_in_chunks(self):
        self.download(self.daemon.address, 1 << 30, chunked=True)
        self.check_memory()

    def test_several_at_once(self):
        problems = []

        def guarded(call, *arguments):
            try:
                call(*arguments)
            except BaseException as error:  # an assertion in a thread would be lost
                problems.append(error)
        threads = [threading.Thread(target=guarded, args=arguments) for arguments in (
            (self.upload, self.daemon.address, 50, True), (self.upload, self.daemon.address, 50, False),
            (self.download, self.daemon.address, 200 * MIB, True), (self.download, self.daemon.address, 200 * MIB, False))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(problems, [])
        self.check_memory()

    def test_a_download_cut_by_its_client_is_cleaned_up(self):
        before = self.daemon.open_files()
        for _ in range(3):
            with Connection(self.daemon.address) as connection:
                connection.send(b"GET /give.php?size=1000000000 HTTP/1.1\r\nHost: x\r\n\r\n")
                connection.fill()
        wait_for(lambda: self.daemon.open_files() <= before, 20, "everything to be closed")
        self.check_memory()


if __name__ == "__main__":
    main()
