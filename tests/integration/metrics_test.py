"""/metrics: clean for promtool, scraped by a real Prometheus, and right."""

import json
import subprocess
import urllib.parse

from harness import Load, SerinCase, main, wait_for
from http_client import fetch

NAMES = ("serin_requests_total", "serin_request_duration_seconds_bucket", "serin_backend_errors_total",
         "serin_canary_weight_ratio", "serin_canary_observed_ratio", "serin_canary_error_ratio",
         "serin_canary_p95_seconds", "serin_evidence_ratio", "serin_rollout_step", "serin_rollout_state",
         "serin_reverts_total", "serin_rescued_requests_total", "serin_pool_connections", "serin_pool_queue_depth",
         "serin_build_info")


class MetricsTest(SerinCase):
    def setUp(self):
        super().setUp()
        self.fakes_for_pools()
        self.daemon = self.serin({"rollout": {"hold": "600s"}})

    def traffic(self):
        self.daemon.set_weight(50)
        for target in ["/"] * 20 + ["/?fault=error"] * 2 + ["/?fault=reset_head"] * 2:
            self.daemon.get(target)

    def test_promtool_has_nothing_to_say(self):
        for moment in ("fresh", "after traffic", "in a rollout"):
            if moment == "after traffic":
                self.traffic()
            if moment == "in a rollout":
                self.daemon.ctl("abort")
                self.daemon.ctl("start", "v2")
            result = subprocess.run(["promtool", "check", "metrics"], input=self.daemon.metrics_text(), text=True,
                                    capture_output=True, check=False)
            self.assertEqual((result.returncode, result.stdout + result.stderr), (0, ""), moment)

    def test_the_names_of_the_contract_are_there(self):
        self.traffic()
        # What is seen in the window is there after the controller's next look.
        wait_for(lambda: "\nserin_canary_observed_ratio" in self.daemon.metrics_text(), 5, "the window's figures")
        text = self.daemon.metrics_text()
        for name in NAMES:
            self.assertIn("\n" + name, text)
        self.assertIn('le="2"', text, "a bucket edge at exactly the limit")

    def test_counts_agree_with_what_was_sent(self):
        self.daemon.set_weight(25)
        for i in range(200):
            self.daemon.get("/?fault=error" if i % 10 == 0 else "/")
        wait_for(lambda: self.daemon.metric_sum("serin_requests_total") == 200, 5, "200 counted")
        self.assertEqual(self.daemon.metric_sum("serin_requests_total", pool="green"), len(self.green.seen))
        self.assertEqual(self.daemon.metric_sum("serin_requests_total", role="canary"), 50)
        self.assertEqual(self.daemon.metric_sum("serin_requests_total", code="500"), 20)
        self.assertEqual(self.daemon.metric_sum("serin_request_duration_seconds_count"), 200)
        self.assertEqual(self.daemon.metric_sum("serin_canary_weight_ratio"), 0.25)
        wait_for(lambda: abs(self.daemon.metric_sum("serin_canary_observed_ratio") - 0.25) < 0.01, 5, "the share")

    def test_connections_and_bytes_are_counted(self):
        self.traffic()
        self.daemon.get("/", method="POST", body=b"x" * 200000)
        self.assertEqual(self.daemon.get("/%00").status, 400)
        wait_for(lambda: self.daemon.metric_sum("serin_client_connections") == 0, 5, "closed connections to be seen")
        self.assertEqual(self.daemon.metric_sum("serin_client_connections_accepted_total"), 26)
        wait_for(lambda: self.daemon.metric_sum("serin_received_bytes_total") > 200000, 5, "bytes received")
        wait_for(lambda: self.daemon.metric_sum("serin_sent_bytes_total") > 26 * 50, 5, "bytes sent")
        self.assertGreaterEqual(self.daemon.metric_sum("serin_pool_connections_opened_total"), 20)
        wait_for(lambda: self.daemon.metric_sum("serin_pool_connections") == 0, 5, "no connection to the pools")
        self.assertEqual(self.daemon.metric_sum("serin_refused_requests_total", code="400"), 1)
        self.assertEqual(self.daemon.metric_sum("serin_spilled_total"), 1)

    def test_exactly_one_state_is_set(self):
        for prepare in (lambda: None, lambda: self.daemon.ctl("start", "v2"), lambda: self.daemon.ctl("pause")):
            prepare()
            series = {key: value for key, value in self.daemon.metrics().items()
                      if key.startswith("serin_rollout_state{")}
            state = self.daemon.state()
            self.assertEqual([key for key, value in series.items() if value == 1],
                             ['serin_rollout_state{state="%s"}' % state])

    def test_labels_stay_few_whatever_is_sent(self):
        for i in range(300):
            self.daemon.get("/path%d?fault=status&status=%d" % (i, 200 + i))
        self.assertLess(len(self.daemon.metrics()), 600)

    def test_a_real_prometheus_scrapes_it(self):
        self.traffic()
        port = self.port()
        conf = self.write("prometheus.yml", """
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: serin
    static_configs: [{targets: ["%s"]}]
""" % self.daemon.metrics_address)
        self.spawn("prometheus", ["prometheus", "--config.file=" + conf, "--storage.tsdb.path=" + self.folder("tsdb"),
                                  "--web.listen-address=127.0.0.1:%d" % port, "--log.level=warn"])

        def query(text):
            try:
                answer = fetch("127.0.0.1:%d" % port, "/api/v1/query?query=" + urllib.parse.quote(text))
                return json.loads(answer.text)["data"]["result"]
            except (OSError, ValueError, KeyError):
                return []
        wait_for(lambda: [r for r in query('up{job="serin"}') if r["value"][1] == "1"], 30, "a scrape that worked")
        self.assertEqual(sum(float(r["value"][1]) for r in query("serin_requests_total")), 24)
        self.assertTrue(query("histogram_quantile(0.95, sum by (le) (serin_request_duration_seconds_bucket))"))


if __name__ == "__main__":
    main()
