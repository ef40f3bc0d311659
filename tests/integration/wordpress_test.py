"""WordPress (Debian's package) with MariaDB, behind nginx and Serin: install, log in, post, upload a picture."""

import os
import re
import shutil
import struct
import unittest
import urllib.parse
import zlib

from front_nginx import shipped
from harness import IS_ROOT, WEB_USER, Nginx, SerinCase, main, wait_for
from http_client import fetch

WORDPRESS = "/usr/share/wordpress"
FORM = ("Content-Type", "application/x-www-form-urlencoded")


def png(width=64, height=64):
    """A picture that GD can read."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes(value for x in range(width) for value in (x * 4 % 256, y * 4 % 256, 128))
                    for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


class Browser:
    """Cookies and redirects, and nothing else of a browser."""

    def __init__(self, address, host):
        self.address, self.host, self.cookies = address, host, {}

    def request(self, target, method="GET", headers=(), body=None, follow=True):
        for _ in range(6):
            cookie = [("Cookie", "; ".join("%s=%s" % pair for pair in self.cookies.items()))] if self.cookies else []
            response = fetch(self.address, target, method, [*headers, *cookie], body, 60, self.host)
            for line in response.all("Set-Cookie"):
                name, _, value = line.partition(";")[0].partition("=")
                self.cookies[name] = value
            location = response.header("Location")
            if not follow or not location or response.status not in (301, 302, 303):
                return response
            parts = urllib.parse.urlsplit(urllib.parse.urljoin("http://%s%s" % (self.host, target), location))
            assert parts.netloc == self.host, "redirected away, to %s" % location
            target, method, headers, body = urllib.parse.urlunsplit(("", "", *parts[2:])), "GET", (), None
        raise AssertionError("redirected in a circle: %s" % target)

    def form(self, target, **fields):
        return self.request(target, "POST", [FORM], urllib.parse.urlencode(fields).encode())


@unittest.skipUnless(os.path.isdir(WORDPRESS) and shutil.which("mariadbd"),
                     "needs the packages wordpress and mariadb-server")
class WordPressTest(SerinCase):
    def setUp(self):
        super().setUp()
        self.start_mariadb()
        self.root = self.copy_of_wordpress()
        port = self.port()
        self.host = "localhost:%d" % port
        settings = {"php_admin_value[memory_limit]": "256M"}
        masters = {pool: self.fpm(pool, self.root, children=4, settings=settings) for pool in ("blue", "green")}
        self.daemon = self.serin({"server": {"pool_header": "X-Serin-Pool"}, "split": {"key": "cookie"},
                                  "listen": [self.listener()]},
                                 blue=masters["blue"].address, green=masters["green"].address, blue_root=self.root,
                                 green_root=self.root)
        Nginx(self, "include /etc/nginx/mime.types; types_hash_max_size 2048;" + self.site(port))
        self.browser = Browser("127.0.0.1:%d" % port, self.host)

        def up():
            try:
                return fetch(self.browser.address, "/wp-includes/css/dashicons.min.css").status == 200
            except OSError:
                return False
        wait_for(up, 10, "nginx")

    def listener(self):
        return {"address": "unix:" + self.path("http.sock"), "protocol": "http"}

    def site(self, port):
        """Static files by nginx, all the rest by Serin: a folder's index, scripts by name, pretty links."""
        return """
            upstream serin { server unix:%s; keepalive 8; }
            server {
                listen 127.0.0.1:%d; root %s; client_max_body_size 20m;
                location ~* ^/wp-(content|includes|admin)/.+\\.(css|js|png|jpe?g|gif|svg|woff2?)$ { }
                location / {
                    proxy_pass http://serin; proxy_http_version 1.1; proxy_set_header Connection "";
                    proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr;
                    proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Port $server_port;
                }
            }""" % (self.path("http.sock"), port, self.root)

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
                define('DISABLE_WP_CRON', true); define('WP_HTTP_BLOCK_EXTERNAL', true); define('FS_METHOD', 'direct');
                $table_prefix = 'wp_';
                if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
                require_once ABSPATH . 'wp-settings.php';
                """ % self.db_socket)
        os.makedirs(os.path.join(root, "wp-content/uploads"), exist_ok=True)
        for folder, _, _ in os.walk(os.path.join(root, "wp-content")):
            os.chmod(folder, 0o777)
        return root

    def nonce(self, page, name="_wpnonce"):
        match = re.search(r'name="%s" value="([^"]+)"' % name, page.text) or re.search(
            r'id="%s"[^>]*value="([^"]+)"' % name, page.text)
        self.assertIsNotNone(match, page.text[:2000])
        return match.group(1)

    def test_install_log_in_post_and_upload(self):
        browser = self.browser
        front = browser.request("/")
        self.assertEqual(front.status, 200)
        self.assertIn("WordPress", front.text, "the first visit leads to the installer")

        done = browser.form("/wp-admin/install.php?step=2", weblog_title="Finches", user_name="ann",
                            admin_password="a long pass phrase", admin_password2="a long pass phrase",
                            pw_weak="1", admin_email="ann@example.test", blog_public="0", language="")
        self.assertIn("Success", done.text, done.text[:3000])
        self.assertIn("Finches", browser.request("/").text)

        browser.request("/wp-login.php")
        browser.form("/wp-login.php", log="ann", pwd="a long pass phrase", **{
            "wp-submit": "Log In", "redirect_to": "http://%s/wp-admin/" % self.host, "testcookie": "1"})
        dashboard = browser.request("/wp-admin/")
        self.assertEqual(dashboard.status, 200)
        self.assertIn("wp-admin-bar", dashboard.text.lower().replace("wpadminbar", "wp-admin-bar"))

        # Half of the visitors on either pool from here on: the session must not care.
        self.daemon.set_weight(50)
        settings = browser.request("/wp-admin/options-permalink.php")
        browser.form("/wp-admin/options-permalink.php", _wpnonce=self.nonce(settings), selection="/%postname%/",
                     permalink_structure="/%postname%/", category_base="", tag_base="", submit="Save")

        rest = re.search(r'createNonceMiddleware\(\s*"([0-9a-f]+)"', browser.request("/wp-admin/post-new.php").text)
        self.assertIsNotNone(rest)
        post = browser.request("/index.php?rest_route=/wp/v2/posts", "POST", [
            ("Content-Type", "application/json"), ("X-WP-Nonce", rest.group(1))],
            '{"title": "A wild finch", "content": "Grüße aus dem Käfig", "status": "publish"}'.encode())
        self.assertEqual(post.status, 201, post.text[:2000])
        page = browser.request("/a-wild-finch/")
        self.assertEqual(page.status, 200)
        self.assertIn("Grüße aus dem Käfig", page.text)
        self.assertEqual(browser.request("/no-such-post/").status, 404)

        upload = browser.request("/wp-admin/media-new.php")
        boundary, picture = "X0X", png()
        parts = {"_wpnonce": self.nonce(upload), "name": "finch.png", "action": "upload-attachment"}
        body = b"".join(b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (
            boundary.encode(), key.encode(), value.encode()) for key, value in parts.items())
        body += (b'--%s\r\nContent-Disposition: form-data; name="async-upload"; filename="finch.png"\r\n'
                 b"Content-Type: image/png\r\n\r\n%s\r\n--%s--\r\n" % (boundary.encode(), picture, boundary.encode()))
        answer = browser.request("/wp-admin/async-upload.php", "POST", [
            ("Content-Type", "multipart/form-data; boundary=" + boundary)], body)
        self.assertEqual(answer.status, 200)
        self.assertIn('"success":true', answer.text, answer.text[:2000])
        url = re.search(r'"url":"http:\\/\\/[^"\\]+((?:\\/[^"\\]+)+\.png)"', answer.text).group(1).replace("\\/", "/")
        stored = browser.request(url)
        self.assertEqual((stored.status, stored.body), (200, picture))

        for weight, pool in ((0, "blue"), (100, "green")):
            self.daemon.set_weight(weight)
            admin = browser.request("/wp-admin/edit.php")
            self.assertEqual((admin.status, admin.header("X-Serin-Pool")), (200, pool))
            self.assertIn("A wild finch", admin.text, "still logged in on the other pool")


class WordPressByShippedHttpTest(WordPressTest):
    def site(self, port):
        return shipped(self, "serin-http.conf", ("/run/serin/http.sock", self.path("http.sock")),
                       ("/srv/app/blue/public", self.root), ("/srv/app/green/public", self.root),
                       ("listen 80;", "listen 127.0.0.1:%d;" % port))


class WordPressByFastCgiTest(WordPressTest):
    """The same through nginx's fastcgi_pass: the site as it was, and one line."""

    def listener(self):
        return {"address": "unix:" + self.path("fastcgi.sock"), "protocol": "fastcgi"}

    def site(self, port):
        return shipped(self, "serin-fastcgi.conf", *self.replacements(port),
                       # As the file says for a site on a port of its own.
                       ("# fastcgi_param HTTP_HOST", "fastcgi_param HTTP_HOST"))

    def replacements(self, port):
        return (("/run/serin/fastcgi.sock", self.path("fastcgi.sock")), ("/srv/app/blue/public", self.root),
                ("/srv/app/green/public", self.root), ("listen 80;", "listen 127.0.0.1:%d;" % port))


class WordPressByFastCgiWithBackupTest(WordPressByFastCgiTest):
    def site(self, port):
        return shipped(self, "serin-fastcgi-backup.conf", *self.replacements(port),
                       ("/srv/app/stable/public", self.root), ("/run/serin-fpm/stable.sock", self.path("blue.sock")),
                       ("include fastcgi.conf;", "include fastcgi.conf; fastcgi_param HTTP_HOST $host:$server_port;"))


if __name__ == "__main__":
    main()
