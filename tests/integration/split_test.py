"""The split: exact shares, live changes, people who stay on their side, nothing lost or doubled."""

import json
import time

from harness import Load, SerinCase, main, wait_for
from http_client import Connection, fetch


class ExactSplitTest(SerinCase):
    def setUp(self):
        super().setUp()
        self.fakes_for_pools()
        self.daemon = self.serin({"server": {"pool_header": "X-Serin-Pool"}})

    def count_green(self, requests, connections=1):
        before = len(self.green.seen)
        for _ in range(connections):
            with Connection(self.daemon.address) as connection:
                for _ in range(requests // connections):
                    self.assertEqual(connection.request("GET", "/").status, 200)
        return len(self.green.seen) - before

    def test_any_thousand_requests_without_a_key_are_split_exactly(self):
        for percent in (0, 1, 10, 25, 50, 75, 100):
            self.daemon.set_weight(percent)
            self.assertAlmostEqual(self.count_green(1000, connections=4), 10 * percent, delta=1, msg=percent)

    def test_basis_points_are_exact_over_ten_thousand(self):
        self.daemon.set_weight(12.34)
        self.assertAlmostEqual(self.count_green(10000, connections=2), 1234, delta=1)

    def test_a_weight_set_by_serinctl_or_curl_holds_for_the_very_next_request(self):
        with Connection(self.daemon.address) as connection:
            for percent, pool in ((100, "green"), (0, "blue"), (100, "green")):
                self.daemon.ctl("weight", str(percent))
                self.assertEqual(connection.request("GET", "/").header("X-Serin-Pool"), pool)
            for percent, pool in ((0, "blue"), (100, "green")):
                self.command(["curl", "-sSf", "--unix-socket", self.path("admin.sock"), "-d",
                              json.dumps({"canary": percent}), "http://serin/v1/weight"])
                self.assertEqual(connection.request("GET", "/").header("X-Serin-Pool"), pool)

    def test_the_pool_header_names_the_pool_and_replaces_what_php_sent(self):
        self.daemon.set_weight(100)
        self.green.behave = lambda request: lambda connection, it: _answer_with_pool_header(connection, it)
        self.assertEqual(self.daemon.get("/").all("X-Serin-Pool"), ["green"])

    def test_the_observed_share_is_reported(self):
        self.daemon.set_weight(25)
        self.count_green(400)
        status = wait_for(lambda: (lambda s: s if s["weight"].get("observed") else None)(self.daemon.status()))
        self.assertAlmostEqual(status["weight"]["target"], 0.25)
        self.assertAlmostEqual(status["weight"]["observed"], 0.25, delta=0.02)


def _answer_with_pool_header(connection, request):
    import fake_fpm
    fake_fpm.answer(connection, request, extra=b"X-Serin-Pool: forged\r\n")


class NothingLostTest(SerinCase):
    def test_no_request_is_lost_or_answered_twice_while_the_weight_changes(self):
        self.fakes_for_pools()
        daemon = self.serin()
        with Load(daemon.address, threads=6, method="POST", body=b"x" * 100) as load:
            for percent in (0, 10, 100, 25, 0, 50, 75, 100, 1, 99) * 3:
                daemon.set_weight(percent)
                time.sleep(0.05)
            results = load.stop()
        self.assertGreater(len(results), 300)
        self.assertEqual([r for r in results if r[2] or r[1].status != 200 or not r[1].complete], [])
        served = {}
        for fake in (self.blue, self.green):
            for request_id, count in fake.ids().items():
                served[request_id] = served.get(request_id, 0) + count
        self.assertEqual(served, {str(number): 1 for number, *_ in results})
        for number, response, _, _ in results:
            self.assertIn("id=%d " % number, response.text)
        self.assertEqual([r.problems for r in self.blue.seen + self.green.seen if r.problems], [])


class StickySplitTest(SerinCase):
    def setUp(self):
        super().setUp()
        self.fakes_for_pools()

    def visitor_cookie(self, response):
        for line in response.all("Set-Cookie"):
            if line.startswith("serin_id="):
                return line.partition(";")[0]
        return None

    def visit(self, daemon, cookie):
        response = daemon.get("/", headers=[("Cookie", cookie)])
        return response.header("X-Serin-Pool")

    def test_a_visitor_stays_and_nobody_moves_back_while_the_weight_rises(self):
        daemon = self.serin({"split": {"key": "cookie"}, "server": {"pool_header": "X-Serin-Pool"}})
        daemon.set_weight(10)
        visitors = []
        for _ in range(200):
            response = daemon.get("/")
            cookie = self.visitor_cookie(response)
            self.assertIsNotNone(cookie, "a visitor without an id is given one")
            self.assertNotIn("green", cookie)
            self.assertNotIn("canary", cookie)
            visitors.append((cookie, response.header("X-Serin-Pool")))
        for cookie, pool in visitors[:50]:
            self.assertEqual(self.visit(daemon, cookie), pool)
        daemon.set_weight(50)
        at_50 = [(cookie, pool, self.visit(daemon, cookie)) for cookie, pool in visitors]
        self.assertEqual([v for v in at_50 if v[1] == "green" and v[2] != "green"], [])
        self.assertTrue(60 <= sum(v[2] == "green" for v in at_50) <= 140)
        daemon.set_weight(0)
        self.assertEqual({self.visit(daemon, cookie) for cookie, _ in visitors[:50]}, {"blue"})

    def test_the_application_does_not_see_a_visitor_cookie_being_set_twice(self):
        daemon = self.serin({"split": {"key": "cookie"}})
        daemon.set_weight(50)
        cookie = self.visitor_cookie(daemon.get("/"))
        self.assertIsNone(self.visitor_cookie(daemon.get("/", headers=[("Cookie", cookie)])))

    def test_an_address_is_a_key_too(self):
        daemon = self.serin({"split": {"key": "address"}, "server": {"pool_header": "X-Serin-Pool"}})
        daemon.set_weight(50)
        pools = {}
        for i in range(100):
            address = "198.51.100.%d" % i
            for _ in range(2):
                response = daemon.get("/", headers=[("X-Forwarded-For", address)])
                pools.setdefault(address, set()).add(response.header("X-Serin-Pool"))
        self.assertEqual([a for a, seen in pools.items() if len(seen) != 1], [])
        self.assertTrue(25 <= sum(seen == {"green"} for seen in pools.values()) <= 75)

    def test_a_header_is_a_key_too(self):
        daemon = self.serin({"split": {"key": "header:X-User"}, "server": {"pool_header": "X-Serin-Pool"}})
        daemon.set_weight(50)
        for user in ("ann", "ben", "cem"):
            pools = {daemon.get("/", headers=[("X-User", user)]).header("X-Serin-Pool") for _ in range(5)}
            self.assertEqual(len(pools), 1, user)

    def test_people_go_through_a_whole_rollout_and_move_once(self):
        daemon = self.serin({"split": {"key": "cookie"}, "server": {"pool_header": "X-Serin-Pool"},
                             "rollout": {"hold": "1h", "steps": ["10%", "25%", "50%", "75%", "100%"]}})
        people = ["serin_id=%016x" % (0x9E3779B97F4A7C15 * n % 2 ** 64) for n in range(1, 601)]

        def canary():
            with Connection(daemon.address) as connection:
                return {person for person in people if connection.request(
                    "GET", "/", [("Cookie", person)]).header("X-Serin-Pool") == "green"}

        def rollout(release):
            daemon.ctl("start", release)
            before, first = set(), None
            for step, share in enumerate((0.10, 0.25, 0.50, 0.75, 1.0)):
                if step:
                    daemon.ctl("promote")
                self.assertEqual(daemon.status()["weight"]["target"], share)
                now = canary()
                self.assertLessEqual(before, now, "somebody moved back at %d %%" % (share * 100))
                bound = 4.9 * (len(people) * share * (1 - share)) ** 0.5  # one honest split in a million is outside
                self.assertAlmostEqual(len(now), len(people) * share, delta=bound)
                before, first = now, first if step else now
            daemon.ctl("abort")
            self.assertEqual(canary(), set(), "everybody is on stable after a revert")
            return first

        first, second = rollout("v2"), rollout("v3")
        self.assertLess(len(first & second), len(first) * 0.5, "the next release is tried on other people")

    def test_the_cookie_is_closed_to_scripts_and_lives_as_long_as_configured(self):
        daemon = self.serin({"split": {"key": "cookie", "cookie_name": "who", "cookie_max_age": "2h"}})
        daemon.set_weight(50)
        for headers, secure in (([], ""), ([("X-Forwarded-Proto", "https")], "; Secure")):
            line, = daemon.get("/", headers=headers).all("Set-Cookie")
            self.assertRegex(line, "^who=[0-9a-f]{16}; Path=/; Max-Age=7200; HttpOnly; SameSite=Lax%s$" % secure)

    def test_an_ipv6_customer_is_recognised_by_the_network(self):
        daemon = self.serin({"split": {"key": "address"}, "server": {"pool_header": "X-Serin-Pool"}})
        daemon.set_weight(50)
        networks = {}
        for network in range(30):
            for host in ("1", "ffff:eeee:dddd:cccc", "a:b:c:d"):
                address = "2001:db8:%x:1:%s" % (network, host) if host.count(":") else "2001:db8:%x:1::%s" % (
                    network, host)
                response = daemon.get("/", headers=[("X-Forwarded-For", address)])
                networks.setdefault(network, set()).add(response.header("X-Serin-Pool"))
        self.assertEqual([n for n, pools in networks.items() if len(pools) != 1], [])
        self.assertEqual(set.union(*networks.values()), {"blue", "green"})

    def test_an_override_reaches_the_canary_at_weight_zero(self):
        daemon = self.serin({"server": {"pool_header": "X-Serin-Pool"}})
        daemon.set_weight(0)
        self.assertEqual(daemon.get("/", headers=[("X-Serin-Route", "canary")]).header("X-Serin-Pool"), "green")
        self.assertEqual(daemon.get("/", headers=[("Cookie", "serin_route=canary")]).header("X-Serin-Pool"), "green")
        daemon.set_weight(100)
        self.assertEqual(daemon.get("/", headers=[("X-Serin-Route", "stable")]).header("X-Serin-Pool"), "blue")


class OverrideAndPinTest(SerinCase):
    def setUp(self):
        super().setUp()
        self.fakes_for_pools()

    def pool(self, daemon, headers=(), target="/", **kwargs):
        return daemon.get(target, headers=list(headers), **kwargs).header("X-Serin-Pool")

    def test_overrides_are_heard_from_trusted_addresses_who_know_the_secret(self):
        secret = "correct-horse-battery"
        daemon = self.serin({"server": {"pool_header": "X-Serin-Pool"},
                             "split": {"override_from": ["192.0.2.0/24"], "override_secret": secret}})
        inside, outside = ("X-Forwarded-For", "192.0.2.9"), ("X-Forwarded-For", "198.51.100.9")
        for client, value, pool in ((inside, "canary:" + secret, "green"), (inside, "canary", "blue"),
                                    (inside, "canary:" + secret[:-1] + "x", "blue"),
                                    (outside, "canary:" + secret, "blue")):
            self.assertEqual(self.pool(daemon, [client, ("X-Serin-Route", value)]), pool, (client, value))
            self.assertEqual(self.pool(daemon, [client, ("Cookie", "serin_route=" + value)]), pool, (client, value))

    def test_pinned_requests_stay_on_stable_and_are_no_part_of_the_verdict(self):
        log = self.path("access.log")
        daemon = self.serin({"server": {"pool_header": "X-Serin-Pool"},
                             "split": {"pin": [{"path": "/checkout", "methods": ["POST"]}, {"path": "/cart"}]},
                             "access_log": {"target": "file", "path": log}})
        daemon.set_weight(100)
        for method, target, pool in (("POST", "/checkout/pay", "blue"), ("GET", "/checkout/pay", "green"),
                                     ("GET", "/cart", "blue"), ("GET", "/cart/%2e%2e/shop", "green"),
                                     ("GET", "/shop/%2e%2e/cart", "blue"), ("GET", "/carts", "green")):
            self.assertEqual(self.pool(daemon, target=target, method=method), pool, (method, target))
        wait_for(lambda: daemon.status()["pools"]["green"]["requests"] == 3)
        status = daemon.status()
        self.assertEqual((status["pools"]["blue"]["requests"], status["weight"]["observed"]), (0, 1))

        def lines():
            with open(log, encoding="utf-8") as file:
                return [(line["target"], line["pool"], line["pinned"]) for line in map(json.loads, file)]
        wait_for(lambda: len(lines()) == 6, 10, "six lines")
        for line in (("/checkout/pay", "blue", True), ("/checkout/pay", "green", False), ("/cart", "blue", True)):
            self.assertIn(line, lines())


if __name__ == "__main__":
    main()
