"""The list of a suite's tests: what must pass, what is passed over and why. One test a line:

    quick NAME              must pass, and belongs to the short part that the gate runs
    pass NAME               must pass
    skip NAME # reason      is not run unless asked for
"""

import os
from collections import OrderedDict

from reasons import explain

MUST_PASS = ("quick", "pass")


class Entry:
    """What the list says of one test."""

    def __init__(self, verdict, reason=""):
        self.verdict, self.reason = verdict, reason


class TestList:
    """A list file in memory. `head` keeps the comment lines at its top."""

    def __init__(self, path):
        self.path, self.head, self.entries = path, [], OrderedDict()
        if os.path.exists(path):
            with open(path) as f:
                for number, line in enumerate(f, 1):
                    self._take(line.rstrip("\n"), number)

    def _take(self, line, number):
        if line.startswith("#") or not line.strip():
            if not self.entries:
                self.head.append(line)
            return
        verdict, _, rest = line.partition(" ")
        name, _, reason = rest.strip().partition(" # ")
        if verdict not in (*MUST_PASS, "skip") or not name or (verdict == "skip" and not reason) or name in self.entries:
            raise ValueError(f"{self.path}:{number}: expected `quick NAME`, `pass NAME` or `skip NAME # reason`, each name once: {line}")
        self.entries[name.strip()] = Entry(verdict, reason.strip())

    def names(self, *verdicts):
        """Tests with one of these verdicts, in the order of the file."""
        return [n for n, e in self.entries.items() if e.verdict in verdicts]

    def learn(self, name, passed, why):
        """Writes down a result: what passes must pass from now on; what fails is passed over with its old reason, else with `why`."""
        entry = self.entries.get(name)
        if passed:
            self.entries[name] = Entry(entry.verdict if entry and entry.verdict in MUST_PASS else "pass")
        elif entry is None or entry.verdict != "skip" or entry.reason.startswith("fails: "):
            self.entries[name] = Entry("skip", explain(why))

    def write(self):
        """Writes the file back: head, then tests in their order."""
        with open(self.path, "w") as f:
            f.writelines(f"{line}\n" for line in self.head)
            for name, e in self.entries.items():
                f.write(f"{e.verdict} {name} # {e.reason}\n" if e.verdict == "skip" else f"{e.verdict} {name}\n")
