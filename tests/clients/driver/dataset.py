"""The records every client writes and reads, and how to compare them exactly.

A record is a dict: p partition, ts milliseconds, k key, v value, h headers; bytes travel as base64, None is null.
Records read back also have o (offset) and tt ("create", "append", or None when the client does not tell).
"""

import base64
import random

BASE_TS = 1_760_000_000_000
"""Fixed create time of the first record (October 2025), so that reruns compare equal."""


def b64(data):
    """Base64 text of bytes (or str), None for None."""
    if data is None:
        return None
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def record(p, ts, k, v, h=()):
    """One record of the common form."""
    return {"p": p, "ts": ts, "k": b64(k), "v": b64(v), "h": [[n, b64(x)] for n, x in h]}


def noise(seed, size):
    """Incompressible bytes, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def golden():
    """Every shape of record that has broken a broker or a client before, on three partitions."""
    every_byte = bytes(range(256))
    shapes = [
        ("k1", "plain text", []),
        (None, "null key", []),
        ("tombstone", None, []),
        ("empty value", "", []),
        ("", "empty key", []),
        ("", "", []),
        (None, "", []),
        (None, None, []),
        (every_byte, every_byte[::-1], []),
        ("schlüssel-鍵", "wert-値-🦀", []),
        ("one header", "v", [("trace", "abc")]),
        ("duplicate headers", "v", [("a", "1"), ("b", "2"), ("a", "3"), ("a", "1")]),
        ("null header", "v", [("n", None), ("x", "y")]),
        ("empty header", "v", [("e", "")]),
        ("binary header", "v", [("bin", every_byte)]),
        ("unicode header", "v", [("naïve-鍵", "値")]),
        ("tombstone with header", None, [("why", "deleted")]),
        ("many headers", "v", [(f"h{i:02}", f"value {i}") for i in range(64)]),
        ("compressible", b"log line with the same words; " * 400, []),
        ("incompressible", noise(7, 20_000), []),
        ("a separator, then\tmore\n", "line one\nline two\r\n\x00end", [("h", "k=v,x=y")]),
    ]
    out = []
    for i, (k, v, h) in enumerate(shapes):
        # Timestamps go back and forth inside a batch: brokers may not assume they grow.
        out.append(record(i % 3, BASE_TS + (i * 7919) % 5000, k, v, h))
    out.append(record(0, 1, "the year 1970", "old", []))
    out.append(record(1, BASE_TS + 10**10, "far from the base", "delta above 32 bit", []))
    return out


def writable(records, cannot):
    """The records that a client with these limits can write."""
    out = []
    for r in records:
        if "null_key_and_value" in cannot and r["k"] is None and r["v"] is None:
            continue
        if "null_header_value" in cannot and any(x is None for _, x in r["h"]):
            continue
        if "duplicate_headers" in cannot and len({n for n, _ in r["h"]}) < len(r["h"]):
            continue
        if "binary_header" in cannot and r["h"] and not all(_is_text(x) for _, x in r["h"]):
            continue
        if "wide_time_delta" in cannot and abs(r["ts"] - BASE_TS) >= 2**31:
            continue
        if "empty_without_key" in cannot and not r["v"] and r["k"] is None:
            continue
        if "empty_key" in cannot and r["k"] == "":
            continue
        if "binary_key" in cannot and not _is_argument(r["k"]):
            continue
        if "header_order" in cannot:
            r = dict(r, h=_grouped(r["h"]))
        out.append(r)
    return out


def _is_text(x):
    raw = base64.b64decode(x) if x is not None else b""
    try:
        return "\x00" not in raw.decode()
    except UnicodeDecodeError:
        return False


def _is_argument(k):
    """Can the key be a command line argument?"""
    return k is None or _is_text(k)


def _grouped(headers):
    """Headers as a client with a map of lists sees them: order kept within a name only."""
    names = {}
    for n, x in headers:
        names.setdefault(n, []).append(x)
    return [[n, x] for n, xs in names.items() for x in xs]


def _name(header):
    return header[0]


def _rendered(headers):
    """Headers as one line, the only form kcat prints; it ends a value at a zero byte."""
    return b64(b",".join(n.encode() + b"=" + (b"NULL" if x is None else base64.b64decode(x).split(b"\0")[0]) for n, x in headers))


def _short(value):
    text = repr(value)
    return text if len(text) < 90 else text[:60] + f"...({len(text)} characters)"


def expect(got, sent, partition, writer_cannot=(), reader_cannot=(), base=0, now=None, append=None):
    """Compares what was read from one partition with what was sent to it, field by field, in order.

    now: (from, to) milliseconds allowed where the writer cannot set create times; append: the same for LogAppendTime.
    """
    want = [r for r in sent if r["p"] == partition]
    assert len(got) == len(want), f"partition {partition}: {len(got)} records read, {len(want)} written"
    for i, (g, w) in enumerate(zip(got, want)):
        where = f"partition {partition} record {i}"
        assert g["o"] == base + i, f"{where}: offset {g['o']}, expected {base + i}"
        assert g["p"] == partition, f"{where}: came as partition {g['p']}"
        assert g["k"] == w["k"], f"{where}: key {_short(g['k'])}, expected {_short(w['k'])}"
        assert g["v"] == w["v"], f"{where}: value {_short(g['v'])}, expected {_short(w['v'])}"
        check_headers(where, g, w, reader_cannot)
        check_time(where, g, w, "timestamps" in writer_cannot, now, append)


def check_headers(where, got, want, reader_cannot):
    """Headers, in order, duplicates and nulls kept, as far as the reader shows them."""
    if "rendered_headers" in reader_cannot:
        have, need = got["hr"], _rendered(want["h"])
    elif "duplicate_headers" in reader_cannot:
        # A map of single values: the last of equal names stays, null becomes empty.
        have, need = dict(map(tuple, got["h"])), {n: x or "" for n, x in want["h"]}
    elif "header_order" in reader_cannot:
        have, need = sorted(_grouped(got["h"]), key=_name), sorted(_grouped(want["h"]), key=_name)
    else:
        have, need = got["h"], want["h"]
    assert have == need, f"{where}: headers {_short(have)}, expected {_short(need)}"


def check_time(where, got, want, clock_of_writer, now, append):
    """Timestamp and its type."""
    kind = "append" if append else "create"
    assert got.get("tt") in (None, kind), f"{where}: timestamp type {got['tt']}, expected {kind}"
    if append or clock_of_writer:
        low, high = append or now
        assert low - 2000 <= got["ts"] <= high + 2000, f"{where}: timestamp {got['ts']} outside {low}..{high}"
    else:
        assert got["ts"] == want["ts"], f"{where}: timestamp {got['ts']}, expected {want['ts']}"
