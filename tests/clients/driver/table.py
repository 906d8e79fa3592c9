"""The scoreboard: sums of the last whole runs in suites/scoreboard.json, made into a table of README.md."""

import json
import os
import time
from collections import Counter

from lists import MUST_PASS, TestList

BEGIN, END = "<!-- scoreboard: written by suites.sh -->", "<!-- end of scoreboard -->"


def _path(here):
    return os.path.join(here, "suites", "scoreboard.json")


def load(here):
    """Sums by suite and broker; empty before the first whole run."""
    try:
        with open(_path(here)) as f:
            return json.load(f)
    except FileNotFoundError:
        return {}


def record(here, suite, version, broker, results):
    """Keeps what a whole run came to."""
    board = load(here)
    entry = board.setdefault(suite.name, {})
    entry["version"] = version
    entry[broker] = {
        "passed": sum(r.verdict == "passed" for r in results),
        "tests": len(results),
        "day": time.strftime("%Y-%m-%d"),
        "failed": sorted(r.name for r in results if r.verdict == "failed"),
    }
    with open(_path(here), "w") as f:
        json.dump(board, f, indent=1, sort_keys=True)
        f.write("\n")


def _cell(entry, broker):
    found = entry.get(broker)
    return f"{found['passed']} of {found['tests']} ({found['day']})" if found else "not run"


def _reasons(tests, entry):
    """How many are passed over for which reason; those that a real Kafka fails here too are named so."""
    kafka_fails = set(entry.get("kafka", {}).get("failed", []))
    counts = Counter()
    for name in tests.names("skip"):
        counts["fails against Kafka too" if name in kafka_fails else tests.entries[name].reason] += 1
    return counts.most_common()


def text(here, suites):
    """The table, and below it what is passed over."""
    board = load(here)
    lines = ["| Suite | Version | Must pass on ringlog | Last whole run, ringlog | Kafka 4.3.1 | What it is |", "|---|---|---|---|---|---|"]
    over = []
    for suite in suites:
        tests = TestList(os.path.join(here, "suites", f"{suite.name}.list"))
        entry = board.get(suite.name, {})
        lines.append(f"| {suite.name} | {entry.get('version', '-')} | {len(tests.names(*MUST_PASS))} | {_cell(entry, 'ringlog')} | {_cell(entry, 'kafka')} | {suite.origin} |")
        for reason, count in _reasons(tests, entry):
            over.append(f"| {suite.name} | {count} | {reason.replace('|', '/')} |")
    return "\n".join([*lines, "", "Passed over, and why (test by test: `suites/*.list`):", "", "| Suite | Tests | Reason |", "|---|---|---|", *over])


def write(here, suites):
    """Replaces the part of README.md between the two marks."""
    path = os.path.join(here, "README.md")
    with open(path) as f:
        old = f.read()
    head, mark, rest = old.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not mark or not end:
        raise RuntimeError(f"{path} has no place for the scoreboard: {BEGIN} ... {END}")
    with open(path, "w") as f:
        f.write(f"{head}{BEGIN}\n{text(here, suites)}\n{END}{tail}")
