"""WordPress (Debian's package) with MariaDB, each of the four ways behind nginx: install, log in, post, upload."""

import json
import os
import re
import shutil
import struct
import unittest
import zlib

from browser import Browser
from certificates import Authority
from front_nginx import LISTENERS, open_ways
from harness import IS_ROOT, WEB_USER, SerinCase, main, wait_for

WORDPRESS = "/usr/share/wordpress"


def png(width=64, height=64):
    """A picture that GD can read."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes(value for x in range(width) for value in (x * 4 % 256, y * 4 % 256, 128))
                    for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


@unittest.skipUnless(os.path.isdir(WORDPRESS) and shutil.which("mariadbd"),
                     "needs the packages wordpress and mariadb-server")
class WordPressTest(SerinCase):
    def setUp(self):
        super().setUp()
        self.start_mariadb()
        self.roots = {"blue": self.copy_of_wordpress()}
        self.roots["green"] = self.second_release(self.roots["blue"])
        settings = {"php_admin_value[memory_limit]": "256M"}
        masters = {pool: self.fpm(pool, root, children=4, settings=settings) for pool, root in self.roots.items()}
        self.daemon = self.serin({"server": {"pool_header": "X-Serin-Pool"}, "split": {"key": "cookie"},
                                  "listen": [{"address": "unix:" + self.path(protocol + ".sock"), "protocol": protocol}
                                             for protocol in LISTENERS]},
                                 blue=masters["blue"].address, green=masters["green"].address,
                                 blue_root=self.roots["blue"], green_root=self.roots["green"])
        self.ways = open_ways(self, self.roots, masters["blue"].socket, Authority(self))

    def start_mariadb(self):
        data, user = self.folder("db"), WEB_USER if IS_ROOT else None
        self.db_socket = self.path("db.sock")
        options = ["--no-defaults", "--datadir=" + data, *(["--user=" + user] if user else [])]
        self.command(["mariadb-install-db", *options, "--auth-root-authentication-method=normal", "--skip-test-db"],
                     timeout=120)
        self.spawn("mariadbd", ["mariadbd", *options, "--socket=" + self.db_socket, "--skip-networking",
                                "--pid-file=" + self.path("db.pid"), "--innodb-buffer-pool-size=64M",
                                "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--tmpdir=" + self.scratch])
        wait_for(lambda: self.sql("SELECT 1", check=False).returncode == 0, 60, "MariaDB")
        self.sql("CREATE DATABASE wp; CREATE USER wp@localhost IDENTIFIED BY 'secret'; GRANT ALL ON wp.* TO wp@localhost")

    def sql(self, statement, check=True):
        return self.command(["mariadb", "--no-defaults", "-S", self.db_socket, "-u", "root", "-e", statement],
                            check=check)

    def copy_of_wordpress(self):
        """Debian's files are not ours to write to; links would lead PHP back to them."""
        root = self.path("wordpress")
        self.command(["cp", "-rL", "--", WORDPRESS, root], check=False)
        with open(os.path.join(root, "wp-config.php"), "w") as file:
            file.write("""<?php
                define('DB_NAME', 'wp'); define('DB_USER', 'wp'); define('DB_PASSWORD', 'secret');
                define('DB_HOST', 'localhost:%s'); define('DB_CHARSET', 'utf8mb4'); define('DB_COLLATE', '');
                foreach (['AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE'] as $k) {
                    define($k . '_KEY', "test key $k"); define($k . '_SALT', "test salt $k");
                }
                // Each of the four ways has a host of its own.
                define('WP_HOME', (empty($_SERVER['HTTPS']) ? 'http://' : 'https://') . $_SERVER['HTTP_HOST']);
                define('WP_SITEURL', WP_HOME);
                define('DISABLE_WP_CRON', true); define('WP_HTTP_BLOCK_EXTERNAL', true); define('FS_METHOD', 'direct');
                $table_prefix = 'wp_';
                if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
                require_once ABSPATH . 'wp-settings.php';
                """ % self.db_socket)
        os.makedirs(os.path.join(root, "wp-content/uploads"), exist_ok=True)
        for folder, _, _ in os.walk(os.path.join(root, "wp-content")):
            os.chmod(folder, 0o777)
        return root

    def second_release(self, first):
        """A folder of its own with the same files; what people upload is shared."""
        root = self.path("wordpress-2")
        self.command(["cp", "-rl", "--", first, root])
        uploads = os.path.join(root, "wp-content/uploads")
        os.rmdir(uploads)
        os.symlink(os.path.join(first, "wp-content/uploads"), uploads)
        return root

    def nonce(self, page, name="_wpnonce"):
        match = re.search(r'name="%s" value="([^"]+)"' % name, page.text) or re.search(
            r'id="%s"[^>]*value="([^"]+)"' % name, page.text)
        self.assertIsNotNone(match, page.text[:2000])
        return match.group(1)

    def test_install_log_in_post_and_upload(self):
        for number, way in enumerate(self.ways):
            with self.subTest(way.name):
                browser = Browser(way.address, way.host, way.scheme)
                self.daemon.set_weight(0)
                if number == 0:
                    self.install(browser)
                self.log_in(browser)
                # Half of the visitors on either pool from here on: the session must not care.
                self.daemon.set_weight(50)
                self.write_a_post(browser, "A finch by %s" % way.name)
                self.upload_a_picture(browser)
                for weight, pool in ((0, "blue"), (100, "green")):
                    self.daemon.set_weight(weight)
                    admin = browser.request("/wp-admin/edit.php")
                    self.assertEqual((admin.status, admin.header("X-Serin-Pool")), (200, pool))
                    self.assertIn("A finch by %s" % way.name, admin.text, "still logged in on the other pool")
                style = browser.request("/wp-includes/css/dashicons.min.css")
                self.assertEqual((style.status, style.header("Content-Type"), style.header("X-Serin-Pool")),
                                 (200, "text/css", None), "by nginx itself")

    def install(self, browser):
        front = browser.request("/")
        self.assertEqual(front.status, 200)
        self.assertIn("WordPress", front.text, "the first visit leads to the installer")
        done = browser.form("/wp-admin/install.php?step=2", weblog_title="Finches", user_name="ann",
                            admin_password="a long pass phrase", admin_password2="a long pass phrase",
                            pw_weak="1", admin_email="ann@example.test", blog_public="0", language="")
        self.assertIn("Success", done.text, done.text[:3000])
        self.assertIn("Finches", browser.request("/").text)

    def log_in(self, browser):
        browser.request("/wp-login.php")
        browser.form("/wp-login.php", log="ann", pwd="a long pass phrase", **{
            "wp-submit": "Log In", "redirect_to": "%s://%s/wp-admin/" % (browser.scheme, browser.host),
            "testcookie": "1"})
        dashboard = browser.request("/wp-admin/")
        self.assertEqual(dashboard.status, 200)
        self.assertIn("wpadminbar", dashboard.text)

    def write_a_post(self, browser, title):
        settings = browser.request("/wp-admin/options-permalink.php")
        browser.form("/wp-admin/options-permalink.php", _wpnonce=self.nonce(settings), selection="/%postname%/",
                     permalink_structure="/%postname%/", category_base="", tag_base="", submit="Save")
        rest = re.search(r'createNonceMiddleware\(\s*"([0-9a-f]+)"', browser.request("/wp-admin/post-new.php").text)
        self.assertIsNotNone(rest)
        post = browser.request("/index.php?rest_route=/wp/v2/posts", "POST", [
            ("Content-Type", "application/json"), ("X-WP-Nonce", rest.group(1))],
            json.dumps({"title": title, "content": "Grüße aus dem Käfig", "status": "publish"}).encode())
        self.assertEqual(post.status, 201, post.text[:2000])
        page = browser.request("/%s/" % title.lower().replace(" ", "-"))
        self.assertEqual(page.status, 200)
        self.assertIn("Grüße aus dem Käfig", page.text)
        self.assertEqual(browser.request("/no-such-post/").status, 404)

    def upload_a_picture(self, browser):
        nonce, picture = self.nonce(browser.request("/wp-admin/media-new.php")), png()
        answer = browser.upload("/wp-admin/async-upload.php", "async-upload", "finch.png", picture, "image/png",
                                _wpnonce=nonce, name="finch.png", action="upload-attachment")
        self.assertEqual(answer.status, 200)
        self.assertIn('"success":true', answer.text, answer.text[:2000])
        url = re.search(r'"url":"https?:\\/\\/[^"\\]+((?:\\/[^"\\]+)+\.png)"', answer.text).group(1).replace("\\/", "/")
        stored = browser.request(url)
        self.assertEqual((stored.status, stored.body), (200, picture))


if __name__ == "__main__":
    main()
