"""kcat, driven through its command line: no admin calls, no own timestamps, headers printed as one line."""

import json
import os
import subprocess
import tempfile
import time

from base import BOOTSTRAP, Base, Failure, b64, raw

END = b"\n#end-of-record#\n"
FORMAT = r"%p %o %T %K %S|%k%s%h\n#end-of-record#\n"
CODES = {"Message size too large": 10, "Broker failed to validate record": 87, "Unknown topic or partition": 3}


def kcat(*args, data=b""):
    """Output of a kcat run. Raises Failure with its last words."""
    done = subprocess.run(["kcat", "-b", BOOTSTRAP, *args], input=data, capture_output=True, timeout=50)
    if done.returncode != 0:
        text = done.stderr.decode(errors="replace").strip()
        raise Failure(next((c for t, c in CODES.items() if t in text), None), text[-300:])
    return done.stdout


def plain(r):
    """Can the record go through stdin as a `key<TAB>value` line?"""
    k, v = raw(r["k"]), raw(r["v"])
    return not r["h"] and k and v and not any(c in k + v for c in b"\t\n\r\x00")


class Kcat(Base):
    cannot = ["timestamps", "rendered_headers", "null_header_value", "binary_header", "empty_key", "binary_key", "empty_without_key"]

    def __init__(self):
        text = subprocess.run(["kcat", "-V"], capture_output=True, text=True).stdout
        version = text.split("Version ")[1].split()[0]
        self.version = f"{version} (librdkafka {text.split('librdkafka ')[1].split()[0]})"

    def op_list_topics(self):
        return {"topics": [t["topic"] for t in json.loads(kcat("-L", "-J"))["topics"]]}

    def op_describe_topic(self, topic):
        found = next(t for t in json.loads(kcat("-L", "-J", "-t", topic))["topics"] if t["topic"] == topic)
        parts = [
            {"id": p["partition"], "leader": p["leader"], "replicas": [x["id"] for x in p["replicas"]], "isr": [x["id"] for x in p["isrs"]]}
            for p in found["partitions"]
        ]
        return {"partitions": sorted(parts, key=lambda p: p["id"])}

    def op_describe_cluster(self):
        found = json.loads(kcat("-L", "-J"))
        nodes = []
        for b in found["brokers"]:
            host, port = b["name"].rsplit(":", 1)
            nodes.append({"id": b["id"], "host": host, "port": int(port)})
        return {"cluster_id": "not shown", "controller": found["controllerid"], "nodes": nodes}

    def op_produce(self, topic, records, codec="none", acks=None, idempotent=False):
        common = ["-P", "-t", topic, "-z", codec]
        if acks is not None:
            common += ["-X", f"acks={acks}"]
        if idempotent:
            common += ["-X", "enable.idempotence=true"]
        try:
            for p in sorted({r["p"] for r in records}):
                self.produce_partition([*common, "-p", str(p)], [r for r in records if r["p"] == p])
        except Failure as e:
            return {"results": [{"code": e.code, "error": str(e)} for _ in records]}
        return {"results": [{} for _ in records]}

    def produce_partition(self, common, records):
        """Runs of plain records go through one process, every other record through one of its own."""
        lines = []
        for r in [*records, None]:
            if r is not None and plain(r):
                lines.append(raw(r["k"]) + b"\t" + raw(r["v"]) + b"\n")
                continue
            if lines:
                kcat(*common, "-K", "\\t", data=b"".join(lines))
                lines = []
            if r is not None:
                self.produce_one(common, r)

    def produce_one(self, common, r):
        args = [a for n, x in r["h"] for a in ("-H", f"{n}={raw(x).decode()}")]
        if not r["v"]:
            # Only the key<TAB>value form takes an empty value; with -Z it becomes null.
            kcat(*common, *args, "-K", "\\t", *(["-Z"] if r["v"] is None else []), data=raw(r["k"]) + b"\t\n")
            return
        if r["k"] is not None:
            args += ["-k", raw(r["k"]).decode()]
        with tempfile.NamedTemporaryFile() as f:
            f.write(raw(r["v"]))
            f.flush()
            kcat(*common, *args, f.name)

    def op_consume(self, topic, partition, start, until, extra=()):
        where = "beginning" if start == "earliest" else str(start)
        first = 0 if start == "earliest" else start
        args = ["-C", "-q", "-t", topic, "-p", str(partition), "-o", where, "-e", "-f", FORMAT]
        data, out = kcat(*args, *extra), []
        while data:
            head, _, rest = data.partition(b"|")
            p, o, ts, key_len, value_len = map(int, head.split())
            k, rest = (None, rest) if key_len < 0 else (rest[:key_len], rest[key_len:])
            v, rest = (None, rest) if value_len < 0 else (rest[:value_len], rest[value_len:])
            headers, _, data = rest.partition(END)
            if first <= o < until:
                out.append({"p": p, "o": o, "ts": ts, "tt": None, "k": b64(k), "v": b64(v), "hr": b64(headers)})
        return {"records": out}

    def op_await_record(self, topic, partition, start, max_wait_ms):
        args = ["-C", "-q", "-t", topic, "-p", str(partition), "-o", str(start), "-c", "1", "-X", f"fetch.wait.max.ms={max_wait_ms}"]
        got = kcat(*args)
        return {"records": [got.decode()], "at": time.time()}

    def query(self, topic, partition, ts):
        text = kcat("-Q", "-t", f"{topic}:{partition}:{ts}").decode()
        return int(text.split("offset ")[1].split()[0])

    def op_watermarks(self, topic, partition):
        return {"begin": self.query(topic, partition, -2), "end": self.query(topic, partition, -1)}

    def op_offset_for_time(self, topic, partition, ts):
        found = self.query(topic, partition, ts)
        return {"offset": found if found >= 0 else None}


os.environ.setdefault("KCAT_CONFIG", "/dev/null")
Kcat().serve()
