"""What every client must be able to do with a broker. One function per behaviour; each uses its own topics."""

import itertools
import subprocess
import time

from dataset import BASE_TS, expect, golden, noise, record, writable
from process import AgentError

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
TOPIC_ALREADY_EXISTS, UNKNOWN_TOPIC, MESSAGE_TOO_LARGE = 36, 3, 10
INVALID_CONFIG, INVALID_PARTITIONS, INVALID_RECORD, OFFSET_OUT_OF_RANGE, INVALID_TOPIC = 40, 37, 87, 1, 17
_numbers = itertools.count()
RUN = f"{int(time.time()) % 1_000_000}"


class Skip(Exception):
    """The client cannot do what the case needs; it says nothing about the broker."""


class Context:
    """One client in one case: calls, topic names, and a second client for what this one cannot do."""

    def __init__(self, agent, helper, bootstrap, settle):
        self.agent, self.helper, self.bootstrap, self.settle = agent, helper, bootstrap, settle

    def need(self, *ops):
        """Skips the case unless the client has these operations."""
        for op in ops:
            if op not in self.agent.ops:
                raise Skip(op)

    def call(self, op, **args):
        """An operation of the client, or of the helper where the client has no such thing."""
        agent = self.agent if op in self.agent.ops else self.helper
        return agent.call(op, **args)

    def name(self):
        """A topic name never used before."""
        return f"clients-{RUN}-{self.agent.name}-{next(_numbers)}"

    def topic(self, partitions=1, configs=None):
        """A new topic that keeps records of any age."""
        name = self.name()
        self.call("create_topic", topic=name, partitions=partitions, configs={"retention.ms": "-1", **(configs or {})})
        time.sleep(self.settle)
        return name

    def produce(self, topic, records, **how):
        """Writes records; fails unless each was acknowledged at an offset that follows the one before."""
        results = self.call("produce", topic=topic, records=records, **how)["results"]
        for r, sent in zip(results, records):
            assert "error" not in r, f"produce failed: {r}"
            assert r.get("p", sent["p"]) == sent["p"], f"asked for partition {sent['p']}, went to {r['p']}"
        return results

    def consume(self, topic, partition, until, start="earliest"):
        """Reads a partition up to offset `until`, exclusive."""
        return self.call("consume", topic=topic, partition=partition, start=start, until=until)["records"]

    def check(self, topic, records, base=None, **times):
        """Reads every partition that has records and compares each field."""
        for p in sorted({r["p"] for r in records}):
            first = (base or {}).get(p, 0)
            count = sum(r["p"] == p for r in records)
            got = self.consume(topic, p, first + count, start=first if base else "earliest")
            expect(got, records, p, self.agent.cannot, self.agent.cannot, base=first, **times)


def plain(count, partitions=1, size=20):
    """Small distinct records spread over partitions."""
    return [record(i % partitions, BASE_TS + i, f"k{i}", f"value {i} ".ljust(size, "."), []) for i in range(count)]


def fails_with(code, call, *args, **kwargs):
    """Asserts that the call is refused with this Kafka error code."""
    try:
        call(*args, **kwargs)
    except AgentError as e:
        assert e.code == code, f"expected error {code}, got {e}"
        return
    raise AssertionError(f"expected error {code}, but it succeeded")


def now_ms():
    """Wall clock in milliseconds, as clients stamp records."""
    return int(time.time() * 1000)


def timed(ctx, topic, records, **how):
    """Produces and checks with the time window a client without own timestamps needs."""
    t0 = now_ms()
    ctx.produce(topic, records, **how)
    ctx.check(topic, records, now=(t0, now_ms()))


def cluster(ctx):
    """The cluster names itself, its brokers at the address used, and a live controller."""
    ctx.need("describe_cluster")
    found = ctx.call("describe_cluster")
    assert found["cluster_id"], "no cluster id"
    addresses = [f"{n['host']}:{n['port']}" for n in found["nodes"]]
    assert ctx.bootstrap in addresses, f"{ctx.bootstrap} is not among {addresses}"
    if "controller" in found:
        assert found["controller"] in [n["id"] for n in found["nodes"]], f"controller {found['controller']} is no broker"


def create_topic(ctx):
    """A created topic is listed and described, has leaders at once, and cannot be created twice."""
    ctx.need("create_topic")
    topic = ctx.topic(3)
    assert topic in ctx.call("list_topics")["topics"], "created topic is not listed"
    parts = ctx.call("describe_topic", topic=topic)["partitions"]
    assert [p["id"] for p in parts] == [0, 1, 2], f"partitions {parts}"
    for p in parts:
        assert p["leader"] >= 0 and p["leader"] in p["replicas"] and p["isr"] == p["replicas"], f"partition {p}"
    fails_with(TOPIC_ALREADY_EXISTS, ctx.call, "create_topic", topic=topic, partitions=3, configs={})


def unknown_topic(ctx):
    """Deleting a topic that is not there says so."""
    ctx.need("delete_topic")
    fails_with(UNKNOWN_TOPIC, ctx.call, "delete_topic", topic=ctx.name())


def auto_create(ctx):
    """Writing to a topic that is not there creates it."""
    if "auto_create" in ctx.agent.cannot:
        raise Skip("auto_create")
    topic, records = ctx.name(), [record(0, now_ms(), "k", "v", [])]
    timed(ctx, topic, records)
    parts = ctx.call("describe_topic", topic=topic)["partitions"]
    assert len(parts) >= 1, "auto-created topic without partitions"


def roundtrip(codec):
    """Every shape of record comes back exactly, compressed with this codec."""

    def case(ctx):
        if codec not in ctx.agent.codecs:
            raise Skip(codec)
        timed(ctx, ctx.topic(3), writable(golden(), ctx.agent.cannot), codec=codec)

    case.__name__, case.__doc__ = f"roundtrip_{codec}", f"Every shape of record comes back exactly, {codec}."
    return case


def idempotent(ctx):
    """An idempotent producer writes several times without loss or duplicate."""
    if "idempotence" in ctx.agent.cannot:
        raise Skip("idempotence")
    topic, records, t0 = ctx.topic(2), plain(300, 2), now_ms()
    for i in range(0, 300, 50):
        ctx.produce(topic, records[i : i + 50], idempotent=True)
    ctx.check(topic, records, now=(t0, now_ms()))
    assert ctx.call("watermarks", topic=topic, partition=0) == {"begin": 0, "end": 150}


def big_record(ctx):
    """A record of 900 KiB, between small ones."""
    records = plain(2) + [record(0, BASE_TS + 9, "big", noise(3, 900 * 1024), [])] + plain(2)
    timed(ctx, ctx.topic(), records)


def many(ctx):
    """10,000 records on two partitions: offsets without gaps, order kept."""
    timed(ctx, ctx.topic(2), plain(10_000, 2, size=100))


def too_large(ctx):
    """A batch above max.message.bytes is refused as MESSAGE_TOO_LARGE; the same producer goes on."""
    topic = ctx.topic(configs={"max.message.bytes": "51200"})
    before, after, t0 = plain(3), plain(2), now_ms()
    ctx.produce(topic, before)
    reply = ctx.call("produce", topic=topic, records=[record(0, BASE_TS, "k", noise(1, 100_000), [])])["results"][0]
    assert reply.get("code") == MESSAGE_TOO_LARGE, f"expected MESSAGE_TOO_LARGE, got {reply}"
    ctx.produce(topic, after)
    ctx.check(topic, before + after, now=(t0, now_ms()))


def acks(level):
    """acks=level: written, read back, and the connection stays in step."""

    def case(ctx):
        if f"acks_{level}" in ctx.agent.cannot:
            raise Skip(f"acks {level}")
        topic, records, t0 = ctx.topic(2), plain(60, 2), now_ms()
        for i in range(0, 60, 20):
            ctx.call("produce", topic=topic, records=records[i : i + 20], acks=level)
        ctx.check(topic, records, now=(t0, now_ms()))

    case.__name__, case.__doc__ = f"acks_{level}".replace("-1", "all"), f"acks={level}: written and read back."
    return case


def offsets(ctx):
    """First and next offset of an empty, a filled and an untouched partition."""
    ctx.need("watermarks")
    topic = ctx.topic(2)
    assert ctx.call("watermarks", topic=topic, partition=0) == {"begin": 0, "end": 0}
    ctx.produce(topic, plain(25))
    assert ctx.call("watermarks", topic=topic, partition=0) == {"begin": 0, "end": 25}
    assert ctx.call("watermarks", topic=topic, partition=1) == {"begin": 0, "end": 0}


def offset_for_time(ctx):
    """The first record at or after a time, to the record, inside compressed batches and with unordered times."""
    ctx.need("offset_for_time")
    writer = ctx.helper if "timestamps" in ctx.agent.cannot else ctx.agent
    times = [10, 20, 30, 40, 50, 45, 35, 90, 60]
    codec = "gzip" if "gzip" in writer.codecs else "none"
    topic = ctx.topic()
    for part in (times[:5], times[5:]):
        records = [record(0, BASE_TS + t, None, f"at {t}", []) for t in part]
        writer.call("produce", topic=topic, records=records, codec=codec)
    for asked, want in [(0, 0), (10, 0), (11, 1), (30, 2), (50, 4), (51, 7), (90, 7), (91, None)]:
        found = ctx.call("offset_for_time", topic=topic, partition=0, ts=BASE_TS + asked)
        assert found["offset"] == want, f"asked for +{asked} ms: offset {found['offset']}, expected {want}"
        if found.get("ts") is not None and want is not None:
            assert found["ts"] == BASE_TS + times[want], f"asked for +{asked} ms: timestamp {found['ts'] - BASE_TS:+}"


def max_timestamp(ctx):
    """ListOffsets answers the record with the largest time, earliest and latest, with the record's own time."""
    ctx.need("list_offsets")
    topic = ctx.topic()
    ctx.produce(topic, [record(0, BASE_TS + t, None, f"at {t}", []) for t in (10, 70, 30)])
    ctx.produce(topic, [record(0, BASE_TS + 50, None, "later, but older", [])])
    wants = {"earliest": 0, "latest": 4, "max_timestamp": 1, str(BASE_TS + 31): 1}
    for spec, want in wants.items():
        found = ctx.call("list_offsets", topic=topic, partition=0, spec=spec)
        assert found["offset"] == want, f"{spec}: offset {found['offset']}, expected {want}"
        if spec == "max_timestamp" and found.get("ts") is not None:
            assert found["ts"] == BASE_TS + 70, f"{spec}: timestamp {found['ts'] - BASE_TS:+}"


def seek_middle(ctx):
    """Reading from the middle of a batch starts exactly there."""
    topic, records, t0 = ctx.topic(), plain(100), now_ms()
    ctx.produce(topic, records)
    got = ctx.consume(topic, 0, 100, start=57)
    expect(got, records[57:], 0, ctx.agent.cannot, ctx.agent.cannot, base=57, now=(t0, now_ms()))


def configs(ctx):
    """Configs are described with defaults, altered, and unknown ones refused."""
    ctx.need("get_config", "alter_config")
    topic = ctx.topic(configs={"retention.ms": "86400000"})
    found = ctx.call("get_config", topic=topic)["configs"]
    for name in ("cleanup.policy", "retention.bytes", "max.message.bytes", "segment.bytes", "min.insync.replicas", "compression.type"):
        assert name in found, f"{name} is missing from the topic's configs"
    assert found["cleanup.policy"]["value"] == "delete" and found["max.message.bytes"]["value"] == "1048588", found
    assert found["retention.ms"]["value"] == "86400000", found["retention.ms"]
    ctx.call("alter_config", topic=topic, configs={"retention.ms": "172800000"})
    eventually(lambda: ctx.call("get_config", topic=topic)["configs"]["retention.ms"]["value"] == "172800000", "retention.ms not changed")
    fails_with(INVALID_CONFIG, ctx.call, "alter_config", topic=topic, configs={"no.such.config": "1"})
    fails_with(INVALID_CONFIG, ctx.call, "create_topic", topic=ctx.name(), partitions=1, configs={"retention.ms": "soon"})


def config_operations(ctx):
    """Single configs are deleted back to their default, list configs grow and shrink, others cannot."""
    ctx.need("config_ops", "get_config")
    topic = ctx.topic()

    def value(name):
        return ctx.call("get_config", topic=topic)["configs"][name]

    ctx.call("config_ops", topic=topic, kind="SET", configs={"max.message.bytes": "2000000", "retention.ms": "1000000"})
    eventually(lambda: value("max.message.bytes")["value"] == "2000000", "max.message.bytes not set")
    assert value("max.message.bytes")["source"] == "DYNAMIC_TOPIC_CONFIG", value("max.message.bytes")
    ctx.call("config_ops", topic=topic, kind="DELETE", configs={"max.message.bytes": ""})
    eventually(lambda: value("max.message.bytes")["value"] == "1048588", "max.message.bytes not back at its default")
    assert value("max.message.bytes")["source"] in ("DEFAULT_CONFIG", "STATIC_BROKER_CONFIG"), value("max.message.bytes")
    assert value("retention.ms")["value"] == "1000000", "deleting one config changed another"
    ctx.call("config_ops", topic=topic, kind="SUBTRACT", configs={"cleanup.policy": "delete"})
    eventually(lambda: value("cleanup.policy")["value"] == "", "cleanup.policy not reduced")
    ctx.call("config_ops", topic=topic, kind="APPEND", configs={"cleanup.policy": "delete"})
    eventually(lambda: value("cleanup.policy")["value"] == "delete", "cleanup.policy not extended")
    fails_with(INVALID_CONFIG, ctx.call, "config_ops", topic=topic, kind="APPEND", configs={"retention.ms": "1"})
    assert value("retention.ms")["type"] == "LONG" and value("cleanup.policy")["type"] == "LIST", "config types"


def validate_only(ctx):
    """A topic creation that only validates creates nothing, and refuses what a real one refuses."""
    ctx.need("validate_topic", "list_topics")
    topic = ctx.name()
    ctx.call("validate_topic", topic=topic, partitions=2, configs={})
    assert topic not in ctx.call("list_topics")["topics"], "validate_only created the topic"
    fails_with(INVALID_CONFIG, ctx.call, "validate_topic", topic=topic, partitions=2, configs={"no.such.config": "1"})
    fails_with(INVALID_PARTITIONS, ctx.call, "validate_topic", topic=topic, partitions=0, configs={})
    fails_with(INVALID_TOPIC, ctx.call, "validate_topic", topic="not/allowed", partitions=1, configs={})


def eventually(check, why, seconds=10):
    """Kafka applies metadata changes a moment after it acknowledges them."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, why
        time.sleep(0.1)


def create_partitions(ctx):
    """Partitions are added, take records, and cannot be taken away."""
    ctx.need("create_partitions")
    topic = ctx.topic(2)
    ctx.call("create_partitions", topic=topic, count=5)
    eventually(lambda: len(ctx.call("describe_topic", topic=topic)["partitions"]) == 5, "still not 5 partitions")
    time.sleep(ctx.settle)
    timed(ctx, topic, plain(20, 5))
    fails_with(INVALID_PARTITIONS, ctx.call, "create_partitions", topic=topic, count=3)


def delete_records(ctx):
    """Deleted records are gone, the log starts after them, and the rest keeps its offsets."""
    ctx.need("delete_records")
    topic, records, t0 = ctx.topic(), plain(50), now_ms()
    ctx.produce(topic, records)
    low = ctx.call("delete_records", topic=topic, partition=0, before=30).get("low_watermark")
    assert low in (None, 30), f"answered low watermark {low}, expected 30"
    assert ctx.call("watermarks", topic=topic, partition=0) == {"begin": 30, "end": 50}
    got = ctx.consume(topic, 0, 50)
    expect(got, records[30:], 0, ctx.agent.cannot, ctx.agent.cannot, base=30, now=(t0, now_ms()))
    fails_with(OFFSET_OUT_OF_RANGE, ctx.call, "delete_records", topic=topic, partition=0, before=51)


def recreate(ctx):
    """A deleted topic disappears; one of the same name starts empty, at offset 0."""
    ctx.need("delete_topic", "create_topic")
    topic = ctx.topic()
    ctx.produce(topic, plain(10))
    ctx.call("delete_topic", topic=topic)
    eventually(lambda: topic not in ctx.call("list_topics")["topics"], "deleted topic is still listed")
    eventually(lambda: created(ctx, topic), "the name stays taken")
    eventually(lambda: found(ctx, topic) == {"begin": 0, "end": 0}, "the new topic is not empty")
    fresh, t0 = [record(0, BASE_TS, "new", "life", [])], now_ms()
    assert ctx.produce(topic, fresh)[0].get("o", 0) == 0, "first offset of the new topic is not 0"
    ctx.check(topic, fresh, now=(t0, now_ms()))


def found(ctx, topic):
    """Offsets of the topic's first partition, None while the client does not see it yet."""
    try:
        return ctx.call("watermarks", topic=topic, partition=0)
    except AgentError:
        return None


def created(ctx, topic):
    """Creates the topic, False while the broker still holds the old name."""
    try:
        ctx.call("create_topic", topic=topic, partitions=1, configs={"retention.ms": "-1"})
    except AgentError as e:
        if e.code == TOPIC_ALREADY_EXISTS:
            return False
        raise
    return True


def long_poll(ctx):
    """A consumer that waits for data (up to 6 s) gets a record when it is written, not when the wait is over."""
    ctx.need("await_record")
    topic = ctx.topic()
    ctx.agent.send("await_record", topic=topic, partition=0, start=0, max_wait_ms=6000)
    time.sleep(1.5)
    command = ["kcat", "-b", ctx.bootstrap, "-P", "-t", topic, "-p", "0"]
    subprocess.run(command, input=b"wake up", check=True, timeout=20)
    written = time.time()
    reply = ctx.agent.receive("await_record", 30)
    late = reply["at"] - written
    assert len(reply["records"]) == 1, f"got {len(reply['records'])} records"
    assert late < 2.5, f"the record came {late:.1f} s after it was written"


def log_append_time(ctx):
    """message.timestamp.type=LogAppendTime: the broker's time replaces the client's."""
    if "append_time" in ctx.agent.cannot:
        raise Skip("append_time")
    topic = ctx.topic(configs={"message.timestamp.type": "LogAppendTime"})
    for codec in [c for c in ("none", "gzip") if c in ctx.agent.codecs]:
        records, t0 = plain(20), now_ms()
        base = ctx.call("watermarks", topic=topic, partition=0)["end"]
        ctx.produce(topic, records, codec=codec)
        ctx.check(topic, records, base={0: base}, append=(t0, now_ms()))


def compacted_needs_key(ctx):
    """A compacted topic refuses a record without key as INVALID_RECORD, and goes on with keyed ones."""
    try:
        topic = ctx.topic(configs={"cleanup.policy": "compact"})
    except AgentError as e:
        # ringlog without compaction refuses the policy, which is honest; a broker that takes it must honour it.
        if e.code == INVALID_CONFIG:
            raise Skip("the broker has no compaction") from None
        raise
    reply = ctx.call("produce", topic=topic, records=[record(0, BASE_TS, None, "no key", [])])["results"][0]
    known = [INVALID_RECORD] if "new_error_codes" not in ctx.agent.cannot else [-1]
    assert reply.get("code") in known, f"expected INVALID_RECORD, got {reply}"
    timed(ctx, topic, plain(2))


ALL = [
    cluster, create_topic, unknown_topic, auto_create, *[roundtrip(c) for c in CODECS], idempotent, big_record, many, too_large,
    acks("0"), acks("1"), acks("-1"), offsets, offset_for_time, max_timestamp, seek_middle, configs, config_operations,
    validate_only, create_partitions,
    delete_records, recreate, long_poll, log_append_time, compacted_needs_key,
]  # fmt: skip
