"""confluent-kafka (librdkafka): 1.7.0 of Debian and the current release."""

import time

import confluent_kafka as ck
from confluent_kafka import admin as adm
from base import BOOTSTRAP, Base, Failure, headers_in, raw, read

KIND = {ck.TIMESTAMP_CREATE_TIME: "create", ck.TIMESTAMP_LOG_APPEND_TIME: "append"}


def done(futures):
    """Waits for the single future of an admin call; its KafkaException carries the code."""
    return next(iter(futures.values())).result(30)


class Confluent(Base):
    version = f"{ck.version()[0] if isinstance(ck.version(), tuple) else ck.version()} (librdkafka {ck.libversion()[0]})"

    def __init__(self):
        self.admin = adm.AdminClient({"bootstrap.servers": BOOTSTRAP})
        self.producers = {}
        wanted = {
            "describe_cluster": "describe_cluster",
            "delete_records": "delete_records",
            "list_offsets": "list_offsets",
            "alter_config": "incremental_alter_configs",
        }
        self.absent = [op for op, method in wanted.items() if not hasattr(self.admin, method)]

    def code_of(self, error):
        inner = error.args[0] if error.args else None
        return inner.code() if isinstance(inner, ck.KafkaError) else None

    def consumer(self, **extra):
        return ck.Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": "unused", "enable.auto.commit": False, **extra})

    def op_create_topic(self, topic, partitions, configs):
        new = adm.NewTopic(topic, num_partitions=partitions, replication_factor=1, config=configs)
        done(self.admin.create_topics([new]))

    def op_delete_topic(self, topic):
        done(self.admin.delete_topics([topic], operation_timeout=10))

    def op_list_topics(self):
        return {"topics": list(self.admin.list_topics(timeout=10).topics)}

    def op_describe_topic(self, topic):
        found = self.admin.list_topics(topic, timeout=10).topics[topic]
        if found.error is not None:
            raise Failure(found.error.code(), str(found.error))
        parts = sorted(found.partitions.values(), key=lambda p: p.id)
        return {"partitions": [{"id": p.id, "leader": p.leader, "replicas": p.replicas, "isr": p.isrs} for p in parts]}

    def op_describe_cluster(self):
        found = self.admin.describe_cluster().result(30)
        nodes = [{"id": n.id, "host": n.host, "port": n.port} for n in found.nodes]
        return {"cluster_id": found.cluster_id, "controller": found.controller.id, "nodes": nodes}

    def op_get_config(self, topic):
        found = done(self.admin.describe_configs([adm.ConfigResource(adm.ConfigResource.Type.TOPIC, topic)]))
        return {"configs": {n: {"value": e.value, "source": e.source, "synonyms": len(e.synonyms or {})} for n, e in found.items()}}

    def op_alter_config(self, topic, configs):
        entries = [adm.ConfigEntry(n, v, incremental_operation=adm.AlterConfigOpType.SET) for n, v in configs.items()]
        resource = adm.ConfigResource(adm.ConfigResource.Type.TOPIC, topic, incremental_configs=entries)
        done(self.admin.incremental_alter_configs([resource]))

    def op_create_partitions(self, topic, count):
        done(self.admin.create_partitions([adm.NewPartitions(topic, count)]))

    def op_delete_records(self, topic, partition, before):
        found = done(self.admin.delete_records([ck.TopicPartition(topic, partition, before)]))
        return {"low_watermark": found.low_watermark}

    def op_list_offsets(self, topic, partition, spec):
        make = {"earliest": adm.OffsetSpec.earliest, "latest": adm.OffsetSpec.latest, "max_timestamp": adm.OffsetSpec.max_timestamp}
        chosen = make[spec]() if spec in make else adm.OffsetSpec.for_timestamp(int(spec))
        found = done(self.admin.list_offsets({ck.TopicPartition(topic, partition): chosen}))
        return {"offset": found.offset, "ts": found.timestamp}

    def op_produce(self, topic, records, codec="none", acks=None, idempotent=False):
        key = (codec, acks, idempotent)
        if key not in self.producers:
            conf = {"bootstrap.servers": BOOTSTRAP, "compression.type": codec}
            if acks is not None:
                conf["acks"] = acks
            if idempotent:
                conf["enable.idempotence"] = True
            self.producers[key] = ck.Producer(conf)
        producer = self.producers[key]
        results = [None] * len(records)

        def report(at):
            def delivered(err, msg):
                results[at] = {"code": err.code(), "error": str(err)} if err else {"p": msg.partition(), "o": msg.offset()}

            return delivered

        for i, r in enumerate(records):
            producer.produce(
                topic, raw(r["v"]), raw(r["k"]), r["p"], timestamp=r["ts"], headers=headers_in(r), on_delivery=report(i)
            )
            producer.poll(0)
        if producer.flush(40):
            raise Failure(None, "records still undelivered after 40 s")
        return {"results": results}

    def op_consume(self, topic, partition, start, until, **extra):
        consumer = self.consumer(**extra)
        # With the leader known beforehand librdkafka does not wait half a second before its first fetch.
        consumer.list_topics(topic, timeout=10)
        consumer.assign([ck.TopicPartition(topic, partition, ck.OFFSET_BEGINNING if start == "earliest" else start)])
        out, deadline = [], time.monotonic() + 30
        while (not out or out[-1]["o"] < until - 1) and time.monotonic() < deadline:
            for m in consumer.consume(500, 0.05):
                if m.error():
                    raise Failure(m.error().code(), str(m.error()))
                kind, ts = m.timestamp()
                out.append(read(m.partition(), m.offset(), ts, KIND.get(kind), m.key(), m.value(), m.headers() or []))
        consumer.close()
        return {"records": out}

    def op_await_record(self, topic, partition, start, max_wait_ms):
        began = time.time()
        got = self.op_consume(topic, partition, start, start + 1, **{"fetch.wait.max.ms": max_wait_ms})
        return {"records": got["records"], "at": time.time(), "waited": time.time() - began}

    def op_watermarks(self, topic, partition):
        consumer = self.consumer()
        low, high = consumer.get_watermark_offsets(ck.TopicPartition(topic, partition), timeout=10, cached=False)
        consumer.close()
        return {"begin": low, "end": high}

    def op_offset_for_time(self, topic, partition, ts):
        consumer = self.consumer()
        found = consumer.offsets_for_times([ck.TopicPartition(topic, partition, ts)], timeout=10)[0]
        consumer.close()
        if found.error:
            raise Failure(found.error.code(), str(found.error))
        return {"offset": found.offset if found.offset >= 0 else None, "ts": None}


Confluent().serve()
