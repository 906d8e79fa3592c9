"""Starts and stops the broker under test on a fresh data directory."""

import os
import signal
import socket
import subprocess
import time


def free_port():
    """A port nobody listens on right now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(host, port):
    """Does a broker answer ApiVersions there? A connection alone proves little: the kernel keeps the socket of a killed one for a while."""
    try:
        with socket.create_connection((host, port), timeout=1) as s:
            s.sendall(bytes.fromhex("0000000a" + "00120000" + "00000001" + "0000"))
            return s.recv(1) != b""
    except OSError:
        return False


class Broker:
    """One `ringlog start` process."""

    # Exit codes of an orderly end, and seconds for a start.
    clean = (0,)
    patience = 20

    def __init__(self, binary, data_dir, log_dir, environment=None):
        self.command = [binary, "start", "--data-dir", os.path.join(data_dir, "data")]
        self.environment = {**os.environ, **(environment or {})}
        self.address = f"127.0.0.1:{free_port()}"
        self.log_path = os.path.join(log_dir, "broker.log")
        self.child = None

    def command_line(self):
        """What to execute, on each start."""
        return [*self.command, "--listen", self.address, "--advertise", self.address, "--admin", f"127.0.0.1:{free_port()}"]

    def start(self):
        """Starts the broker and waits until it listens. Returns host:port; raises RuntimeError with its last words."""
        address, command = self.address, self.command_line()
        self.log = open(self.log_path, "ab")
        self.child = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=self.environment, start_new_session=True)
        host, port = address.split(":")
        for _ in range(10 * self.patience):
            if self.child.poll() is not None:
                break
            if answers(host, int(port)):
                return address
            time.sleep(0.1)
        with open(self.log_path, errors="replace") as f:
            raise RuntimeError(f"broker did not start: {' '.join(command)}\n{f.read()[-2000:]}")

    def restart(self, kill):
        """Ends the broker, by SIGKILL or by SIGTERM, and starts it on the same data and address."""
        self.child.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            code = self.child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            raise RuntimeError("broker did not leave within 20 s") from None
        if not kill and code != 0:
            raise RuntimeError(f"broker left with code {code} after SIGTERM, see {self.log_path}")
        self.log.close()
        self.start()

    def stop(self):
        """Ends the broker by SIGTERM. Returns what was wrong about its end, nothing when all was well."""
        if self.child is None:
            return []
        wrong = []
        if self.child.poll() is not None:
            wrong.append(f"broker ended during the tests with code {self.child.returncode}, see {self.log_path}")
        else:
            self.child.send_signal(signal.SIGTERM)
            try:
                code = self.child.wait(timeout=20)
                if code not in self.clean:
                    wrong.append(f"broker left with code {code} after SIGTERM, see {self.log_path}")
            except subprocess.TimeoutExpired:
                self.child.kill()
                wrong.append("broker did not leave within 20 s of SIGTERM")
        self.log.close()
        with open(self.log_path, errors="replace") as f:
            wrong += [f"broker log: {line.strip()[:300]}" for line in f if "panicked at" in line][:5]
        return wrong
