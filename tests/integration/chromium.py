"""Headless Chromium, driven through chromedriver (W3C WebDriver over HTTP; standard library only)."""

import base64
import json
import os
import shutil

from harness import IS_ROOT, SLOWNESS, wait_for
from http_client import Connection, fetch

INSTALLED = bool(shutil.which("chromium") and shutil.which("chromedriver"))
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # W3C WebDriver §12
ARGUMENTS = ["--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1000,700"]


class Chromium:
    """`public_key`: of the certificate that is accepted (SHA-256 of its SPKI in base64); `host` is 127.0.0.1."""

    def __init__(self, case, host, public_key):
        self.case, port = case, case.port()
        self.address = "127.0.0.1:%d" % port
        # Everything that a browser leaves behind, its crash reports too, stays in the test's folder.
        home = case.folder("chromium")
        case.spawn("chromedriver", ["chromedriver", "--port=%d" % port],
                   env={"HOME": home, "TMPDIR": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home})
        wait_for(self._ready, 30, "chromedriver")
        arguments = [*ARGUMENTS, "--user-data-dir=" + os.path.join(home, "profile"),
                     "--host-resolver-rules=MAP %s 127.0.0.1" % host,
                     "--ignore-certificate-errors-spki-list=" + public_key, *(["--no-sandbox"] if IS_ROOT else [])]
        made = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.session = "/session/" + made["sessionId"]
        case.addCleanup(self.call, "DELETE", self.session)

    def _ready(self):
        try:
            return fetch(self.address, "/status", host=self.address).status == 200
        except OSError:
            return False

    def call(self, method, path, body=None):
        payload = json.dumps(body).encode() if body is not None else None
        with Connection(self.address, 60 * SLOWNESS) as connection:
            answer = connection.request(method, path, [("Content-Type", "application/json")], payload, self.address)
        value = json.loads(answer.text)["value"]
        assert answer.status == 200, "%s %s: %s" % (method, path, value)
        return value

    def go(self, url):
        self.call("POST", self.session + "/url", {"url": url})

    def run(self, script, *arguments):
        """The value of JavaScript's `return`, of a promise what it becomes."""
        return self.call("POST", self.session + "/execute/sync", {"script": script, "args": list(arguments)})

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def element(self, selector):
        found = self.call("POST", self.session + "/element", {"using": "css selector", "value": selector})
        return self.session + "/element/" + found[ELEMENT]

    def type(self, selector, text):
        """Into a field; a file's path into a file field."""
        self.call("POST", self.element(selector) + "/value", {"text": text})

    def click(self, selector):
        self.call("POST", self.element(selector) + "/click", {})

    def complaints(self):
        """What its console has said since it was last asked, but for what pages say themselves."""
        return [entry["message"] for entry in self.call("POST", self.session + "/se/log", {"type": "browser"})
                if entry["level"] in ("SEVERE", "WARNING")]

    def screenshot(self):
        return base64.b64decode(self.call("GET", self.session + "/screenshot"))
