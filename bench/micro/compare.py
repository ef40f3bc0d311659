"""Runs the micro benchmarks and compares them with a recorded run, by ratio.

    python3 bench/micro/compare.py --record FILE     write a run to FILE
    python3 bench/micro/compare.py [FILE]            compare with it (bench/micro/baseline.json)

Times are the medians of 5 repetitions. Another machine has other times: record on it before a change, compare after
it. Exits with 1 when something is slower by more than --limit (1.25).
"""

import argparse
import glob
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BINARIES = os.path.join(os.path.dirname(os.path.dirname(HERE)), ".build", "release", "bench", "micro")


def run(folder):
    """-> {benchmark: nanoseconds of CPU time}"""
    times = {}
    for program in sorted(glob.glob(os.path.join(folder, "*_bench"))):
        out = subprocess.run([program, "--benchmark_format=json", "--benchmark_repetitions=5",
                              "--benchmark_min_time=0.05", "--benchmark_report_aggregates_only=true"],
                             check=True, capture_output=True, text=True).stdout
        for entry in json.loads(out)["benchmarks"]:
            if entry.get("aggregate_name") == "median" and "error_occurred" not in entry:
                times[entry["run_name"]] = entry["cpu_time"]
    return times


def main():
    parser = argparse.ArgumentParser(description="Micro benchmarks, compared by ratio with a recorded run.")
    parser.add_argument("file", nargs="?", default=os.path.join(HERE, "baseline.json"))
    parser.add_argument("--record", action="store_true", help="write the file instead")
    parser.add_argument("--limit", type=float, default=1.25, help="the ratio above which it fails (1.25)")
    parser.add_argument("--binaries", default=BINARIES)
    options = parser.parse_args()
    now = run(options.binaries)
    if not now:
        sys.exit("no benchmarks in %s: cmake --build --preset release" % options.binaries)
    if options.record:
        with open(options.file, "w", encoding="utf-8") as file:
            json.dump({name: round(time, 2) for name, time in sorted(now.items())}, file, indent=1)
            file.write("\n")
        return 0
    with open(options.file, encoding="utf-8") as file:
        before = json.load(file)
    slower = 0
    for name, time in sorted(now.items()):
        ratio = time / before[name] if name in before else None
        slower += ratio is not None and ratio > options.limit
        print("%-60s %12.1f ns %s" % (name, time, "%6.2f" % ratio if ratio else "   new"))
    for name in sorted(set(before) - set(now)):
        print("%-60s is no more" % name)
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
