"""Runs suites against ringlog or a real Kafka, compares the results with the lists, and writes the scoreboard."""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time

import table
from broker import Broker
from lists import MUST_PASS, TestList
from real_kafka import RealKafka
from suite_base import Context
from suite_kafka_python import KafkaPython
from suite_librdkafka import Librdkafka, LibrdkafkaNoAutoCreate
from suite_programs import Differential, FranzGo, JavaClient, Node

SUITES = {s.name: s for s in (KafkaPython, Librdkafka, LibrdkafkaNoAutoCreate, JavaClient, Differential, FranzGo, Node)}


def options_of(argv):
    """Command line; see suites.sh for the usual way in."""
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("suites", nargs="*", help="which; none named = all")
    p.add_argument("--here", required=True, help="tests/clients")
    p.add_argument("--work", required=True, help="directory of what was installed")
    p.add_argument("--broker", choices=("ringlog", "kafka"), default="ringlog")
    p.add_argument("--binary", help="ringlog binary")
    p.add_argument("--jars", help="directory with a real Kafka's jars")
    p.add_argument("--quick", action="store_true", help="only tests marked quick")
    p.add_argument("--all", action="store_true", help="also those that the list passes over, and those it does not know")
    p.add_argument("--update", action="store_true", help="write results into the lists (with --all: learn new tests)")
    p.add_argument("--only", action="append", help="only tests whose name contains this; may be repeated")
    p.add_argument("--table", action="store_true", help="run nothing; write the scoreboard into README.md")
    options = p.parse_args(argv)
    options.here, options.work = os.path.abspath(options.here), os.path.abspath(options.work)
    return options


class Run:
    """One suite on one fresh broker."""

    def __init__(self, suite, options):
        self.suite, self.options = suite, options
        self.list = TestList(os.path.join(options.here, "suites", f"{suite.name}.list"))
        self.complaints = []

    def chosen(self, ctx):
        """Tests to run, in order."""
        o = self.options
        if o.quick:
            names = self.list.names("quick")
        elif o.all:
            known = self.suite.tests(ctx)
            for gone in [n for n in self.list.entries if n not in known]:
                self.complaints.append(f"{gone} is in the list, but not in the suite")
            names = known
        else:
            names = self.list.names(*MUST_PASS)
        return [n for n in names if not o.only or any(part in n for part in o.only)]

    def broker(self, data, logs):
        if self.options.broker == "kafka":
            return RealKafka(self.options.jars, data, logs, self.suite.environment)
        return Broker(self.options.binary, data, logs, environment=self.suite.environment)

    def execute(self):
        """Runs it and prints a line per test. Returns the results."""
        logs = os.path.join(self.options.work, "logs", f"{self.suite.name}-{self.options.broker}")
        shutil.rmtree(logs, ignore_errors=True)
        os.makedirs(logs)
        home = os.path.join(self.options.work, "suites", self.suite.name.removesuffix("-noautocreate"))
        results = []
        with tempfile.TemporaryDirectory(prefix="ringlog-suite-", dir="/var/tmp") as data:
            broker = self.broker(data, logs)
            ctx = Context(home, broker.address, logs, data, os.path.join(self.options.here, "suites"), self.options.jars)
            try:
                broker.start()
                names = self.chosen(ctx)
                print(f"== {self.suite.name} {self.suite.version(ctx)} against {self.options.broker}: {len(names)} tests", flush=True)
                for result in self.suite.run(ctx, names) if names else ():
                    results.append(result)
                    print(f"{self.suite.name:<22} {result.name:<70} {result.verdict:<7} {result.seconds:6.1f} s  {result.why}".rstrip(), flush=True)
            except RuntimeError as e:
                self.complaints.append(str(e))
            finally:
                self.suite.close()
                self.complaints += broker.stop()
        self.keep(results, self.suite.version(ctx))
        return results

    def judge(self, results):
        """Compares with the list; only ringlog is held to it."""
        failed = fresh = 0
        for r in results:
            entry = self.list.entries.get(r.name)
            must = entry is not None and entry.verdict in MUST_PASS
            if must and r.verdict != "passed":
                self.complaints.append(f"{r.name} must pass: {r.verdict}: {r.why}")
                failed += 1
            elif r.verdict == "passed" and not must:
                fresh += 1
                print(f"newly passes: {self.suite.name} {r.name}" + (f" (was: {entry.reason})" if entry else ""))
            elif entry is None:
                self.complaints.append(f"{r.name} is not in the list: {r.verdict}: {r.why}")
        return failed, fresh

    def learn(self, results):
        """Writes the list anew; `absent` tests are passed over with what the suite said."""
        for r in results:
            self.list.learn(r.name, r.verdict == "passed", f"skips itself: {r.why}" if r.verdict == "absent" else r.why)
        self.list.write()

    def keep(self, results, version):
        """Results as JSON: every test for the reader of a run, the sums for the table (only of a whole run)."""
        where = os.path.join(self.options.work, "results")
        os.makedirs(where, exist_ok=True)
        name = f"{self.suite.name}.{self.options.broker}.json"
        with open(os.path.join(where, name), "w") as f:
            json.dump({"suite": self.suite.name, "version": version, "broker": self.options.broker, "day": time.strftime("%Y-%m-%d"), "results": [r.as_json() for r in results]}, f, indent=1)
        if results and self.options.all and not self.options.only:
            table.record(self.options.here, self.suite, version, self.options.broker, results)


def main(argv):
    """Exit code 0 only when every listed test passed."""
    options = options_of(argv)
    # So that what was started is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    complaints, passed = [], 0
    for name in [] if options.table else options.suites or list(SUITES):
        run = Run(SUITES[name](), options)
        results = run.execute()
        passed += sum(r.verdict == "passed" for r in results)
        if options.broker == "ringlog":
            if options.update:
                run.learn(results)
            else:
                run.judge(results)
            complaints += [f"{name}: {c}" for c in run.complaints]
        else:
            complaints += [f"{name}: {c}" for c in run.complaints if "broker" in c]
    if options.table or options.update or (options.all and not options.only):
        table.write(options.here, SUITES.values())
    for c in complaints:
        print(f"WRONG {c}")
    print(f"suites: {passed} passed, {len(complaints)} wrong", flush=True)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
