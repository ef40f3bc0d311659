"""Headless Chromium straight at Serin, by HTTP/2 over TLS: pages, forms, cookies, redirects, uploads, downloads, events."""

import base64
import hashlib
import json
import os
import unittest

from certificates import Authority
from chromium import INSTALLED, Chromium
from harness import SerinCase, main, wait_for

PAGE = r"""
$release = basename(dirname(__DIR__));
session_start();
switch (strtok($_SERVER['REQUEST_URI'], '?')) {
case '/style.css':
    header('Content-Type: text/css'); echo "h1 { color: rgb(0, 100, 0) } .canary { background: rgb(255, 240, 150) }"; exit;
case '/picture.svg':
    header('Content-Type: image/svg+xml');
    echo '<svg xmlns="http://www.w3.org/2000/svg" width="80" height="80"><circle cx="40" cy="40" r="35" fill="gold"/></svg>';
    exit;
case '/say':
    $_SESSION['said'] = $_POST['text']; setcookie('mood', 'curious', ['samesite' => 'Lax', 'secure' => true]);
    header('Location: /', true, 303); exit;
case '/upload':
    header('Content-Type: application/json');
    echo json_encode(['name' => $_FILES['file']['name'], 'sha256' => hash_file('sha256', $_FILES['file']['tmp_name'])]);
    exit;
case '/echo':
    header('Content-Type: application/json');
    echo json_encode(['method' => $_SERVER['REQUEST_METHOD'], 'length' => strlen(file_get_contents('php://input')),
                      'n' => $_GET['n'] ?? null, 'release' => $release]);
    exit;
case '/download':
    header('Content-Type: application/octet-stream');
    for ($i = 0; $i < 40; ++$i) { echo str_repeat(chr(65 + $i % 26), 131072); }
    exit;
case '/events':
    session_write_close();
    header('Content-Type: text/event-stream');
    while (ob_get_level()) ob_end_flush();
    $from = (int) ($_SERVER['HTTP_LAST_EVENT_ID'] ?? 0);
    for ($i = $from + 1; $i <= $from + 2; ++$i) { echo "id: $i\nretry: 50\ndata: event $i\n\n"; flush(); }
    exit;
}
?><!doctype html><meta charset="utf-8"><title>Serin in a browser</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="/style.css">
<h1>Grüße vom Käfig</h1><img src="/picture.svg" alt="">
<p>Release <b id="release" class="<?= $release == 'green' ? 'canary' : '' ?>"><?= $release ?></b>
   by <span id="protocol"><?= $_SERVER['SERVER_PROTOCOL'] ?></span></p>
<p id="said"><?= htmlspecialchars($_SESSION['said'] ?? '') ?></p><p id="mood"><?= $_COOKIE['mood'] ?? '' ?></p>
<form method="post" action="/say"><input name="text" id="text"><button id="send">Say it</button></form>
<form method="post" action="/upload" enctype="multipart/form-data"><input type="file" name="file" id="file">
<button id="upload">Upload</button></form>
"""


@unittest.skipUnless(INSTALLED, "needs the packages chromium and chromium-driver")
class ChromiumTest(SerinCase):
    def setUp(self):
        super().setUp()
        authority, port = Authority(self), self.port()
        certificate, key = authority.issue("site", "serin.test")
        roots = {pool: self.script(pool + "/public", "index.php", PAGE) for pool in ("blue", "green")}
        sessions = {"php_value[session.save_path]": self.folder("sessions")}
        masters = {pool: self.fpm(pool, root, settings=sessions) for pool, root in roots.items()}
        self.log = self.path("access.log")
        self.daemon = self.serin({
            "listen": [{"address": "127.0.0.1:%d" % port, "protocol": "https"}], "split": {"key": "cookie"},
            "tls": {"certificate": certificate, "key": key}, "access_log": {"target": "file", "path": self.log}},
            blue=masters["blue"].address, green=masters["green"].address, blue_root=roots["blue"],
            green_root=roots["green"])
        self.url = "https://serin.test:%d" % port
        self.browser = Chromium(self, "serin.test", self.public_key(authority, certificate))

    def public_key(self, authority, certificate):
        public = self.path("public.pem"), self.path("public.der")
        authority.openssl("x509", "-in", certificate, "-pubkey", "-noout", "-out", public[0])
        authority.openssl("pkey", "-pubin", "-in", public[0], "-outform", "DER", "-out", public[1])
        with open(public[1], "rb") as file:
            return base64.b64encode(hashlib.sha256(file.read()).digest()).decode()

    def test_a_visit(self):
        browser = self.browser
        browser.go(self.url + "/")
        self.assertEqual((browser.text("h1"), browser.text("#release")), ("Grüße vom Käfig", "blue"))
        self.assertEqual(browser.run("return performance.getEntriesByType('navigation')[0].nextHopProtocol"), "h2")
        self.assertEqual(browser.run("return getComputedStyle(document.querySelector('h1')).color"), "rgb(0, 100, 0)")
        self.assertEqual(browser.run("return document.querySelector('img').naturalWidth"), 80)
        shown = browser.screenshot()
        self.assertTrue(shown.startswith(b"\x89PNG"))
        self.write("page.png", shown)  # to be looked at: SERIN_TEST_KEEP

        # A form, a redirect, a session, a cookie; then the canary for the same person.
        browser.type("#text", "A wild <finch>")
        browser.click("#send")
        wait_for(lambda: browser.text("#said") == "A wild <finch>", 20, "the page after the form")
        for percent, release in ((0, "blue"), (100, "green"), (0, "blue")):
            self.daemon.set_weight(percent)
            browser.go(self.url + "/")
            self.assertEqual([browser.text("#" + name) for name in ("release", "said", "mood")],
                             [release, "A wild <finch>", "curious"])
        data = os.urandom(3_000_000)
        browser.type("#file", self.write("finch.bin", data))
        browser.click("#upload")
        wait_for(lambda: browser.run("return location.pathname + document.readyState") == "/uploadcomplete", 20,
                 "the page after the upload")
        self.assertEqual(json.loads(browser.text("pre")), {
                         "name": "finch.bin", "sha256": hashlib.sha256(data).hexdigest()})
        self.assertEqual(browser.complaints(), [])
        with open(self.log) as file:
            self.assertEqual({json.loads(line)["protocol"] for line in file}, {"HTTP/2.0"})

    def test_scripts_and_events(self):
        browser = self.browser
        browser.go(self.url + "/")
        # A hundred at once on one connection, bodies included; and one that is given up.
        answers = browser.run("""
            const ask = n => fetch('/echo?n=' + n, n % 2 ? {method: 'PUT', body: 'x'.repeat(n * 500)} : {});
            const given_up = new AbortController();
            const gone = fetch('/echo', {signal: given_up.signal}).catch(error => error.name);
            given_up.abort();
            return Promise.all([gone, ...[...Array(100).keys()].map(n => ask(n).then(answer => answer.json()))]);""")
        self.assertEqual(answers[0], "AbortError")
        self.assertEqual([(a["n"], a["method"], a["length"]) for a in answers[1:]],
                         [(str(n), "PUT" if n % 2 else "GET", n * 500 if n % 2 else 0) for n in range(100)])
        digest = browser.run("""
            return fetch('/download').then(answer => answer.arrayBuffer())
                .then(bytes => crypto.subtle.digest('SHA-256', bytes)).then(hash => [...new Uint8Array(hash)]);""")
        self.assertEqual(bytes(digest), hashlib.sha256(b"".join(
            bytes([65 + i % 26]) * 131072 for i in range(40))).digest())
        # The stream ends after two events; the browser comes back and goes on where it was.
        browser.run("window.seen = []; window.source = new EventSource('/events');"
                    "source.onmessage = event => seen.push(event.data);")
        wait_for(lambda: browser.run("return seen.length") >= 6, 20, "three times two events")
        self.assertEqual(browser.run("source.close(); return seen.slice(0, 6)"), ["event %d" % n for n in range(1, 7)])


if __name__ == "__main__":
    main()
