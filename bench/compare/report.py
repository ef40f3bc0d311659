"""The results as a table in Markdown and as a plot."""

import dataclasses
import statistics
import typing

COLOURS = {"serin": "#d9a400", "nginx": "#4c8c4a", "haproxy": "#3b6ea5", "h2o": "#8a5aa8", "floor": "#bbbbbb"}
PEERS = ("nginx", "haproxy", "h2o")


@dataclasses.dataclass(frozen=True)
class Figure:
    """What is told of one line's round; None: not measured."""
    label: str
    digits: int
    of: typing.Callable


FIGURES = {
    "request": Figure("µs/request", 1, lambda scenario, r: r["cpu"] / r["requests"] * 1e6),
    "megabyte": Figure("µs/MB", 0, lambda scenario, r: r["cpu"] / r["requests"] * 1e6 / scenario.megabytes),
    "memory": Figure("KB/connection", 2, lambda scenario, r: r["bytes"] / 1024),
    "rate": Figure("requests/s", 0, lambda scenario, r: r.get("per_second")),
    "p50": Figure("p50 µs", 0, lambda scenario, r: r.get("p50_us") or None),
    "p99": Figure("p99 µs", 0, lambda scenario, r: r.get("p99_us") or None),
    "calls": Figure("system calls/request", 2, lambda scenario, r: r.get("calls")),
}


def cost(scenario):
    return "memory" if not scenario.load else "megabyte" if scenario.megabytes else "request"


def values(scenario, rounds, figure):
    found = [FIGURES[figure].of(scenario, r) for r in rounds]
    return [value for value in found if value is not None]


def told(numbers, digits, spread=False):
    """-> the median, or with the range behind it."""
    if not numbers:
        return "–"
    text = "%.*f" % (digits, statistics.median(numbers))
    wide = " (%.*f–%.*f)" % (digits, min(numbers), digits, max(numbers))
    return text + wide if spread and len(numbers) > 1 else text


def ratios(scenario, results, name, other, figure):
    """-> of each round."""
    mine, theirs = (values(scenario, results.get(n, []), figure) for n in (name, other))
    return [a / b for a, b in zip(mine, theirs)]


def base_and_variant(name):
    """"serin, log on" -> ("serin", ", log on")"""
    base, comma, variant = name.partition(", ")
    return base, comma + variant


@dataclasses.dataclass(frozen=True)
class Judged:
    """How a target's subject stands: `value` of `than`, or by itself if that is ""; `met` is None without a limit."""
    value: float
    than: str
    met: typing.Optional[bool]


def judge(scenario, results, target):
    """-> Judged, or None if what it takes was not measured."""
    figure, than = target.figure or cost(scenario), target.than
    if than == "best":
        variant = base_and_variant(target.subject)[1]
        medians = {peer + variant: values(scenario, results.get(peer + variant, []), figure) for peer in PEERS}
        medians = {name: statistics.median(numbers) for name, numbers in medians.items() if numbers}
        than = min(medians, key=medians.get, default=None)
    numbers = (ratios(scenario, results, target.subject, than, figure) if than != "" else
               values(scenario, results.get(target.subject, []), figure))
    if not numbers:
        return None
    value = statistics.median(numbers)
    return Judged(value, than, None if target.limit is None else value <= target.limit)


def verdict(target, judged):
    """-> the ratio and the target in words."""
    ratio = "–" if not judged else "%.2f × %s" % (judged.value, judged.than) if judged.than else "%.2f" % judged.value
    if not judged or judged.met is None:
        return ratio, "–"
    return ratio, "≤ %.2f: %s" % (target.limit, "met" if judged.met else "**missed**")


def table(scenario, results):
    """One line for each proxy, and what is said of the targets."""
    figure = cost(scenario)
    columns = ("rate", "p50", "p99", "calls")
    lines = ["### %s (`%s`)" % (scenario.title, scenario.name), "",
             "| | %s, median (range) | of its plain line | %s | rounds | others used |" % (
                 FIGURES[figure].label, " | ".join(FIGURES[column].label for column in columns)),
             "|-" * (len(columns) + 5) + "|"]
    for name, rounds in results.items():
        base, variant = base_and_variant(name)
        lines.append("| %s | %s | %s | %s | %d | %.0f %% |" % (
            name, told(values(scenario, rounds, figure), FIGURES[figure].digits, spread=True),
            told(ratios(scenario, results, name, base, figure) if variant else [], 2, spread=True),
            " | ".join(told(values(scenario, rounds, column), FIGURES[column].digits) for column in columns),
            len(rounds), statistics.median(r.get("foreign", 0) for r in rounds) * 100))
    lines.append("")
    for target in scenario.targets:
        lines.append("%s, %s, median of the rounds: %s, target %s" % (
            target.subject, FIGURES[target.figure or figure].label,
            *verdict(target, judge(scenario, results, target))))
    return "\n".join(lines) + "\n"


def summary(scenarios, everything):
    """One line for each target: medians, and how its subject stands to what it is compared with."""
    lines = ["| µs of CPU time, if not said otherwise | %s | ratio | target |" % " | ".join(
        COLOURS), "|-" * (len(COLOURS) + 3) + "|"]
    for name, results in everything.items():
        scenario = scenarios[name]
        for target in scenario.targets:
            figure = FIGURES[target.figure or cost(scenario)]
            variant = base_and_variant(target.subject)[1]
            shown = [target.subject if proxy == "serin" else proxy + variant for proxy in COLOURS]
            cells = [told(values(scenario, results.get(n, []), target.figure or cost(scenario)), figure.digits)
                     for n in shown]
            title = scenario.title + variant + ("" if figure.label == "µs/request" else ": " + figure.label)
            lines.append("| %s | %s | %s | %s |" % (title, " | ".join(cells),
                                                    *verdict(target, judge(scenario, results, target))))
    return "\n".join(lines) + "\n"


def plot(scenarios, everything):
    """Bars of what the first target is about, each scenario's longest as wide as the plot: they are compared within,
    not across."""
    bar, width, left = 16, 560, 230
    y, parts = 50, []
    for name, results in everything.items():
        scenario = scenarios[name]
        subject, figure = scenario.targets[0].subject, FIGURES[cost(scenario)]
        shown = {subject: COLOURS["serin"], **{proxy + base_and_variant(subject)[1]: colour
                                               for proxy, colour in COLOURS.items() if proxy != "serin"}}
        medians = {n: statistics.median(values(scenario, results[n], cost(scenario))) for n in shown if n in results}
        parts.append("<text x='10' y='%d' font-weight='bold'>%s</text>" % (y + 12, scenario.title))
        y += bar
        for proxy, value in medians.items():
            length = value / max(medians.values()) * width
            parts.append("<text x='%d' y='%d' text-anchor='end'>%s</text>" % (left - 8, y + 12, proxy))
            parts.append("<rect x='%d' y='%d' width='%.1f' height='%d' fill='%s'/>" % (
                left, y, length, bar - 3, shown[proxy]))
            parts.append("<text x='%.1f' y='%d'>%.*f %s</text>" % (
                left + length + 6, y + 12, max(figure.digits, 1), value, figure.label))
            y += bar
        y += 14
    return ("<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 930 %d' font-family='sans-serif' font-size='12'>\n"
            "<rect width='100%%' height='100%%' fill='white'/>\n<text x='10' y='26' font-size='15'>What a request costs "
            "the proxy: CPU time, medians; shorter is better</text>\n%s\n</svg>\n" % (y, "\n".join(parts)))
