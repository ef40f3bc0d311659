"""A Laravel 8 application (tests/integration/laravel, on Debian's framework) with two releases, each of the four ways
behind nginx: routes, sessions, forms with CSRF tokens, encrypted cookies, redirects, uploads, JSON, events."""

import hashlib
import json
import os
import re
import shutil
import sqlite3
import time
import unittest
import urllib.parse

from browser import Browser
from certificates import Authority
from front_nginx import LISTENERS, open_ways
from harness import HERE, SerinCase, main
from http_client import Connection

FRAMEWORK = "/usr/share/php/Illuminate"


@unittest.skipUnless(os.path.isdir(FRAMEWORK), "needs the package php-laravel-framework")
class LaravelTest(SerinCase):
    def setUp(self):
        super().setUp()
        storage = self.folder("storage")
        for name in ("sessions", "uploads"):
            self.folder("storage", name)
        with sqlite3.connect(os.path.join(storage, "notes.sqlite")) as database:
            database.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
        os.chmod(os.path.join(storage, "notes.sqlite"), 0o666)
        self.roots = {pool: self.make_release(release) for pool, release in (("blue", "v1"), ("green", "v2"))}
        masters = {pool: self.fpm(pool, root, children=4, environment={"LARAVEL_STORAGE": storage})
                   for pool, root in self.roots.items()}
        self.daemon = self.serin({"server": {"pool_header": "X-Serin-Pool"}, "split": {"key": "cookie"},
                                  "pools": {pool: {"scripts": "front_controller"} for pool in ("blue", "green")},
                                  "listen": [{"address": "unix:" + self.path(protocol + ".sock"), "protocol": protocol}
                                             for protocol in LISTENERS]},
                                 blue=masters["blue"].address, green=masters["green"].address,
                                 blue_root=self.roots["blue"], green_root=self.roots["green"])
        self.ways = open_ways(self, self.roots, masters["blue"].socket, Authority(self))

    def make_release(self, name):
        """-> its document root."""
        folder = self.path("site", name)
        shutil.copytree(os.path.join(HERE, "laravel"), folder)
        self.folder(folder, "bootstrap/cache")
        self.folder("storage", "views-" + name)
        self.write(os.path.join(folder, "public/app.%s.css" % name), "body { --release: %s }" % name)
        return os.path.join(folder, "public")

    def token(self, page):
        match = re.search(r'name="_token" value="(\w+)"', page.text)
        self.assertIsNotNone(match, page.text[:1000])
        return match.group(1)

    def test_pages_forms_and_sessions_while_the_weight_moves(self):
        for way in self.ways:
            with self.subTest(way.name):
                self.daemon.set_weight(0)
                browser = Browser(way.address, way.host, way.scheme)
                home = browser.request("/")
                self.assertEqual((home.status, home.header("X-Serin-Pool")), (200, "blue"))
                refused = browser.form("/notes", text="without a token")
                self.assertEqual(refused.status, 419)
                note = "Kanarienvögel, by %s" % way.name
                stored = browser.form("/notes", text=note, _token=self.token(home))
                self.assertEqual(stored.status, 200, "redirected to the page")
                self.assertIn('id="status">Noted.', stored.text)
                self.assertIn(note, stored.text)
                rejected = browser.form("/notes", text="", _token=self.token(stored))
                self.assertIn('class="error"', rejected.text)
                self.assertEqual(browser.request("/me").status, 401)
                browser.form("/login", user="ann", _token=self.token(stored))
                visits, releases = None, set()
                for percent in (0, 100, 50, 50, 0, 100):
                    self.daemon.set_weight(percent)
                    page = browser.request("/")
                    releases.add(re.search(r'id="release">(\w+)<', page.text).group(1))
                    me = json.loads(browser.request("/me").text)
                    base = "%s://%s" % (way.scheme, way.host)
                    self.assertEqual((me["user"], me["seen"], me["ip"], me["secure"], me["url"], me["home"]),
                                     ("ann", "by ann", "127.0.0.1", way.scheme == "https", base + "/me", base))
                    self.assertEqual(me["visits"], visits + 1 if visits else me["visits"])
                    visits = me["visits"]
                self.assertEqual(releases, {"v1", "v2"})

    def test_uploads_downloads_json_and_errors(self):
        data = os.urandom(2_000_000)
        for way, percent in zip(self.ways, (0, 100, 0, 100)):
            with self.subTest(way.name):
                self.daemon.set_weight(percent)
                browser = Browser(way.address, way.host, way.scheme)
                token = self.token(browser.request("/"))
                name = "%s.bin" % way.name
                answer = browser.upload("/upload", "picture", name, data, _token=token)
                self.assertEqual(answer.status, 201, answer.text[:500])
                self.assertEqual(json.loads(answer.text), {"name": name, "bytes": len(data),
                                                           "sha256": hashlib.sha256(data).hexdigest()})
                self.assertEqual(browser.request("/download/" + name).body, data)
                answer = browser.request("/notes/7?a=b&c%5B%5D=%C3%BC")
                self.assertEqual(answer.header("Content-Type"), "application/json")
                seen = json.loads(answer.text)
                self.assertEqual((seen["page"], seen["query"]), (7, {"a": "b", "c": ["ü"]}))
                self.assertEqual(seen["release"], {0: "v1", 100: "v2"}[percent])
                self.assertEqual(browser.request("/no/such/route").status, 404)
                self.assertEqual(browser.request("/boom").status, 500)
                self.assertEqual(browser.request("/notes/1", "DELETE").status, 405)

    def test_a_page_finds_its_assets_whichever_pool_is_asked_next(self):
        for way in self.ways:
            with self.subTest(way.name):
                browser = Browser(way.address, way.host, way.scheme)
                for percent, release in ((0, "v1"), (100, "v2")):
                    self.daemon.set_weight(percent)
                    link = re.search(r'href="([^"]+)"', browser.request("/").text).group(1)
                    for later in (0, 100):
                        self.daemon.set_weight(later)
                        style = browser.request(urllib.parse.urlsplit(link).path)
                        self.assertEqual((style.status, style.text, style.header("X-Serin-Pool")),
                                         (200, "body { --release: %s }" % release, None))

    def test_events_arrive_as_they_are_written(self):
        for way in self.ways:
            with self.subTest(way.name), Connection(way.address, 30) as connection:
                times = []
                connection.request("GET", "/events", host=way.host,
                                   sink=lambda part: times.append((time.monotonic(), part)))
                first, last = (next(at for at, part in times if mark in part) for mark in (b"data: 0", b"data: 2"))
                self.assertGreater(last - first, 0.4)


if __name__ == "__main__":
    main()
