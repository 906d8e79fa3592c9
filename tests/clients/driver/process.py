"""A client under test: a child process that answers one JSON request per line with one JSON line."""

import collections
import json
import os
import queue
import subprocess
import threading


class AgentError(Exception):
    """What the client library reported: code is the Kafka error code, or None when it named none."""

    def __init__(self, op, code, detail):
        super().__init__(f"{op}: error {code}: {detail}")
        self.code = code


class Agent:
    """Runs the client program, restarts it when it hangs or dies, so that one bad test does not take the others along."""

    def __init__(self, name, command, bootstrap, log_dir):
        self.name, self.command, self.bootstrap = name, command, bootstrap
        self.log_path = os.path.join(log_dir, f"{name}.log")
        self.child = None
        self.version, self.ops, self.codecs, self.cannot = "?", [], [], []

    def start(self):
        """Starts the process and learns what the client can do. Raises AgentError when it does not come up."""
        env = dict(os.environ, BOOTSTRAP=self.bootstrap)
        self.log = open(self.log_path, "ab")
        self.child = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, env=env, start_new_session=True
        )
        self.lines = queue.Queue()
        threading.Thread(target=self._read, args=(self.child.stdout, self.lines), daemon=True).start()
        about = self.call("hello", _timeout=60)
        self.version, self.ops = about["version"], about["ops"]
        self.codecs, self.cannot = about["codecs"], about["cannot"]

    @staticmethod
    def _read(pipe, lines):
        for line in pipe:
            lines.put(line)
        lines.put(None)

    def send(self, op, **args):
        """Sends a request without waiting for its answer."""
        if self.child is None or self.child.poll() is not None:
            self.start()
        try:
            self.child.stdin.write(json.dumps({"op": op, **args}).encode() + b"\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            raise AgentError(op, None, f"client process died, see {self.log_path}") from None

    def receive(self, op, timeout):
        """The answer to the request sent last."""
        try:
            line = self.lines.get(timeout=timeout)
        except queue.Empty:
            self.stop()
            raise AgentError(op, None, f"no answer within {timeout} s") from None
        if line is None:
            self.stop()
            raise AgentError(op, None, f"client process died, see {self.log_path}")
        reply = json.loads(line)
        if "error" in reply:
            raise AgentError(op, reply.get("code"), reply["error"])
        return reply

    def call(self, op, _timeout=60, **args):
        """One request and its answer. Raises AgentError with what the client library said."""
        self.send(op, **args)
        return self.receive(op, _timeout)

    def stop(self):
        """Ends the process; its next use starts it again."""
        if self.child is None:
            return
        try:
            self.child.stdin.close()
            self.child.wait(timeout=3)
        except (OSError, subprocess.TimeoutExpired):
            self.child.kill()
            self.child.wait()
        self.log.close()
        self.child = None

    def log_tail(self, lines=8):
        """Last lines the client library logged, for the failure report."""
        try:
            with open(self.log_path, "rb") as f:
                return [x.decode(errors="replace").rstrip() for x in collections.deque(f, lines)]
        except OSError:
            return []
