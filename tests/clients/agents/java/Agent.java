import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/** The Java client: answers one JSON request per line on stdin with one JSON line on stdout. */
public class Agent {
    static final ObjectMapper JSON = new ObjectMapper();
    static final String BOOTSTRAP = System.getenv("BOOTSTRAP");
    static final String[] OPS = {
        "create_topic", "delete_topic", "list_topics", "describe_topic", "describe_cluster", "get_config", "alter_config",
        "config_ops", "validate_topic", "create_partitions", "delete_records", "list_offsets", "produce", "consume",
        "await_record", "watermarks", "offset_for_time",
    };

    final Admin admin = Admin.create(Map.of("bootstrap.servers", BOOTSTRAP));
    final Map<String, KafkaProducer<byte[], byte[]>> producers = new HashMap<>();

    public static void main(String[] args) throws Exception {
        PrintStream out = System.out;
        System.setOut(System.err);
        Agent agent = new Agent();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            JsonNode request = JSON.readTree(line);
            ObjectNode reply = JSON.createObjectNode();
            try {
                agent.answer(request.get("op").asText(), request, reply);
            } catch (Throwable e) {
                reply = failure(JSON.createObjectNode(), e);
            }
            out.println(JSON.writeValueAsString(reply));
            out.flush();
        }
        Runtime.getRuntime().halt(0);
    }

    static ObjectNode failure(ObjectNode reply, Throwable e) {
        Throwable cause = e instanceof ExecutionException && e.getCause() != null ? e.getCause() : e;
        Errors code = Errors.forException(cause);
        reply.put("error", cause.toString());
        if (code != Errors.UNKNOWN_SERVER_ERROR) reply.put("code", code.code());
        return reply;
    }

    void answer(String op, JsonNode q, ObjectNode reply) throws Exception {
        switch (op) {
            case "hello": hello(reply); break;
            case "create_topic": createTopic(q, new CreateTopicsOptions()); break;
            case "validate_topic": createTopic(q, new CreateTopicsOptions().validateOnly(true)); break;
            case "delete_topic": done(admin.deleteTopics(Set.of(topic(q))).all()); break;
            case "list_topics": done(admin.listTopics().names()).forEach(reply.putArray("topics")::add); break;
            case "describe_topic": describeTopic(q, reply); break;
            case "describe_cluster": describeCluster(reply); break;
            case "get_config": getConfig(q, reply); break;
            case "alter_config": alterConfig(q, AlterConfigOp.OpType.SET); break;
            case "config_ops": alterConfig(q, AlterConfigOp.OpType.valueOf(q.get("kind").asText())); break;
            case "create_partitions":
                done(admin.createPartitions(Map.of(topic(q), NewPartitions.increaseTo(q.get("count").asInt()))).all());
                break;
            case "delete_records": deleteRecords(q, reply); break;
            case "list_offsets": listOffsets(q, reply); break;
            case "produce": produce(q, reply); break;
            case "consume": consume(q, reply, q.get("until").asLong(), Map.of()); break;
            case "await_record": await(q, reply); break;
            case "watermarks": watermarks(q, reply); break;
            case "offset_for_time": offsetForTime(q, reply); break;
            default: throw new IllegalArgumentException(op);
        }
    }

    static <T> T done(Future<T> future) throws Exception {
        return future.get(40, TimeUnit.SECONDS);
    }

    static String topic(JsonNode q) {
        return q.get("topic").asText();
    }

    static TopicPartition partition(JsonNode q) {
        return new TopicPartition(topic(q), q.get("partition").asInt());
    }

    static byte[] raw(JsonNode text) {
        return text == null || text.isNull() ? null : Base64.getDecoder().decode(text.asText());
    }

    static String b64(byte[] data) {
        return data == null ? null : Base64.getEncoder().encodeToString(data);
    }

    static void hello(ObjectNode reply) {
        reply.put("version", AppInfoParser.getVersion());
        for (String op : OPS) reply.withArray("ops").add(op);
        for (String codec : new String[] {"none", "gzip", "snappy", "lz4", "zstd"}) reply.withArray("codecs").add(codec);
        reply.putArray("cannot");
    }

    void createTopic(JsonNode q, CreateTopicsOptions options) throws Exception {
        Map<String, String> configs = new HashMap<>();
        q.get("configs").fields().forEachRemaining(e -> configs.put(e.getKey(), e.getValue().asText()));
        NewTopic topic = new NewTopic(topic(q), q.get("partitions").asInt(), (short) 1).configs(configs);
        done(admin.createTopics(Set.of(topic), options).all());
    }

    /** From 3.8 on through DescribeTopicPartitions where the broker offers it. */
    void describeTopic(JsonNode q, ObjectNode reply) throws Exception {
        TopicDescription found = done(admin.describeTopics(Set.of(topic(q))).allTopicNames()).get(topic(q));
        reply.put("topic_id", found.topicId().toString());
        ArrayNode parts = reply.putArray("partitions");
        for (TopicPartitionInfo p : found.partitions()) {
            ObjectNode part = parts.addObject().put("id", p.partition()).put("leader", p.leader() == null ? -1 : p.leader().id());
            ids(part.putArray("replicas"), p.replicas());
            ids(part.putArray("isr"), p.isr());
        }
    }

    static void ids(ArrayNode out, Collection<Node> nodes) {
        for (Node n : nodes) out.add(n.id());
    }

    void describeCluster(ObjectNode reply) throws Exception {
        var found = admin.describeCluster();
        reply.put("cluster_id", done(found.clusterId())).put("controller", done(found.controller()).id());
        ArrayNode nodes = reply.putArray("nodes");
        for (Node n : done(found.nodes())) nodes.addObject().put("id", n.id()).put("host", n.host()).put("port", n.port());
    }

    void getConfig(JsonNode q, ObjectNode reply) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic(q));
        ObjectNode configs = reply.putObject("configs");
        for (ConfigEntry e : done(admin.describeConfigs(Set.of(resource)).all()).get(resource).entries()) {
            configs.putObject(e.name()).put("value", e.value()).put("source", e.source().name()).put("type", e.type().name());
        }
    }

    void alterConfig(JsonNode q, AlterConfigOp.OpType kind) throws Exception {
        List<AlterConfigOp> ops = new ArrayList<>();
        q.get("configs").fields().forEachRemaining(e -> ops.add(new AlterConfigOp(new ConfigEntry(e.getKey(), e.getValue().asText()), kind)));
        done(admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.TOPIC, topic(q)), ops)).all());
    }

    void deleteRecords(JsonNode q, ObjectNode reply) throws Exception {
        RecordsToDelete before = RecordsToDelete.beforeOffset(q.get("before").asLong());
        reply.put("low_watermark", done(admin.deleteRecords(Map.of(partition(q), before)).lowWatermarks().get(partition(q))).lowWatermark());
    }

    void listOffsets(JsonNode q, ObjectNode reply) throws Exception {
        String spec = q.get("spec").asText();
        OffsetSpec chosen;
        switch (spec) {
            case "earliest": chosen = OffsetSpec.earliest(); break;
            case "latest": chosen = OffsetSpec.latest(); break;
            case "max_timestamp": chosen = OffsetSpec.maxTimestamp(); break;
            default: chosen = OffsetSpec.forTimestamp(Long.parseLong(spec));
        }
        var found = done(admin.listOffsets(Map.of(partition(q), chosen)).partitionResult(partition(q)));
        reply.put("offset", found.offset()).put("ts", found.timestamp()).put("epoch", found.leaderEpoch().orElse(-1));
    }

    KafkaProducer<byte[], byte[]> producer(JsonNode q) {
        String codec = q.path("codec").asText("none");
        String acks = q.path("acks").asText(null);
        return producers.computeIfAbsent(codec + "/" + acks, key -> {
            Map<String, Object> conf = new HashMap<>(Map.of("bootstrap.servers", BOOTSTRAP, "compression.type", codec));
            if (acks != null && !acks.equals("null")) conf.put("acks", acks);
            return new KafkaProducer<>(conf, new ByteArraySerializer(), new ByteArraySerializer());
        });
    }

    void produce(JsonNode q, ObjectNode reply) {
        KafkaProducer<byte[], byte[]> producer = producer(q);
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (JsonNode r : q.get("records")) {
            List<Header> headers = new ArrayList<>();
            for (JsonNode h : r.get("h")) headers.add(new RecordHeader(h.get(0).asText(), raw(h.get(1))));
            sent.add(producer.send(
                new ProducerRecord<>(topic(q), r.get("p").asInt(), r.get("ts").asLong(), raw(r.get("k")), raw(r.get("v")), headers)));
        }
        producer.flush();
        ArrayNode results = reply.putArray("results");
        for (Future<RecordMetadata> f : sent) {
            try {
                RecordMetadata m = done(f);
                results.addObject().put("p", m.partition()).put("o", m.offset());
            } catch (Exception e) {
                failure(results.addObject(), e);
            }
        }
    }

    static KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> extra) {
        Map<String, Object> conf = new HashMap<>(extra);
        conf.put("bootstrap.servers", BOOTSTRAP);
        return new KafkaConsumer<>(conf, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static void consume(JsonNode q, ObjectNode reply, long until, Map<String, Object> extra) {
        ArrayNode out = reply.putArray("records");
        KafkaConsumer<byte[], byte[]> consumer = consumer(extra);
        try {
            TopicPartition tp = partition(q);
            consumer.assign(Set.of(tp));
            if (q.get("start").isTextual()) consumer.seekToBeginning(Set.of(tp));
            else consumer.seek(tp, q.get("start").asLong());
            long deadline = System.currentTimeMillis() + 30_000;
            long next = -1;
            while (next < until && System.currentTimeMillis() < deadline) {
                for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(500))) {
                    next = r.offset() + 1;
                    write(out.addObject(), r);
                }
            }
            reply.put("at", System.currentTimeMillis() / 1000.0);
        } finally {
            // A plain close waits for the fetch under way, half a second each time.
            consumer.close(Duration.ofMillis(50));
        }
    }

    static void write(ObjectNode out, ConsumerRecord<byte[], byte[]> r) {
        String type = r.timestampType().name.equals("CreateTime") ? "create" : "append";
        out.put("p", r.partition()).put("o", r.offset()).put("ts", r.timestamp()).put("tt", type);
        out.put("k", b64(r.key())).put("v", b64(r.value()));
        ArrayNode headers = out.putArray("h");
        for (Header h : r.headers()) headers.addArray().add(h.key()).add(b64(h.value()));
    }

    static void await(JsonNode q, ObjectNode reply) {
        consume(q, reply, q.get("start").asLong() + 1, Map.of("fetch.max.wait.ms", q.get("max_wait_ms").asInt()));
    }

    static void watermarks(JsonNode q, ObjectNode reply) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(Map.of())) {
            Set<TopicPartition> tp = Set.of(partition(q));
            reply.put("begin", consumer.beginningOffsets(tp).get(partition(q))).put("end", consumer.endOffsets(tp).get(partition(q)));
        }
    }

    static void offsetForTime(JsonNode q, ObjectNode reply) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(Map.of())) {
            var found = consumer.offsetsForTimes(Map.of(partition(q), q.get("ts").asLong())).get(partition(q));
            if (found == null) reply.putNull("offset");
            else reply.put("offset", found.offset()).put("ts", found.timestamp());
        }
    }
}
