"""Suites compiled to programs that can list their tests and run one, such as Go's test binaries; and programs that print TAP."""

import glob
import json
import os
import re

from real_kafka import RealKafka
from suite_base import Result, Suite, ended


class TestBinaries(Suite):
    """`programs` maps a label to (command, folder). Each test is a process of its own, with its own time limit."""

    seconds = 120

    def programs(self, ctx):
        raise NotImplementedError

    def listed(self, ctx, label, command, folder):
        """Tests of one program."""
        raise NotImplementedError

    def one(self, test):
        """Arguments that run this test alone."""
        raise NotImplementedError

    def variables(self, ctx):
        return {}

    def tests(self, ctx):
        return [f"{label}::{t}" for label, (command, folder) in self.programs(ctx).items() for t in self.listed(ctx, label, command, folder)]

    def run(self, ctx, names):
        programs = self.programs(ctx)
        for name in names:
            label, _, test = name.partition("::")
            if label not in programs:
                yield Result(name, "failed", f"no program {label}")
                continue
            command, folder = programs[label]
            code, output, seconds = ctx.run([*command, *self.one(test)], name, self.seconds, folder, self.variables(ctx))
            yield Result(name, *self.judge(test, code, output, seconds), seconds)

    def judge(self, test, code, output, seconds):
        return ended(code, output, seconds, self.seconds)


class FranzGo(TestBinaries):
    name = "franz-go"
    origin = "Go module, package `kgo`: 10,000 records per test"
    seconds = 240

    def version(self, ctx):
        with open(os.path.join(ctx.home, "version")) as f:
            return f.read().strip()

    def programs(self, ctx):
        return {"kgo": ([os.path.join(ctx.home, "kgo.test")], os.path.join(ctx.home, "source", "pkg", "kgo"))}

    def listed(self, ctx, label, command, folder):
        """Only tests that speak to a broker: those that fail, or are cut short, without one."""
        _, output, _ = ctx.run([*command, "-test.list", "."], "list", 60, folder)
        return [line for line in output.split() if re.fullmatch(r"Test\w+", line) and self.wants_broker(folder, line)]

    @staticmethod
    def wants_broker(folder, test):
        """The test's own text creates topics or asks for the seeds."""
        for path in glob.glob(os.path.join(folder, "*_test.go")):
            with open(path) as f:
                found = re.search(rf"^func {test}\(.*?^}}", f.read(), re.M | re.S)
            if found:
                return bool(re.search(r"newTestClient|tmpTopic|tmpNamedTopic|getSeedBrokers|testChain|runGroup", found.group(0)))
        return False

    def one(self, test):
        return ["-test.v", "-test.run", f"^{test}$", "-test.timeout", f"{self.seconds - 5}s"]

    def variables(self, ctx):
        return {"KGO_SEEDS": ctx.address, "KGO_TEST_RF": "1", "KGO_TEST_RECORDS": "10000"}

    def judge(self, test, code, output, seconds):
        if code == 0 and f"--- SKIP: {test} (" in output:
            return "absent", "it skips itself"
        return ended(code, output, seconds, self.seconds) if code in (0, None) else ("failed", self.first_complaint(output))

    @staticmethod
    def first_complaint(output):
        found = re.search(r"^\s+\w+_test\.go:\d+: (.*)$", output, re.M) or re.search(r"^panic: (.*)$", output, re.M)
        return found.group(1)[:300] if found else "failed"


class Tap(Suite):
    """A program that prints `ok N - name` and `not ok N - name # why`; `--list` prints names, arguments choose tests."""

    seconds_per_test = 60

    def program(self, ctx):
        raise NotImplementedError

    def variables(self, ctx):
        return {"BOOTSTRAP": ctx.address}

    def tests(self, ctx):
        code, output, _ = ctx.run([*self.program(ctx), "--list"], "list", 60, None, self.variables(ctx))
        if code != 0:
            raise RuntimeError(f"{self.name} cannot list its tests: {output[-300:]}")
        return output.split()

    def run(self, ctx, names):
        limit = 30 + self.seconds_per_test * len(names)
        code, output, _ = ctx.run([*self.program(ctx), *names], "tests", limit, None, self.variables(ctx))
        done = set()
        for ok, name, why, seconds in re.findall(r"^(ok|not ok) \d+ - (\S+)(?: # (.*?))?(?: \[([0-9.]+) s\])?$", output, re.M):
            done.add(name)
            yield Result(name, "passed" if ok == "ok" else "failed", why[:300], float(seconds or 0))
        for name in names:
            if name not in done:
                yield Result(name, "failed", f"no answer; the program ended with {code}")


class JavaClient(Tap):
    name = "java"
    origin = "our `agents/java/suite`: Admin, both producers, groups of both protocols"

    def version(self, ctx):
        return os.path.basename(glob.glob(os.path.join(ctx.home, "libs", "kafka-clients-[0-9]*.jar"))[0])[14:-4]

    def program(self, ctx):
        return ["java", "-Xmx512m", "-XX:+UseSerialGC", "-cp", f"{ctx.home}/classes:{ctx.home}/libs/*", "Main"]


class Node(Tap):
    name = "node"
    origin = "our `agents/node/suite.js`: groups, administration and transactions of kafkajs and @platformatic/kafka"

    def version(self, ctx):
        """Both libraries' versions."""
        versions = []
        for library in ("kafkajs", "@platformatic/kafka"):
            with open(os.path.join(ctx.home, "node_modules", library, "package.json")) as f:
                versions.append(json.load(f)["version"])
        return ", ".join(versions)

    def program(self, ctx):
        agents = os.path.join(os.path.dirname(ctx.lists), "agents", "node")
        return ["env", f"NODE_PATH={ctx.home}/node_modules", os.path.join(ctx.home, "venv", "bin", "node"), os.path.join(agents, "suite.js")]


class Differential(Tap):
    name = "differential"
    origin = "our `agents/java/diff`: the same requests to ringlog and to Kafka 4.3.1, answers compared field by field; what may differ: `suites/differential.allow`"
    judge = None

    def version(self, ctx):
        return os.path.basename(glob.glob(os.path.join(ctx.home, "libs", "kafka-clients-[0-9]*.jar"))[0])[14:-4]

    def program(self, ctx):
        allowed = os.path.join(ctx.lists, "differential.allow")
        return ["java", "-Xmx512m", "-XX:+UseSerialGC", "-cp", f"{ctx.home}/classes:{ctx.home}/libs/*", "Main", allowed]

    def variables(self, ctx):
        """Starts the Kafka that judges on first use."""
        if self.judge is None:
            data = os.path.join(ctx.data, "judge")
            os.mkdir(data)
            self.judge = RealKafka(ctx.jars, data, ctx.logs, self.environment)
            self.judge.start()
        return {"BOOTSTRAP": ctx.address, "JUDGE": self.judge.address}

    def close(self):
        if self.judge is not None:
            self.judge.stop()
