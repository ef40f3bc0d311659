"""What a revert cost and how quickly it was acted on, from the access log of a real daemon."""

import datetime
import json
import re


def read_log(path):
    """-> the access log's lines as dicts, with "began" and "ended" in seconds, in order of ending."""
    lines = []
    with open(path, encoding="utf-8") as file:
        for text in file:
            if not text.endswith("\n"):
                break  # being written
            line = json.loads(text)
            line["began"] = datetime.datetime.strptime(line["time"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(
                tzinfo=datetime.timezone.utc).timestamp()
            line["ended"] = line["began"] + line["duration_ms"] / 1000
            lines.append(line)
    return sorted(lines, key=lambda line: line["ended"])


class Revert:
    """The revert after the rollout that began with epoch `first` and ended with epoch `after`.

    `reason` is the daemon's own: "12 of 57 canary requests failed" says which answer decided, the
    canary's 57th (a failure, or the one that filled the window). Of a rollout that was longer than the
    window that is not known, and so neither are the times. They have the log's resolution, 1 ms.
    """

    def __init__(self, lines, first, after, reason, window=60):
        canary = [line for line in lines if line["role"] == "canary" and first <= line["epoch"] < after]
        match = re.search(r"(\d+) of (\d+) canary requests", reason)
        self.failures_then, self.requests_then = int(match.group(1)), int(match.group(2))
        self.requests = len(canary)
        # What its visitors were sent; a rescued request had failed and was answered well.
        self.bad = sum(line["status"] >= 500 for line in canary)
        self.canary_after = [line for line in lines if line["epoch"] is not None and line["epoch"] >= after
                             and line["role"] == "canary"]
        self.seconds = self.to_stable = self.last_old = None
        decided = canary[self.requests_then - 1]["ended"]
        self.seconds = canary[-1]["ended"] - min(line["began"] for line in canary)
        if self.seconds > window - 1:
            return
        new = [line["began"] for line in lines if line["epoch"] is not None and line["epoch"] >= after]
        old = [line["began"] for line in lines if line["epoch"] is not None and line["epoch"] < after]
        # From the answer that decided to the first request that the new split routed, and to the last
        # one that the old split did.
        self.to_stable = (min(new) - decided) * 1e3 if new else None  # ms
        self.last_old = (max(old) - decided) * 1e3
