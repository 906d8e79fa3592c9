"""Runs the client programs against a broker and prints one line per client and test, then the total."""

import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import cases
import matrix
import restart
from broker import Broker
from process import Agent, AgentError

_lock = threading.Lock()


class Results:
    """Collects and prints what happened."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures = []

    def add(self, client, version, test, verdict, why="", seconds=0.0):
        """verdict: passed, failed or n/a (the client has no such ability)."""
        with _lock:
            if verdict == "passed":
                self.passed += 1
            elif verdict == "failed":
                self.failed += 1
                self.failures.append((client, test, why))
            else:
                self.skipped += 1
                return
            print(f"{client:<18} {version:<34} {test:<26} {verdict:<7} {seconds:5.1f} s  {why}".rstrip(), flush=True)


def run_case(case, ctx, results):
    """One case with one client; whatever goes wrong is that case's failure alone."""
    agent, began = ctx.agent, time.monotonic()
    verdict, why = "passed", ""
    try:
        case(ctx)
    except cases.Skip:
        verdict = "n/a"
    except (AssertionError, AgentError) as e:
        verdict, why = "failed", str(e).replace("\n", " ")[:400]
    except Exception as e:
        traceback.print_exc()
        verdict, why = "failed", f"{type(e).__name__}: {e}"
    results.add(agent.name, agent.version, case.__name__, verdict, why, time.monotonic() - began)


def run_client(agent, helper, options, results):
    """All cases with one client."""
    ctx = cases.Context(agent, helper, options.bootstrap, options.settle)
    for case in cases.ALL:
        if not options.only or any(o in case.__name__ for o in options.only):
            run_case(case, ctx, results)


def run_script(name, command, bootstrap, results):
    """A script that prints `PASS test` and `FAIL test: why` lines by itself."""
    env = dict(os.environ, BOOTSTRAP=bootstrap)
    child = subprocess.Popen(command, stdout=subprocess.PIPE, env=env, text=True)
    version, count = "", 0
    for line in child.stdout:
        word, _, rest = line.strip().partition(" ")
        if word == "VERSION":
            version = rest
        elif word in ("PASS", "FAIL"):
            test, _, why = rest.partition(": ")
            results.add(name, version, test, "passed" if word == "PASS" else "failed", why)
            count += 1
    if child.wait() != 0 or count == 0:
        results.add(name, version, "script", "failed", f"exit code {child.returncode} after {count} tests")


def start_agents(commands, bootstrap, logs, results):
    """Starts every client; one that does not start is a failure of its own."""
    agents = []
    for name, command in commands.items():
        agent = Agent(name, command, bootstrap, logs)
        try:
            agent.start()
            agents.append(agent)
        except (AgentError, OSError) as e:
            results.add(name, "?", "start", "failed", f"{e} {' | '.join(agent.log_tail(3))}")
    return agents


def options_of(argv):
    """Command line; see run.sh for the usual way in."""
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--plan", required=True, help="JSON file: {agents: {name: command}, scripts: {name: command}}")
    p.add_argument("--broker", help="ringlog binary to start when BOOTSTRAP is not set")
    p.add_argument("--logs", required=True, help="directory for the clients' and the broker's output")
    p.add_argument("--only", action="append", help="run only tests whose name contains this; may be repeated")
    p.add_argument("--jobs", type=int, default=2, help="clients at work at the same time")
    p.add_argument("--settle", type=float, default=0.0, help="seconds to wait after creating a topic; Kafka shows it too early")
    p.add_argument("--no-matrix", action="store_true", help="leave out who reads what the others wrote")
    return p.parse_args(argv)


def run_all(options, plan, broker, results):
    """Every client, the matrix, the scripts; restarts only of a broker that is ours."""
    agents = start_agents(plan["agents"], options.bootstrap, options.logs, results)
    helper = Agent("helper", plan["helper"], options.bootstrap, options.logs)
    helper.start()
    turn = threading.Lock()
    call = helper.call

    def one_at_a_time(*args, **kwargs):
        with turn:
            return call(*args, **kwargs)

    helper.call = one_at_a_time
    try:
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for f in [pool.submit(run_client, a, helper, options, results) for a in agents]:
                f.result()
        if not options.no_matrix and not options.only:
            matrix.run(agents, helper, options, results)
        if not options.only:
            for name, command in plan["scripts"].items():
                run_script(name, command, options.bootstrap, results)
        if broker and (not options.only or "restart" in options.only):
            restart.run(broker, agents, helper, results)
    finally:
        for a in [*agents, helper]:
            a.stop()


def main(argv):
    """Exit code 0 only when nothing failed and something passed."""
    options = options_of(argv)
    os.makedirs(options.logs, exist_ok=True)
    with open(options.plan) as f:
        plan = json.load(f)
    results = Results()
    options.bootstrap = os.environ.get("BOOTSTRAP")
    print(f"{'client':<18} {'version':<34} {'test':<26} result", flush=True)
    if options.bootstrap:
        run_all(options, plan, None, results)
    else:
        with tempfile.TemporaryDirectory(prefix="ringlog-clients-", dir="/var/tmp") as data:
            broker = Broker(options.broker, data, options.logs)
            try:
                options.bootstrap = broker.start()
                run_all(options, plan, broker, results)
            except RuntimeError as e:
                results.add("broker", "", "start", "failed", str(e))
            finally:
                # Also what stopped the broker before its time.
                for why in broker.stop():
                    results.add("broker", "", "shutdown", "failed", why)
    if results.failures:
        print("\nfailed:")
        for client, test, why in results.failures:
            print(f"  {client} {test}: {why}")
    print(f"not possible with that client: {results.skipped}")
    print(f"clients: {results.passed} passed, {results.failed} failed", flush=True)
    return 0 if results.passed and not results.failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
