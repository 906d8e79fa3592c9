"""kafka-python, the 2.0.2 of most distributions and the current 3.x."""

import time

import kafka
from base import BOOTSTRAP, Base, Failure, headers_in, raw, read
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.errors import for_code

OLD = kafka.__version__.startswith("2.0")
KIND = {0: "create", 1: "append"}


class KafkaPython(Base):
    version = kafka.__version__
    # 2.0.2: no idempotence, no record deletion, no retries by default, knows no error above 86.
    cannot = ["null_key_and_value", "null_header_value", *(["idempotence", "new_error_codes", "retries"] if OLD else [])]
    absent = ["delete_records", "list_offsets"] if OLD else []

    def __init__(self):
        self.admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
        self.producers = {}

    def consumer(self, **extra):
        return KafkaConsumer(bootstrap_servers=BOOTSTRAP, **extra)

    def op_create_topic(self, topic, partitions, configs):
        self.admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=configs)])

    def op_delete_topic(self, topic):
        self.admin.delete_topics([topic])

    def op_list_topics(self):
        return {"topics": self.admin.list_topics()}

    def op_describe_topic(self, topic):
        found = self.admin.describe_topics([topic])[0]
        if found["error_code"]:
            raise for_code(found["error_code"])
        names = ("partition", "leader", "replicas", "isr") if OLD else ("partition_index", "leader_id", "replica_nodes", "isr_nodes")
        parts = [dict(zip(("id", "leader", "replicas", "isr"), (p[n] for n in names))) for p in found["partitions"]]
        return {"partitions": sorted(parts, key=lambda p: p["id"])}

    def op_describe_cluster(self):
        found = self.admin.describe_cluster()
        id_name = "node_id" if OLD else "broker_id"
        nodes = [{"id": b[id_name], "host": b["host"], "port": b["port"]} for b in found["brokers"]]
        return {"cluster_id": found["cluster_id"], "controller": found["controller_id"], "nodes": nodes}

    def op_get_config(self, topic):
        resource = [ConfigResource(ConfigResourceType.TOPIC, topic)]
        if not OLD:
            found = self.admin.describe_configs(resource, config_filter="all")["topic"][topic]
            return {"configs": {n: {"value": c["value"]} for n, c in found.items()}}
        code, text, _, _, entries = self.admin.describe_configs(resource)[0].resources[0]
        if code:
            raise for_code(code)(text)
        return {"configs": {e[0]: {"value": e[1]} for e in entries}}

    def op_alter_config(self, topic, configs):
        resource = [ConfigResource(ConfigResourceType.TOPIC, topic, configs)]
        if OLD:
            code, text = self.admin.alter_configs(resource).resources[0][:2]
            if code:
                raise for_code(code)(text)
            return
        answer = self.admin.alter_configs(resource, raise_on_unknown=False)["topic"][topic]
        if answer != "OK":
            # The library reduces the error to text such as "[Error 40] InvalidConfigurationError: ..."
            raise Failure(int(answer.split("]")[0].removeprefix("[Error ")), answer)

    def op_create_partitions(self, topic, count):
        self.admin.create_partitions({topic: NewPartitions(count)})

    def op_delete_records(self, topic, partition, before):
        tp = TopicPartition(topic, partition)
        return {"low_watermark": self.admin.delete_records({tp: before})[tp]["low_watermark"]}

    def op_list_offsets(self, topic, partition, spec):
        tp = TopicPartition(topic, partition)
        wire = {"latest": -1, "earliest": -2, "max_timestamp": -3}
        found = self.admin.list_partition_offsets({tp: wire[spec] if spec in wire else int(spec)})[tp]
        return {"offset": found.offset, "ts": found.timestamp}

    def op_produce(self, topic, records, codec="none", acks=None, idempotent=False):
        key = (codec, acks, idempotent)
        if key not in self.producers:
            conf = {"compression_type": None if codec == "none" else codec}
            if acks is not None:
                conf["acks"] = int(acks)
            if idempotent:
                conf["enable_idempotence"] = True
            self.producers[key] = KafkaProducer(bootstrap_servers=BOOTSTRAP, **conf)
        producer = self.producers[key]
        sent = [
            producer.send(topic, raw(r["v"]), raw(r["k"]), headers_in(r), r["p"], timestamp_ms=r["ts"]) for r in records
        ]
        producer.flush(40)
        results = [self.outcome(f) for f in sent]
        if not OLD and any("error" in r for r in results):
            # From then on the idempotent producer of 3.x answers every send with that error, on Kafka too.
            self.producers.pop(key).close(timeout=5)
        return {"results": results}

    def outcome(self, future):
        try:
            done = future.get(40)
        except Exception as e:
            return {"code": self.code_of(e), "error": f"{type(e).__name__}: {e}"}
        return {"p": done.partition, "o": done.offset}

    def op_consume(self, topic, partition, start, until, **extra):
        consumer, tp = self.consumer(**extra), TopicPartition(topic, partition)
        consumer.assign([tp])
        if start == "earliest":
            consumer.seek_to_beginning(tp)
        else:
            consumer.seek(tp, start)
        out, deadline = [], time.monotonic() + 30
        while (not out or out[-1]["o"] < until - 1) and time.monotonic() < deadline:
            for m in consumer.poll(1000).get(tp, []):
                kind = KIND.get(m.timestamp_type)
                out.append(read(m.partition, m.offset, m.timestamp, kind, m.key, m.value, m.headers))
        consumer.close()
        return {"records": out}

    def op_await_record(self, topic, partition, start, max_wait_ms):
        got = self.op_consume(topic, partition, start, start + 1, fetch_max_wait_ms=max_wait_ms)
        return {"records": got["records"], "at": time.time()}

    def op_watermarks(self, topic, partition):
        consumer, tp = self.consumer(), TopicPartition(topic, partition)
        found = {"begin": consumer.beginning_offsets([tp])[tp], "end": consumer.end_offsets([tp])[tp]}
        consumer.close()
        return found

    def op_offset_for_time(self, topic, partition, ts):
        consumer, tp = self.consumer(), TopicPartition(topic, partition)
        found = consumer.offsets_for_times({tp: ts})[tp]
        consumer.close()
        return {"offset": found.offset, "ts": found.timestamp} if found else {"offset": None}


KafkaPython().serve()
