"""Common part of the Python client programs: requests in on stdin, answers out on stdout, one JSON object a line."""

import base64
import json
import os
import sys
import traceback

BOOTSTRAP = os.environ["BOOTSTRAP"]
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def b64(data):
    """Base64 text, None for null."""
    return None if data is None else base64.b64encode(data).decode()


def raw(text):
    """Bytes of base64 text, None for null."""
    return None if text is None else base64.b64decode(text)


def headers_in(record):
    """Headers of a request record as (name, bytes or None) pairs."""
    return [(n, raw(x)) for n, x in record["h"]]


def read(p, o, ts, tt, k, v, h):
    """A record read back, in the common form."""
    return {"p": p, "o": o, "ts": ts, "tt": tt, "k": b64(k), "v": b64(v), "h": [[n, b64(x)] for n, x in h]}


class Failure(Exception):
    """An error with the Kafka error code the library gave."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


class Base:
    """Subclasses add op_NAME methods; those present are the client's abilities."""

    version = "?"
    codecs = CODECS
    cannot = []
    absent = []

    def code_of(self, error):
        """Kafka error code of a library exception, None if it has none."""
        return getattr(error, "errno", None)

    def op_hello(self):
        ops = [n[3:] for n in dir(self) if n.startswith("op_") and n[3:] not in self.absent]
        return {"version": self.version, "ops": ops, "codecs": self.codecs, "cannot": self.cannot}

    def serve(self):
        """Answers requests until stdin closes."""
        out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        for line in sys.stdin:
            request = json.loads(line)
            op = request.pop("op")
            try:
                reply = getattr(self, "op_" + op)(**request) or {}
            except Failure as e:
                reply = {"error": str(e), "code": e.code}
            except Exception as e:
                traceback.print_exc()
                reply = {"error": f"{type(e).__name__}: {e}", "code": self.code_of(e)}
            out.write(json.dumps(reply) + "\n")
            out.flush()
        # Some libraries leave threads behind that never end.
        os._exit(0)
