"""aiokafka: an asyncio client with its own protocol code, no flexible versions."""

import asyncio
import time

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code
from base import BOOTSTRAP, Base, headers_in, raw, read

KIND = {0: "create", 1: "append"}


def check(code, text=""):
    """Raises the library's exception for a Kafka error code."""
    if code:
        raise for_code(code)(text)


class Aio(Base):
    version = aiokafka.__version__
    cannot = ["null_key_and_value", "new_error_codes"]

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.producers = {}
        self.admin = None

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    async def admin_client(self):
        if self.admin is None:
            self.admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
            await self.admin.start()
        return self.admin

    async def ask(self, method, *args):
        return await getattr(await self.admin_client(), method)(*args)

    async def consumer(self, **extra):
        consumer = AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, **extra)
        await consumer.start()
        return consumer

    def op_create_topic(self, topic, partitions, configs):
        answer = self.run(self.ask("create_topics", [NewTopic(topic, partitions, 1, topic_configs=configs)]))
        check(*answer.topic_errors[0][1:3])

    def op_delete_topic(self, topic):
        answer = self.run(self.ask("delete_topics", [topic]))
        check(answer.topic_error_codes[0][1])

    def op_list_topics(self):
        return {"topics": self.run(self.ask("list_topics"))}

    def op_describe_topic(self, topic):
        found = self.run(self.ask("describe_topics", [topic]))[0]
        check(found["error_code"])
        parts = [{"id": p["partition"], "leader": p["leader"], "replicas": p["replicas"], "isr": p["isr"]} for p in found["partitions"]]
        return {"partitions": sorted(parts, key=lambda p: p["id"])}

    def op_describe_cluster(self):
        found = self.run(self.ask("describe_cluster"))
        nodes = [{"id": b["node_id"], "host": b["host"], "port": b["port"]} for b in found["brokers"]]
        return {"cluster_id": found["cluster_id"], "controller": found["controller_id"], "nodes": nodes}

    def op_get_config(self, topic):
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        code, text, _, _, entries = self.run(self.ask("describe_configs", [resource]))[0].resources[0]
        check(code, text)
        return {"configs": {e[0]: {"value": e[1]} for e in entries}}

    def op_alter_config(self, topic, configs):
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs)
        check(*self.run(self.ask("alter_configs", [resource]))[0].resources[0][:2])

    def op_create_partitions(self, topic, count):
        self.run(self.ask("create_partitions", {topic: NewPartitions(count)}))

    def op_delete_records(self, topic, partition, before):
        tp = TopicPartition(topic, partition)
        return {"low_watermark": self.run(self.ask("delete_records", {tp: RecordsToDelete(before)}))[tp]}

    def op_produce(self, **request):
        return self.run(self.produce(**request))

    async def produce(self, topic, records, codec="none", acks=None, idempotent=False):
        key = (codec, acks, idempotent)
        if key not in self.producers:
            conf = {"compression_type": None if codec == "none" else codec}
            if acks is not None:
                conf["acks"] = int(acks)
            if idempotent:
                conf["enable_idempotence"] = True
            self.producers[key] = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, **conf)
            await self.producers[key].start()
        producer, sent = self.producers[key], []
        for r in records:
            sent.append(
                await producer.send(
                    topic, raw(r["v"]), raw(r["k"]), partition=r["p"], timestamp_ms=r["ts"], headers=headers_in(r)
                )
            )
        await producer.flush()
        return {"results": [await self.outcome(f) for f in sent]}

    async def outcome(self, future):
        try:
            done = await asyncio.wait_for(future, 40)
        except Exception as e:
            return {"code": self.code_of(e), "error": f"{type(e).__name__}: {e}"}
        return {"p": done.partition, "o": done.offset} if done else {}

    def op_consume(self, **request):
        return self.run(self.consume(**request))

    async def consume(self, topic, partition, start, until, **extra):
        consumer, tp = await self.consumer(**extra), TopicPartition(topic, partition)
        consumer.assign([tp])
        if start == "earliest":
            await consumer.seek_to_beginning(tp)
        else:
            consumer.seek(tp, start)
        out, deadline = [], time.monotonic() + 30
        while (not out or out[-1]["o"] < until - 1) and time.monotonic() < deadline:
            for m in (await consumer.getmany(tp, timeout_ms=1000)).get(tp, []):
                kind = KIND.get(m.timestamp_type)
                out.append(read(m.partition, m.offset, m.timestamp, kind, m.key, m.value, m.headers))
        await consumer.stop()
        return {"records": out}

    def op_await_record(self, topic, partition, start, max_wait_ms):
        got = self.op_consume(topic=topic, partition=partition, start=start, until=start + 1, fetch_max_wait_ms=max_wait_ms)
        return {"records": got["records"], "at": time.time()}

    async def query(self, method, *args):
        consumer = await self.consumer()
        try:
            return await getattr(consumer, method)(*args)
        finally:
            await consumer.stop()

    def op_watermarks(self, topic, partition):
        tp = TopicPartition(topic, partition)
        begin, end = self.run(self.query("beginning_offsets", [tp])), self.run(self.query("end_offsets", [tp]))
        return {"begin": begin[tp], "end": end[tp]}

    def op_offset_for_time(self, topic, partition, ts):
        tp = TopicPartition(topic, partition)
        found = self.run(self.query("offsets_for_times", {tp: ts}))[tp]
        return {"offset": found.offset, "ts": found.timestamp} if found else {"offset": None}


Aio().serve()
