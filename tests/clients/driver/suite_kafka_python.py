"""The integration tests of kafka-python, run by pytest from its source package."""

import os
import xml.etree.ElementTree as xml

from suite_base import Result, Suite

TEST_SECONDS = 90


class KafkaPython(Suite):
    name = "kafka-python"
    origin = "PyPI source package, `test/integration` without SASL and TLS"
    # A test names broker 0.
    environment = {**Suite.environment, "KAFKA_NODE_ID": "0"}
    files = ("test_admin_integration.py", "test_consumer_integration.py", "test_producer_integration.py")

    def version(self, ctx):
        with open(os.path.join(ctx.home, "source", "PKG-INFO")) as f:
            return next(line.split()[1] for line in f if line.startswith("Version:"))

    def command(self, ctx, *words):
        return [os.path.join(ctx.home, "venv", "bin", "python"), "-m", "pytest", "-p", "no:cacheprovider", *words]

    def environment_of(self, ctx):
        return {"KAFKA_URI": f"kafka://{ctx.address}", "KAFKA_VERSION": "4.3.0", "KAFKA_ROOT": ctx.home, "PYTHONPATH": "."}

    def tests(self, ctx):
        paths = [f"test/integration/{f}" for f in self.files]
        _, output, _ = ctx.run(self.command(ctx, "--collect-only", "-q", *paths), "collect", 60, os.path.join(ctx.home, "source"), self.environment_of(ctx))
        return [line.strip().removeprefix("test/integration/") for line in output.splitlines() if "::" in line]

    def run(self, ctx, names):
        """All in one pytest: its start costs more than most tests."""
        report = os.path.join(ctx.logs, "junit.xml")
        if os.path.exists(report):
            os.unlink(report)
        command = self.command(ctx, "-q", f"--timeout={TEST_SECONDS}", "--timeout-method=signal", f"--junitxml={report}", *[f"test/integration/{n}" for n in names])
        code, output, _ = ctx.run(command, "pytest", 60 + 20 * len(names), os.path.join(ctx.home, "source"), self.environment_of(ctx))
        if not os.path.exists(report):
            for name in names:
                yield Result(name, "failed", f"pytest ended with {code}: {output[-200:]}")
            return
        for case in xml.parse(report).getroot().iter("testcase"):
            name = f"{case.get('classname').split('.')[-1]}.py::{case.get('name')}"
            yield Result(name, *self.verdict(case), float(case.get("time", 0)))

    @staticmethod
    def verdict(case):
        for kind in ("failure", "error", "skipped"):
            found = case.find(kind)
            if found is not None:
                return "absent" if kind == "skipped" else "failed", (found.get("message") or kind)[:300]
        return "passed", ""
