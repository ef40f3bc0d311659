"""The results as a table in Markdown and as a plot."""

import statistics

COLOURS = {"serin": "#d9a400", "nginx": "#4c8c4a", "haproxy": "#3b6ea5", "h2o": "#8a5aa8", "floor": "#bbbbbb"}
MEGABYTE = 1024 * 1024


def unit(scenario):
    return "KB/connection" if scenario.idle else "µs/MB" if scenario.megabytes else "µs/request"


def costs(scenario, rounds):
    """-> what each round's request, megabyte or connection cost one proxy."""
    if scenario.idle:
        return [r["bytes"] / 1024 for r in rounds]
    per = scenario.size / MEGABYTE if scenario.megabytes else 1
    return [r["cpu"] / r["requests"] * 1e6 / per for r in rounds]


def ratios(scenario, results, name, other):
    mine, theirs = (costs(scenario, results[n]) for n in (name, other))
    return [a / b for a, b in zip(mine, theirs)]


def best_peer(scenario, results):
    peers = [n for n in results if n in ("nginx", "haproxy", "h2o")]
    return min(peers, key=lambda n: statistics.median(costs(scenario, results[n])), default=None)


def judged(scenario, results):
    """-> (ratio of medians of rounds, the peer, the target or None) of the scenario's first proxy."""
    word = scenario.target.split()[1] if scenario.target else "best"
    peer = best_peer(scenario, results) if word == "best" else word
    subject = scenario.proxies[0].name
    if subject not in results or peer not in results:
        return None
    target = float(scenario.target.split()[0]) if scenario.target else None
    return statistics.median(ratios(scenario, results, subject, peer)), peer, target


def spread(values, digits):
    low, high = min(values), max(values)
    text = "%.*f" % (digits, statistics.median(values))
    return text if len(values) < 2 else "%s (%.*f–%.*f)" % (text, digits, low, digits, high)


def table(scenario, results):
    lines = ["### %s (`%s`)" % (scenario.title, scenario.name), "",
             "| | %s, median (range) | requests/s | p50 µs | p99 µs | system calls/request | rounds | others used |"
             % unit(scenario),
             "|-|-|-|-|-|-|-|-|"]
    for name, rounds in results.items():
        digits = 2 if scenario.idle else 0 if scenario.megabytes else 1

        def median(key, form="%.0f", rounds=rounds):
            values = [r[key] for r in rounds if r.get(key)]
            return form % statistics.median(values) if values else "–"
        foreign = statistics.median(r.get("foreign", 0) for r in rounds) * 100
        lines.append("| %s | %s | %s | %s | %s | %s | %d | %.0f %% |" % (
            name, spread(costs(scenario, rounds), digits), median("per_second"), median("p50_us"), median("p99_us"),
            median("calls", "%.2f"), len(rounds), foreign))
    verdict = judged(scenario, results)
    if verdict:
        ratio, peer, target = verdict
        against = ", target %.2f: %s" % (target, "met" if ratio <= target else "**missed**") if target else ""
        lines += ["", "%s / %s in the same round, median: %.2f%s" % (scenario.proxies[0].name, peer, ratio, against)]
    return "\n".join(lines) + "\n"


def summary(scenarios, everything):
    """One line for each scenario: medians, and how the first proxy stands to the peer it is compared with."""
    names = ("serin", "nginx", "haproxy", "h2o", "floor")
    lines = ["| µs of CPU time | %s | ratio | target |" % " | ".join(names), "|-" * (len(names) + 3) + "|"]
    for name, results in everything.items():
        scenario = scenarios[name]
        digits = 2 if scenario.idle else 0 if scenario.megabytes else 1
        subject = scenario.proxies[0].name
        medians = {n: "%.*f" % (digits, statistics.median(costs(scenario, rounds))) for n, rounds in results.items()}
        cells = [medians.get(subject if n == "serin" else n, "–") for n in names]
        verdict = judged(scenario, results)
        ratio = "%.2f × %s" % verdict[:2] if verdict else "–"
        target = "–" if not verdict or not verdict[2] else "≤ %.2f: %s" % (
            verdict[2], "met" if verdict[0] <= verdict[2] else "**missed**")
        title = scenario.title + (", per MB" if scenario.megabytes else " (KB)" if scenario.idle else "")
        lines.append("| %s | %s | %s | %s |" % (title, " | ".join(cells), ratio, target))
    return "\n".join(lines) + "\n"


def plot(scenarios, everything):
    """Bars of CPU time, each scenario's longest as wide as the plot: they are compared within, not across."""
    bar, width, left = 16, 460, 330
    y, parts = 50, []
    for name, results in everything.items():
        scenario = scenarios[name]
        medians = {n: statistics.median(costs(scenario, rounds)) for n, rounds in results.items()
                   if n in COLOURS or n == "nginx + serin"}
        parts.append("<text x='10' y='%d' font-weight='bold'>%s</text>" % (y + 12, scenario.title))
        for proxy, value in medians.items():
            colour = COLOURS.get(proxy, COLOURS["serin"])
            parts.append("<text x='%d' y='%d' text-anchor='end'>%s</text>" % (left - 8, y + 12, proxy))
            parts.append("<rect x='%d' y='%d' width='%.1f' height='%d' fill='%s'/>" % (
                left, y, value / max(medians.values()) * width, bar - 3, colour))
            parts.append("<text x='%.1f' y='%d'>%.*f %s</text>" % (
                left + value / max(medians.values()) * width + 6, y + 12, 2 if scenario.idle else 1, value, unit(scenario)))
            y += bar
        y += 14
    return ("<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 930 %d' font-family='sans-serif' font-size='12'>\n"
            "<rect width='100%%' height='100%%' fill='white'/>\n<text x='10' y='26' font-size='15'>What a request costs the "
            "proxy: CPU time, medians; shorter is better</text>\n%s\n</svg>\n" % (y, "\n".join(parts)))
