"""What all suites share: a result, and commands that end in time."""

import os
import signal
import subprocess
import time


class Result:
    """One test's end. verdict: passed, failed, or absent (the suite itself passed it over; `why` is what it said)."""

    def __init__(self, name, verdict, why="", seconds=0.0):
        self.name, self.verdict, self.why, self.seconds = name, verdict, why, seconds

    def as_json(self):
        return {"test": self.name, "verdict": self.verdict, "why": self.why, "seconds": round(self.seconds, 2)}


class Context:
    """Where a suite finds its files and the broker. `logs` gets one file per command; `data` is empty and goes away; `lists` is suites/."""

    def __init__(self, home, address, logs, data, lists, jars):
        self.home, self.address, self.logs, self.data = home, address, logs, data
        self.lists, self.jars = lists, jars

    @property
    def host(self):
        return self.address.split(":")[0]

    @property
    def port(self):
        return int(self.address.split(":")[1])

    def run(self, command, label, seconds, cwd=None, env=None):
        """Runs a command to its end or for `seconds`. Returns (exit code or None when it was killed, its output, seconds)."""
        path = os.path.join(self.logs, "".join(c if c.isalnum() or c in "-_." else "_" for c in label)[:120] + ".log")
        began = time.monotonic()
        with open(path, "wb") as out:
            child = subprocess.Popen(command, cwd=cwd, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})}, start_new_session=True)
            try:
                code = child.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                # Also what the command left behind.
                try:
                    os.killpg(child.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                child.wait()
        with open(path, errors="replace") as f:
            return code, f.read(), time.monotonic() - began


class Suite:
    """A suite of tests made by others, or by us for another library.

    `name` names its list file and its folder; `origin` tells where it comes from; `environment` is set for the broker."""

    name = origin = ""
    environment = {"KAFKA_NUM_PARTITIONS": "4", "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0"}

    def version(self, ctx):
        """Version of the suite, for the table."""
        raise NotImplementedError

    def tests(self, ctx):
        """Names of all tests that want a broker."""
        raise NotImplementedError

    def run(self, ctx, names):
        """Runs these tests; yields a Result for each, in any order."""
        raise NotImplementedError

    def close(self):
        """Ends what the suite started beside its tests."""


def ended(code, output, seconds, limit):
    """Verdict and reason for a command whose exit code says it all; the reason is its last line."""
    if code == 0:
        return "passed", ""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    last = lines[-1] if lines else "no output"
    return "failed", f"no end within {limit} s" if code is None else last[:300]
