"""Behind the nginx configuration that is shipped, with the demo application on both pools."""

import json
import os
import re
import time

from harness import ROOT, Load, Nginx, SerinCase, main, wait_for
from http_client import Connection, fetch

FORM = [("Content-Type", "application/x-www-form-urlencoded")]


class NginxTest(SerinCase):
    def setUp(self):
        super().setUp()
        storage = {"DEMO_STORAGE": self.folder("storage")}
        masters = {pool: self.fpm(pool, self.release(release, "srv/" + pool), environment=storage)
                   for pool, release in (("blue", "v1"), ("green", "v2"))}
        self.masters = masters
        self.daemon = self.serin({"server": {"pool_header": "X-Serin-Pool"}},
                                 blue=masters["blue"].address, green=masters["green"].address,
                                 blue_root=masters["blue"].root, green_root=masters["green"].root)
        with open(os.path.join(ROOT, "deploy/nginx/serin-http.conf")) as file:
            shipped = file.read()
        text = shipped.replace("/run/serin/http.sock", self.path("http.sock"))
        self.assertNotEqual(text, shipped)
        text, count = re.subn(r"listen 80;", "listen unix:%s;" % self.path("nginx.sock"), text)
        self.assertEqual(count, 1)
        Nginx(self, text)
        self.address = "unix:" + self.path("nginx.sock")
        wait_for(lambda: os.path.exists(self.path("nginx.sock")))

    def test_both_pools_are_reached_in_proportion(self):
        for percent in (0, 25, 100):
            self.daemon.set_weight(percent)
            with Connection(self.address) as connection:
                answers = [connection.request("GET", "/health") for _ in range(400)]
            releases = [json.loads(answer.text)["release"] for answer in answers]
            self.assertAlmostEqual(releases.count("v2"), 4 * percent, delta=1)
            for answer, release in zip(answers, releases):
                self.assertEqual(answer.header("X-Release"), release)
                self.assertEqual(answer.header("X-Serin-Pool"), {"v1": "blue", "v2": "green"}[release])

    def test_a_person_keeps_the_session_while_the_weight_moves(self):
        response = fetch(self.address, "/session", "POST", FORM, b"name=Ann")
        cookie = response.header("Set-Cookie").partition(";")[0]
        visits, releases = 1, set()
        for percent in (0, 100, 50, 50, 50, 0, 100):
            self.daemon.set_weight(percent)
            seen = json.loads(fetch(self.address, "/session", headers=[("Cookie", cookie)]).text)
            visits += 1
            self.assertEqual((seen["name"], seen["visits"]), ("Ann", visits))
            releases.add(seen["release"])
        self.assertEqual(releases, {"v1", "v2"})

    def test_forms_uploads_and_the_second_script(self):
        self.assertEqual(fetch(self.address, "/notes", "POST", FORM, b"body=from+a+test").status, 303)
        self.assertIn("from a test", fetch(self.address, "/").text)
        body = (b'--X\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n' + b"\0\r\n\xff" * 50000 +
                b"\r\n--X--\r\n")
        answer = fetch(self.address, "/upload", "POST", [("Content-Type", "multipart/form-data; boundary=X")], body)
        self.assertEqual((answer.status, json.loads(answer.text)["bytes"]), (201, 200000))
        self.assertEqual(json.loads(fetch(self.address, "/report.php/authors").text)["by"], "author")

    def test_php_sees_the_real_client_and_scheme(self):
        root = self.script("probe", "index.php", "echo json_encode([$_SERVER['REMOTE_ADDR'], $_SERVER['SERVER_NAME'],"
                           " $_SERVER['HTTP_HOST'], $_SERVER['HTTPS'] ?? null]);")
        daemon = self.serin({"listen": [{"address": "unix:" + self.path("probe.sock"), "protocol": "http"}],
                             "admin": {"socket": self.path("probe-admin.sock")},
                             "state": {"directory": self.folder("probe-state")}}, name="probe",
                            blue=self.masters["blue"].address, blue_root=root)
        port = self.port()
        Nginx(self, """server { listen 127.0.0.1:%d; location / { proxy_pass http://unix:%s:; proxy_http_version 1.1;
            proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto https; } }""" % (port, self.path("probe.sock")), name="nginx-probe")
        address = "127.0.0.1:%d" % port

        def up():
            try:
                return fetch(address, "/").status == 200
            except OSError:
                return False
        wait_for(up)
        self.assertEqual(json.loads(fetch(address, "/", host="shop.test:%d" % port).text),
                         ["127.0.0.1", "shop.test", "shop.test:%d" % port, "on"])

    def test_a_reload_of_a_pool_loses_no_request(self):
        import signal
        with Load(self.address, threads=3, target=lambda i: "/health") as load:
            wait_for(lambda: load.count() > 50)
            self.masters["blue"].process.send_signal(signal.SIGUSR2)
            time.sleep(1.5)
            results = load.stop()
        bad = [problem or response.status for _, response, problem, _ in results if problem or response.status != 200]
        self.assertEqual(bad, [])

    def test_a_restart_of_serin_is_a_short_502_and_no_more(self):
        with Load(self.address, threads=2, pause=0.002, target=lambda i: "/health") as load:
            wait_for(lambda: load.count() > 50)
            self.daemon.stop()
            self.daemon.start()
            wait_for(lambda: load.results[-1][1] and load.results[-1][1].status == 200)
            results = load.stop()
        self.assertLessEqual({response.status if response else problem for _, response, problem, _ in results},
                             {200, 502})


if __name__ == "__main__":
    main()
