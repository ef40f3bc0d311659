"""nginx's fastcgi_pass points at Serin: the one-line change, and the same with PHP-FPM as backup."""

import json
import os
import re
import signal
import time

from front_nginx import shipped, start
from harness import Load, SerinCase, main, wait_for
from http_client import Connection, fetch

FORM = ("Content-Type", "application/x-www-form-urlencoded")
# Shows what PHP sees. `release` tells the two folders apart.
SHOW = """
$body = file_get_contents('php://input');
header('Content-Type: application/json');
echo json_encode(['release' => basename(dirname(__DIR__)), 'file' => __FILE__, 'length' => strlen($body),
  'hash' => md5($body), 'server' => $_SERVER, 'get' => $_GET, 'post' => $_POST]);
"""
SCRIPTS = {
    "index.php": SHOW,
    "report.php": SHOW,
    "blog/index.php": SHOW,
    "status.php": "http_response_code((int) $_GET['code']); header('X-Two: 1'); header('X-Two: 2', false); echo 'body';",
    "go.php": "header('Location: /there?x=1', true, 303);",
    "slow.php": "ignore_user_abort(false); for ($i = 0; $i < 100; $i++) { echo str_repeat('.', 8192); flush(); "
                "usleep(100000); } file_put_contents(getenv('MARK'), 'ran to its end');",
    "big.php": "for ($i = 0; $i < 320; $i++) echo str_repeat(chr(65 + $i % 26), 65536);",
    "die.php": "echo str_repeat('x', 100000); flush(); posix_kill(posix_getpid(), 9);",
    "events.php": "header('Content-Type: text/event-stream'); header('X-Accel-Buffering: no'); "
                  "for ($i = 0; $i < 3; $i++) { echo \"data: $i\\n\\n\"; @ob_flush(); flush(); sleep(1); }",
}


class FrontCase(SerinCase):
    """Two PHP-FPM masters, Serin with a FastCGI listener, nginx with the shipped file."""

    children = 6
    rollout = {}

    def setUp(self):
        super().setUp()
        self.mark = self.path("mark")
        self.roots = {pool: self.make_root(pool) for pool in ("blue", "green")}
        self.masters = {pool: self.fpm(pool, root, children=self.children, environment={"MARK": self.mark})
                        for pool, root in self.roots.items()}
        self.log = self.path("access.log")
        self.daemon = self.serin({
            "server": {"pool_header": "X-Serin-Pool", "trusted_proxies": ["127.0.0.0/8", "unix:"]},
            "listen": [{"address": "unix:" + self.path("fastcgi.sock"), "protocol": "fastcgi"},
                       {"address": "unix:" + self.path("http.sock"), "protocol": "http"}],
            "pools": {pool: {"max_connections": self.children} for pool in ("blue", "green")},
            "rollout": self.rollout, "access_log": {"target": "file", "path": self.log}},
            blue=self.masters["blue"].address, green=self.masters["green"].address,
            blue_root=self.roots["blue"], green_root=self.roots["green"])
        self.port_number = self.port()
        self.address = "127.0.0.1:%d" % self.port_number
        self.nginx = start(self, self.conf(), self.address)

    def make_root(self, pool):
        root = self.folder(pool, "public")
        for name, code in SCRIPTS.items():
            self.script(os.path.join(pool, "public", os.path.dirname(name)), os.path.basename(name), code)
        return root

    def conf(self):
        return shipped(self, "serin-fastcgi.conf", ("/run/serin/fastcgi.sock", self.path("fastcgi.sock")),
                       ("/srv/app/blue/public", self.roots["blue"]), ("/srv/app/green/public", self.roots["green"]),
                       ("listen 80;", "listen %s;" % self.address))

    def get(self, target, **kwargs):
        return fetch(self.address, target, **kwargs)

    def seen(self, target, **kwargs):
        response = self.get(target, **kwargs)
        self.assertEqual(response.status, 200, response)
        return json.loads(response.text)

    def log_lines(self, count=1):
        def read():
            with open(self.log) as file:
                lines = [json.loads(line) for line in file]
            return lines if len(lines) >= count else None
        return wait_for(read, 5, "%d lines of access log" % count)


class OneLineTest(FrontCase):
    def conf(self):
        """The shipped file, and beside it the site as it was before: straight to blue's PHP-FPM."""
        text = super().conf()
        self.direct = "127.0.0.1:%d" % self.port()
        server = text[text.index("server {\n    listen"):]
        before = (server.replace("listen %s;" % self.address, "listen %s;" % self.direct)
                  .replace("fastcgi_pass serin;", "fastcgi_pass unix:%s;" % self.masters["blue"].socket)
                  .replace("fastcgi_keep_conn on;", ""))
        return text + before

    def test_php_sees_what_it_saw_before(self):
        """Every param, compared with the same nginx and PHP-FPM without Serin."""
        ours = {"HTTP_X_REQUEST_ID", "HTTP_TRACEPARENT", "REQUEST_TIME", "REQUEST_TIME_FLOAT", "REMOTE_PORT",
                "SERVER_PORT"}
        fields = [("Accept", "a/b"), ("Accept-Language", "de"), ("Cookie", "a=1; b=2"), ("User-Agent", "test/1"),
                  ("Authorization", "Basic dXNlcjpwYXNz"), ("X-Odd_Name", "dropped by nginx")]
        for target in ("/", "/shop/list?a=1&b[]=2", "/report.php", "/report.php/a%20b/c?x", "/blog/index.php",
                       "/blog/", "//double//slash", "/%C3%BCml%C3%A4ut?q=%20", "/a/../report.php", "/missing.php"):
            with self.subTest(target):
                before = fetch(self.direct, target, headers=fields)
                after = self.get(target, headers=fields)
                if target == "/missing.php":  # the front controller of the release, not PHP-FPM's 404
                    self.assertEqual((before.status, after.status), (404, 200))
                    continue
                before, after = json.loads(before.text), json.loads(after.text)
                self.assertEqual(after["file"], before["file"])
                self.assertEqual(after["get"], before["get"])
                for name in ours:
                    before["server"].pop(name, None)
                    after["server"].pop(name, None)
                # nginx and Serin drop the fields of the connection differently; no script may depend on them.
                before["server"].pop("HTTP_CONNECTION", None)
                self.assertEqual(after["server"], before["server"])

    def test_paths_are_those_of_the_chosen_release(self):
        for percent, pool in ((0, "blue"), (100, "green")):
            self.daemon.set_weight(percent)
            seen = self.seen("/report.php/archive?y=1")
            server, root = seen["server"], self.roots[pool]
            self.assertEqual(seen["release"], pool)
            self.assertEqual(seen["file"], root + "/report.php")
            self.assertEqual(server["DOCUMENT_ROOT"], root)
            self.assertEqual(server["SCRIPT_FILENAME"], root + "/report.php")
            self.assertEqual(server["SCRIPT_NAME"], "/report.php")
            self.assertEqual(server["PATH_INFO"], "/archive")
            self.assertEqual(server["REQUEST_URI"], "/report.php/archive?y=1")
            self.assertRegex(server["SERVER_SOFTWARE"], "^nginx/")
            self.assertEqual(server["REMOTE_ADDR"], "127.0.0.1")

    def test_a_script_that_only_one_release_has(self):
        self.script("green/public", "new.php", SHOW)
        self.assertEqual(self.seen("/new.php")["file"], self.roots["blue"] + "/index.php")
        self.daemon.set_weight(100)
        self.assertEqual(self.seen("/new.php")["file"], self.roots["green"] + "/new.php")

    def test_hidden_scripts_and_other_files_are_not_run(self):
        self.script("blue/public/.git", "x.php", "echo 'never';")
        self.write("blue/public/x.txt", "<?php echo 'never';")
        for target in ("/.git/x.php", "/x.txt/y.php", "/.well-known/../.git/x.php"):
            self.assertNotIn("never", self.get(target).text, target)

    def test_overrides_and_cohorts_come_from_the_fields(self):
        self.assertEqual(self.seen("/", headers=[("X-Serin-Route", "canary")])["release"], "green")
        self.assertEqual(self.seen("/", headers=[("Cookie", "a=b; serin_route=canary")])["release"], "green")
        self.assertEqual(self.seen("/")["release"], "blue")

    def test_statuses_redirects_and_repeated_fields(self):
        for code in (200, 201, 204, 304, 404, 410, 500, 503):
            response = self.get("/status.php?code=%d" % code)
            self.assertEqual((response.status, response.complete), (code, True))
            if code not in (204, 304):
                self.assertEqual((response.text, response.all("X-Two")), ("body", ["1", "2"]))
        redirect = self.get("/go.php")
        self.assertEqual((redirect.status, redirect.header("Location")), (303, "/there?x=1"))
        head = self.get("/status.php?code=200", method="HEAD")
        self.assertEqual((head.status, head.body), (200, b""))

    def test_uploads_of_every_size_and_framing(self):
        import hashlib
        for size in (0, 1, 1000, 70000, 5_000_000):
            body = os.urandom(size)
            seen = self.seen("/", method="POST", body=body, headers=[("Content-Type", "application/octet-stream")])
            self.assertEqual((seen["length"], seen["hash"]), (size, hashlib.md5(body).hexdigest()))
        chunked = b"4\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\n"
        with Connection(self.address) as connection:
            response = connection.request("POST", "/", [("Transfer-Encoding", "chunked")], chunked)
        seen = json.loads(response.text)
        self.assertEqual((seen["length"], seen["server"]["CONTENT_LENGTH"]), (7, "7"), "PHP-FPM alone would read none")
        seen = self.seen("/", method="POST", body=b"a=1&b=2", headers=[FORM])
        self.assertEqual(seen["post"], {"a": "1", "b": "2"})

    def test_large_heads_reach_php_or_are_refused(self):
        cookie = "c=" + "x" * 7000
        self.assertEqual(self.seen("/", headers=[("Cookie", cookie)])["server"]["HTTP_COOKIE"], cookie)
        query = "q=" + "y" * 7000
        self.assertEqual(self.seen("/blog/index.php?" + query)["server"]["QUERY_STRING"], query)

    def test_a_large_answer_to_a_slow_client_is_whole(self):
        with Connection(self.address, 30) as connection:
            taken = []

            def sink(part):
                taken.append(len(part))
                if len(taken) % 20 == 0:
                    time.sleep(0.01)
            response = connection.request("GET", "/big.php", sink=sink)
        self.assertEqual((response.complete, sum(taken)), (True, 320 * 65536))

    def test_an_answer_that_php_breaks_off_is_seen_as_broken_off(self):
        response = self.get("/die.php")
        self.assertEqual((response.status, response.complete), (200, False), response)

    def test_events_arrive_as_they_are_written(self):
        connection = Connection(self.address)
        self.addCleanup(connection.close)
        began, times = time.monotonic(), []
        connection.request("GET", "/events.php", sink=lambda part: times.append((time.monotonic() - began, part)))
        first = next(at for at, part in times if b"data: 0" in part)
        last = next(at for at, part in times if b"data: 2" in part)
        self.assertGreater(last - first, 1.5)

    def test_a_visitor_who_leaves_frees_the_pool_connection(self):
        connection = Connection(self.address)
        connection.send(b"GET /slow.php HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.sock.recv(1000)
        wait_for(lambda: self.daemon.metric_sum("serin_pool_connections", state="active") == 1, 5)
        connection.close()
        wait_for(lambda: self.daemon.metric_sum("serin_pool_connections", state="active") == 0, 5)
        line = self.log_lines()[-1]
        self.assertEqual((line["status"], line["error"]), (499, "client_left"))
        self.assertFalse(os.path.exists(self.mark), "the script ran on")

    def test_connections_are_kept(self):
        with Connection(self.address) as connection:
            for _ in range(300):
                self.assertEqual(connection.request("GET", "/status.php?code=200").status, 200)
        accepted = self.daemon.metric_sum("serin_client_connections_accepted_total")
        self.assertLess(accepted, 60, "nginx opens a connection per request")  # ready() and metrics are not counted here

    def test_too_large_a_body_is_serins_413(self):
        text = self.daemon.config
        text["limits"] = {"body": "1MiB"}
        self.daemon.write_config(text)
        self.daemon.stop()
        self.daemon.start()
        response = self.get("/", method="POST", body=b"x" * 2_000_000)
        self.assertEqual(response.status, 413)
        self.assertEqual(self.seen("/", method="POST", body=b"x" * 1_000_000)["length"], 1_000_000)

    def test_ids_reach_php_and_the_log(self):
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        fields = [("traceparent", parent), ("tracestate", "v=1"), ("X-Request-ID", "abc-1")]
        server = self.seen("/", headers=fields)["server"]
        self.assertEqual((server["HTTP_TRACEPARENT"], server["HTTP_TRACESTATE"], server["HTTP_X_REQUEST_ID"]),
                         (parent, "v=1", "abc-1"))
        begun = self.seen("/", headers=[("traceparent", "nonsense"), ("tracestate", "v=1")])["server"]
        self.assertRegex(begun["HTTP_TRACEPARENT"], "^00-[0-9a-f]{32}-[0-9a-f]{16}-01$")
        self.assertRegex(begun["HTTP_X_REQUEST_ID"], "^[0-9a-f]{32}$")
        self.assertNotIn("HTTP_TRACESTATE", begun)
        lines = self.log_lines(2)
        self.assertEqual([(line["request_id"], line["traceparent"]) for line in lines[:2]],
                         [("abc-1", parent), (begun["HTTP_X_REQUEST_ID"], begun["HTTP_TRACEPARENT"])])
        self.assertEqual((lines[0]["client"], lines[0]["protocol"]), ("127.0.0.1", "FastCGI"))


class OtherSitesTest(FrontCase):
    """Sites that send more, less or other params than the shipped file."""

    SITES = {
        # Debian's default site, with its snippet.
        "debian": "location / { try_files $uri $uri/ /index.php$is_args$args; } "
                  "location ~ \\.php$ { %(snippet)s fastcgi_pass unix:%(serin)s; }",
        # One script for everything, and params of the site's own.
        "front": "location / { include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME %(root)s/index.php; "
                 "fastcgi_param SCRIPT_NAME /index.php; fastcgi_param APP_ENV staging; fastcgi_param EMPTY ''; "
                 "fastcgi_param APP_DATA %(root)s/../data; fastcgi_param APP_URL http://x%(root)s/y; "
                 "fastcgi_param PHP_VALUE 'precision=7'; fastcgi_pass unix:%(serin)s; }",
        # No script at all: Serin looks for it below the pool's root.
        "no-script": "location / { include /etc/nginx/fastcgi_params; fastcgi_pass unix:%(serin)s; }",
        # The least there can be.
        "least": "location / { fastcgi_param REQUEST_METHOD $request_method; fastcgi_param REQUEST_URI $request_uri; "
                 "fastcgi_pass unix:%(serin)s; }",
        "nothing": "location / { fastcgi_pass unix:%(serin)s; }",
        "large": "large_client_header_buffers 4 60k; "
                 "location / { include /etc/nginx/fastcgi.conf; fastcgi_pass unix:%(serin)s; }",
    }

    def conf(self):
        with open("/etc/nginx/snippets/fastcgi-php.conf") as file:
            snippet = file.read().replace("include fastcgi.conf;", "include /etc/nginx/fastcgi.conf;")
        values = {"snippet": snippet, "serin": self.path("fastcgi.sock"), "root": self.roots["blue"]}
        self.doors = {name: "unix:" + self.path(name + "-site.sock") for name in self.SITES}
        return super().conf() + "".join("server { listen %s; root %s; index index.php; %s }\n" % (
            self.doors[name], self.roots["blue"], site % values) for name, site in self.SITES.items())

    def ask(self, name, target, **kwargs):
        response = fetch(self.doors[name], target, **kwargs)
        self.assertEqual(response.status, 200, "%s %s: %s" % (name, target, response))
        return json.loads(response.text)

    def test_each_finds_its_script_in_the_chosen_release(self):
        for percent, pool in ((0, "blue"), (100, "green")):
            self.daemon.set_weight(percent)
            root = self.roots[pool]
            for name, target, script in (
                    ("debian", "/report.php?a=1", "report.php"), ("debian", "/blog/", "blog/index.php"),
                    ("debian", "/pretty/link?a=1", "index.php"), ("front", "/report.php?a=1", "index.php"),
                    ("no-script", "/report.php?a=1", "report.php"), ("no-script", "/pretty/link?a=1", "index.php"),
                    ("least", "/report.php?a=1", "report.php"), ("least", "/pretty/link?a=1", "index.php"),
                    ("large", "/report.php?a=1", "report.php")):
                with self.subTest("%s %s on %s" % (name, target, pool)):
                    seen = self.ask(name, target, method="POST", headers=[FORM], body=b"x=y")
                    server = seen["server"]
                    self.assertEqual((seen["file"], seen["length"]), (os.path.join(root, script), 3))
                    self.assertEqual((server["SCRIPT_FILENAME"], server["DOCUMENT_ROOT"]), (seen["file"], root))
                    self.assertEqual((server["REQUEST_URI"], seen["get"]), (target, {"a": "1"} if "?" in target else []))
                    # CONTENT_TYPE is nginx's to send.
                    self.assertEqual(seen["post"], [] if name == "least" else {"x": "y"})

    def test_params_of_the_site_reach_the_script(self):
        self.daemon.set_weight(100)
        server = self.ask("front", "/")["server"]
        self.assertEqual((server["APP_ENV"], server["EMPTY"]), ("staging", ""))
        self.assertEqual(server["APP_DATA"], self.roots["green"] + "/../data", "below the root: moved with it")
        self.assertEqual(server["APP_URL"], "http://x%s/y" % self.roots["blue"], "not a path: left alone")

    def test_a_request_without_a_method_is_refused(self):
        self.assertEqual(fetch(self.doors["nothing"], "/").status, 400)
        self.assertEqual(self.ask("least", "/")["file"], self.roots["blue"] + "/index.php")

    def test_very_large_heads(self):
        cookie, query = "c=" + "x" * 40000, "q=" + "y" * 12000
        server = self.ask("large", "/?" + query, headers=[("Cookie", cookie)])["server"]
        self.assertEqual((server["HTTP_COOKIE"], server["QUERY_STRING"]), (cookie, query))
        many = [("X-%d" % i, "v" * 300) for i in range(100)]
        server = self.ask("large", "/", headers=many)["server"]
        self.assertEqual([server["HTTP_X_%d" % i] for i in range(100)], ["v" * 300] * 100)
        self.assertEqual(fetch(self.doors["large"], "/?q=" + "y" * 20000).status, 414)
        # Beyond 60 KiB; beyond 64, which is a record, nginx itself gives up.
        self.assertEqual(fetch(self.doors["large"], "/", headers=[("A", "x" * 31000), ("B", "x" * 31000)]).status, 431)


class StaticFilesTest(FrontCase):
    def test_files_of_both_releases_are_served_whichever_pool_is_asked(self):
        for pool in ("blue", "green"):
            self.write("%s/public/app.%s.css" % (pool, pool), pool)
        for percent in (0, 50, 100):
            self.daemon.set_weight(percent)
            for pool in ("blue", "green"):
                response = self.get("/app.%s.css" % pool)
                self.assertEqual((response.status, response.text, response.header("X-Serin-Pool")), (200, pool, None))
        missing = self.get("/missing.css")
        self.assertEqual(json.loads(missing.text)["server"]["REQUEST_URI"], "/missing.css")


class SharesTest(FrontCase):
    def test_shares_are_exact_and_the_release_is_the_one_that_was_recorded(self):
        """10 to 100 % under load: no failure, each answer from the pool the log names."""
        answered = 0
        releases = {"blue": "blue", "green": "green"}
        for percent in (10, 25, 50, 75, 100):
            self.daemon.set_weight(percent)
            load = Load(self.address, threads=4, target=lambda i: "/?n=%d&w=%d" % (i, percent))
            with load:
                wait_for(lambda: load.count() >= 1000, 60, "1000 answers")
                results = load.stop()
            bad = [problem or response.status for _, response, problem, _ in results
                   if problem or response.status != 200 or not response.complete]
            self.assertEqual(bad, [])
            seen = {number: json.loads(response.text)["release"] for number, response, _, _ in results}
            canary = sum(release == "green" for release in seen.values())
            self.assertAlmostEqual(canary, len(seen) * percent / 100, delta=1.5)
            answered += len(seen)
            recorded = {}
            for line in self.log_lines(answered):
                match = re.fullmatch(r"/\?n=(\d+)&w=(\d+)", line["target"])
                if match and int(match.group(2)) == percent:
                    recorded[int(match.group(1))] = line["pool"]
            self.assertEqual({number: releases[release] for number, release in seen.items()}, recorded)
        print("shares: %d requests, none failed" % answered)


class RolloutTest(FrontCase):
    rollout = {"steps": ["10%", "25%", "50%", "75%", "100%"], "hold": "1500ms", "min_step_requests": 20,
               "max_p95": "10s"}  # a busy machine is not what is judged here

    def test_a_rollout_under_load_loses_nothing_and_splits_exactly(self):
        """serinctl start to the swap of roles. Which release answered is PHP's word, which pool was asked Serin's.
        Whoever gets a page gets its assets, too."""
        for pool in ("blue", "green"):
            self.write("%s/public/app.%s.css" % (pool, pool), pool)
        weights, styles = {}, []  # weights: of each epoch
        with Load(self.address, threads=4, target=lambda i: "/?n=%d" % i) as load:
            wait_for(lambda: load.count() > 50)
            self.daemon.ctl("start", "v2")

            def swapped():
                status = self.daemon.status()
                weights[status["epoch"]] = status["weight"]["target"]
                release = json.loads(load.results[-1][1].text)["release"]
                style = self.get("/app.%s.css" % release)
                styles.append((style.status, style.text == release, style.header("X-Serin-Pool")))
                self.assertNotIn(status["state"], ("reverted", "paused"), status["reason"])
                return status["state"] == "stable" and status["roles"]["stable"] == "green"
            wait_for(swapped, 90, "the roles to swap", 0.05)
            seen = load.count()
            wait_for(lambda: load.count() > seen + 100)
            results = load.stop()
        self.assertEqual([problem or response.status for _, response, problem, _ in results
                          if problem or response.status != 200 or not response.complete], [])
        self.assertEqual(set(styles), {(200, True, None)})
        answers = [json.loads(response.text) for _, response, _, _ in results]
        released = {answer["server"]["HTTP_X_REQUEST_ID"]: answer["release"] for answer in answers}
        lines = {line["request_id"]: line for line in self.log_lines(len(results))}
        self.assertEqual(len(lines), len(results))
        self.assertEqual({identity: line["pool"] for identity, line in lines.items()}, released)
        self.assertLessEqual({0.1, 0.25, 0.5, 0.75, 1.0}, set(weights.values()))
        shares = []
        for epoch, weight in sorted(weights.items()):
            roles = [line["role"] for line in lines.values() if line["epoch"] == epoch]
            self.assertAlmostEqual(roles.count("canary"), len(roles) * weight, delta=1.5, msg="epoch %d" % epoch)
            shares.append("%d of %d" % (roles.count("canary"), len(roles)))
        print("rollout: %d requests, none failed; the canary's: %s" % (len(results), ", ".join(shares)))


class BackupTest(FrontCase):
    def conf(self):
        os.symlink("blue", self.path("stable"))
        os.symlink(self.masters["blue"].socket, self.path("stable.sock"))
        return shipped(self, "serin-fastcgi-backup.conf", ("/run/serin/fastcgi.sock", self.path("fastcgi.sock")),
                       ("/run/serin-fpm/stable.sock", self.path("stable.sock")),
                       ("/srv/app/stable/public", self.path("stable/public")),
                       ("/srv/app/blue/public", self.roots["blue"]), ("/srv/app/green/public", self.roots["green"]),
                       ("listen 80;", "listen %s;" % self.address))

    def test_paths_are_right_with_serin_and_without(self):
        self.daemon.set_weight(100)
        seen = self.seen("/report.php/x")
        self.assertEqual((seen["release"], seen["server"]["SCRIPT_FILENAME"]),
                         ("green", self.roots["green"] + "/report.php"))
        self.daemon.kill()
        seen = self.seen("/report.php/x")
        self.assertEqual((seen["release"], seen["server"]["SCRIPT_FILENAME"]),
                         ("blue", self.roots["blue"] + "/report.php"))
        os.unlink(self.path("stable"))
        os.unlink(self.path("stable.sock"))
        os.symlink("green", self.path("stable"))
        os.symlink(self.masters["green"].socket, self.path("stable.sock"))
        self.assertEqual(self.seen("/report.php/x")["release"], "green", "the links name the stable release")

    def test_a_killed_serin_is_not_noticed_by_visitors(self):
        """kill -9 under load: every GET is answered, by stable's PHP-FPM meanwhile, and Serin comes back by itself."""
        self.daemon.set_weight(50)
        load = Load(self.address, threads=4, target=lambda i: "/?n=%d" % i)
        with load:
            for _ in range(3):
                seen = load.count()
                wait_for(lambda: load.count() > seen + 100)
                self.daemon.kill()
                seen = load.count()
                wait_for(lambda: load.count() > seen + 300, 30, "answers while Serin is dead")
                self.daemon.start()
                wait_for(lambda: load.results[-1][1] and load.results[-1][1].header("X-Serin-Pool"), 20,
                         "answers by Serin again")
            results = load.stop()
        bad = [(number, problem or response.status) for number, response, problem, _ in results
               if problem or response.status != 200 or not response.complete]
        around = [json.loads(response.text)["release"] for _, response, problem, _ in results
                  if not problem and response.header("X-Serin-Pool") is None]
        print("kill -9 three times: %d requests, %d failed, %d answered by PHP-FPM directly" % (
            len(results), len(bad), len(around)))
        self.assertEqual(bad, [])
        self.assertGreater(len(around), 300)
        self.assertEqual(set(around), {"blue"})

    def test_a_restart_of_serin_loses_nothing_either(self):
        load = Load(self.address, threads=3, method="POST", body=b"a=1", target=lambda i: "/?n=%d" % i,
                    headers=[FORM])
        with load:
            for _ in range(3):
                seen = load.count()
                wait_for(lambda: load.count() > seen + 100)
                self.daemon.stop()
                self.daemon.start()
                wait_for(lambda: load.results[-1][1] and load.results[-1][1].header("X-Serin-Pool"), 20)
            results = load.stop()
        bad = [(number, problem or response.status) for number, response, problem, _ in results
               if problem or response.status != 200 or not response.complete]
        self.assertEqual(bad, [])


if __name__ == "__main__":
    main()
