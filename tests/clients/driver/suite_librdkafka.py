"""librdkafka's own test-runner, one process per test number, or per sub-test where some of a test's sub-tests need what we lack.

Quick mode, but in full where quick mode leaves nothing of a test."""

import glob
import json
import os
import re

from suite_base import Result, Suite

TEST_SECONDS = 150
# A test that ends sooner has sent nothing.
HOLLOW_SECONDS = 0.003
# Tests whose sub-tests are listed one by one.
SPLIT = ("0011_produce_batch", "0081_admin", "0103_transactions")


class Librdkafka(Suite):
    name = "librdkafka"
    origin = "C source inside the crate rdkafka-sys, `test-runner -p1 -Q -L`"
    scenario = "default"

    def tests_dir(self, ctx):
        return os.path.join(ctx.home, "source", "tests")

    def version(self, ctx):
        with open(os.path.join(ctx.home, "source", "src", "rdkafka.h")) as f:
            number = int(re.search(r"#define RD_KAFKA_VERSION 0x([0-9a-f]{8})", f.read()).group(1), 16)
        return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}"

    def tests(self, ctx):
        """From the table in test.c: what is neither local nor manual nor against librdkafka's mock."""
        with open(os.path.join(self.tests_dir(ctx), "test.c")) as f:
            rows = re.split(r"^    _TEST\(", f.read(), flags=re.M)[1:]
        table = [(row.split(",")[0], row.split("/*")[0]) for row in rows]
        elsewhere = ("TEST_F_LOCAL", "TEST_F_MANUAL", "_mock,")
        names = [name for name, row in table if not any(mark in row for mark in elsewhere) and self.in_scenario(row)]
        return [part for name in names for part in (self.sub_tests(ctx, name) if name in SPLIT else [name])]

    def sub_tests(self, ctx, name):
        """The functions of the test's file that begin a sub-test, in its order."""
        path = glob.glob(os.path.join(self.tests_dir(ctx), f"{name.split('_')[0]}-*.c"))[0]
        with open(path) as f:
            functions = re.findall(r"^(?:static )?\w+ (\w+)\([^;{]*\{(.*?)^}", f.read(), re.M | re.S)
        return [f"{name}/{function}" for function, body in functions if "SUB_TEST" in body]

    def in_scenario(self, rest):
        """Does the table's row belong to the scenario this suite runs?"""
        found = re.search(r'\.scenario = "(\w+)"', rest)
        return (found.group(1) if found else "default") == self.scenario

    def run(self, ctx, names):
        """The runner chooses by number, so tests that share one run together."""
        for number in sorted({n.split("_")[0] for n in names if "/" not in n}):
            yield from self.run_number(ctx, number, [n for n in names if n.startswith(number + "_") and "/" not in n])
        for name in names:
            test, _, part = name.partition("/")
            if part:
                found, output, code, seconds = self.execute(ctx, test.split("_")[0], part, ["-Q"])
                ran = re.search(rf"\[ {part}:\d+.*?PASS", self.plain(output))
                verdict = self.judge(name, found.get(test, {}), output, code, seconds)
                yield verdict if ran or verdict.verdict != "passed" else Result(name, "absent", "not reached in quick mode")

    def run_number(self, ctx, number, wanted):
        """Quick, and once more in full when that was hollow."""
        found, output, code, seconds = self.execute(ctx, number, "", ["-Q"])
        if all(self.hollow(found.get(n, {})) for n in wanted):
            found, output, code, seconds = self.execute(ctx, number, "", [])
        for name in wanted:
            yield self.judge(name, found.get(name, {}), output, code, seconds)

    @staticmethod
    def hollow(entry):
        return entry.get("state") == "PASSED" and float(entry.get("duration", 1)) < HOLLOW_SECONDS

    def execute(self, ctx, number, part, flags):
        """One process. Returns (report by test, output, exit code, seconds)."""
        label = "-".join(filter(None, [self.scenario, number, part, "" if flags else "full"]))
        report = os.path.join(ctx.logs, f"{label}.json")
        conf = os.path.join(ctx.data, "test.conf")
        with open(conf, "w") as f:
            f.write(f"bootstrap.servers={ctx.address}\n")
        env = {"TESTS": number, "TEST_KAFKA_VERSION": "4.0.0", "RDKAFKA_TEST_CONF": conf, "TEST_REPORT": report, "BROKERS": ctx.address}
        env |= {"LD_LIBRARY_PATH": "../src:../src-cpp", "KAFKA_PATH": os.path.join(ctx.home, "kafka"), **({"SUBTESTS": f"{part}:"} if part else {})}
        command = ["./test-runner", "-p1", *flags, "-L", "-s", self.scenario]
        code, output, seconds = ctx.run(command, label, TEST_SECONDS, self.tests_dir(ctx), env)
        return self.read_report(report), output, code, seconds

    def judge(self, name, entry, output, code, seconds):
        state = entry.get("state", "")
        if state == "PASSED" and not self.hollow(entry):
            return Result(name, "passed", "", float(entry.get("duration", seconds)))
        if state in ("SKIPPED", "PASSED"):
            return Result(name, "absent", self.reason(output, r"SKIPPING TEST: (.*)") if state == "SKIPPED" else "does nothing")
        if code is None:
            return Result(name, "failed", f"no end within {TEST_SECONDS} s", seconds)
        return Result(name, "failed", self.reason(output, r"### Test .*?failed at (\S+?:\d+).*\n(?:Test assertion failed: )?(.*)", r"(?:Assertion|test_fail|exited|failed).*"), seconds)

    @staticmethod
    def read_report(path):
        """Tests by name; nothing when the runner died before it wrote one."""
        try:
            with open(path) as f:
                return {t["name"]: t for t in json.load(f)["tests"].values()}
        except (OSError, ValueError, KeyError, AttributeError):
            return {}

    @staticmethod
    def plain(output):
        """Without colors."""
        return re.sub(r"\x1b\[[0-9;]*m", "", output)

    @staticmethod
    def reason(output, *patterns):
        """What the runner said of it."""
        plain = Librdkafka.plain(output)
        for pattern in patterns:
            found = re.search(pattern, plain)
            if found:
                return " ".join(" ".join(found.groups() or [found.group(0)]).split())[:300]
        return plain.strip().splitlines()[-1][:300] if plain.strip() else "no output"


class LibrdkafkaNoAutoCreate(Librdkafka):
    """The tests that want a broker without automatic creation."""

    name = "librdkafka-noautocreate"
    origin = "the same, scenario `noautocreate`"
    scenario = "noautocreate"
    environment = {**Librdkafka.environment, "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false"}
