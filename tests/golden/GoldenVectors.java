// Writes golden vectors of the Kafka protocol with Apache Kafka's own serialisers; see README.md.
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.*;
import java.io.*;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.protocol.*;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.*;

public class GoldenVectors {
    static final String[] APIS = {
        "Produce", "Fetch", "ListOffsets", "Metadata", "ApiVersions", "CreateTopics", "DeleteTopics", "DeleteRecords",
        "InitProducerId", "OffsetForLeaderEpoch", "DescribeAcls", "CreateAcls", "DeleteAcls", "DescribeConfigs",
        "AlterConfigs", "CreatePartitions", "IncrementalAlterConfigs", "DescribeCluster", "DescribeTopicPartitions",
        "FindCoordinator", "JoinGroup", "SyncGroup", "Heartbeat", "LeaveGroup", "OffsetCommit", "OffsetFetch", "DescribeGroups",
        "ListGroups", "DeleteGroups", "OffsetDelete", "ConsumerGroupHeartbeat", "ConsumerGroupDescribe",
        "DescribeLogDirs", "AlterReplicaLogDirs", "ElectLeaders", "AlterPartitionReassignments", "ListPartitionReassignments",
        "DescribeProducers", "DescribeTransactions", "ListTransactions", "DescribeClientQuotas", "AlterClientQuotas",
        "DescribeUserScramCredentials", "AlterUserScramCredentials", "ListConfigResources"};
    static final String[] RECORDS = {
        "LegacyOffsetCommit", "OffsetCommit", "GroupMetadata", "ConsumerGroupMetadata", "ConsumerGroupPartitionMetadata",
        "ConsumerGroupMemberMetadata", "ConsumerGroupTargetAssignmentMetadata", "ConsumerGroupTargetAssignmentMember",
        "ConsumerGroupCurrentMemberAssignment", "ConsumerGroupRegularExpression"};
    static final ObjectMapper JSON = JsonMapper.builder().enable(JsonParser.Feature.ALLOW_COMMENTS).build();

    public static void main(String[] args) throws Exception {
        Path out = Path.of(args[0]);
        try (PrintWriter messages = new PrintWriter(out.resolve("messages.txt").toFile(), StandardCharsets.UTF_8)) {
            messages.println("# api request|response version variant bytes; from kafka-clients by GoldenVectors.java");
            for (String api : APIS) for (String side : new String[] {"Request", "Response"}) writeMessages(messages, api, side);
        }
        try (PrintWriter batches = new PrintWriter(out.resolve("batches.txt").toFile(), StandardCharsets.UTF_8)) {
            batches.println("# Record batches from kafka-clients by GoldenVectors.java: batch NAME BYTES, then its records:");
            batches.println("# record OFFSET TIMESTAMP KEY VALUE (HEADER VALUE)...; - is null, = starts bytes in hex");
            writeBatches(batches);
        }
        try (PrintWriter groups = new PrintWriter(out.resolve("groups.txt").toFile(), StandardCharsets.UTF_8)) {
            groups.println("# From kafka-group-coordinator by GoldenVectors.java: record NAME value-version variant KEY VALUE");
            for (String record : RECORDS) writeRecords(groups, record);
            groups.println("# From kafka-clients by GoldenVectors.java: blob NAME version variant BYTES");
            for (String blob : new String[] {"ConsumerProtocolSubscription", "ConsumerProtocolAssignment"}) writeBlobs(groups, blob);
        }
        try (PrintWriter table = new PrintWriter(out.resolve("apis.txt").toFile(), StandardCharsets.UTF_8)) {
            table.println("# Broker APIs of kafka-clients by GoldenVectors.java: key name oldest latest(stable) first-flexible");
            for (ApiKeys key : ApiKeys.values()) if (key.inScope(org.apache.kafka.common.message.ApiMessageType.ListenerType.BROKER)) {
                short flexible = Short.MAX_VALUE;
                for (short v = key.latestVersion(); v >= key.oldestVersion(); v--) if (key.requestHeaderVersion(v) >= 2) flexible = v;
                table.println(key.id + " " + key.name + " " + key.oldestVersion() + " " + key.latestVersion(false) + " " + flexible);
            }
        }
    }

    // Messages: random JSON that follows the schema of one version, read and serialised by the generated classes.

    static void writeMessages(PrintWriter out, String api, String side) throws Exception {
        JsonNode schema = schema(api + side);
        response = side.equals("Response");
        short[] valid = range(schema.get("validVersions").asText());
        if (schema.path("latestVersionUnstable").asBoolean() || api.equals("InitProducerId")) valid[1] = 5;
        for (short version = valid[0]; version <= valid[1]; version++) for (int variant = 0; variant < 3; variant++) {
            ByteBuffer bytes = bytes("org.apache.kafka.common.message." + api + side + "Data", schema, version, variant, api + side);
            out.println(api + " " + side.toLowerCase(Locale.ROOT) + " " + version + " " + variant + " " + hex(bytes));
        }
    }

    // Records of groups: a key begins with its type, a value with its version.
    static void writeRecords(PrintWriter out, String record) throws Exception {
        JsonNode key = schema(record + "Key"), value = schema(record + "Value");
        String generated = "org.apache.kafka.coordinator.group.generated." + record;
        short[] valid = range(value.get("validVersions").asText());
        response = false;
        for (short version = valid[0]; version <= valid[1]; version++) for (int variant = 0; variant < 3; variant++)
            out.println("record " + record + " " + version + " " + variant
                + " " + prefix(key.get("apiKey").asInt()) + hex(bytes(generated + "Key", key, (short) 0, variant, record + "Key"))
                + " " + prefix(version) + hex(bytes(generated + "Value", value, version, variant, record + "Value")));
    }

    // What consumers say in JoinGroup and get in SyncGroup, which begins with its version.
    static void writeBlobs(PrintWriter out, String blob) throws Exception {
        JsonNode schema = schema(blob);
        short[] valid = range(schema.get("validVersions").asText());
        response = false;
        for (short version = valid[0]; version <= valid[1]; version++) for (int variant = 0; variant < 3; variant++)
            out.println("blob " + blob + " " + version + " " + variant
                + " " + prefix(version) + hex(bytes("org.apache.kafka.common.message." + blob, schema, version, variant, blob)));
    }

    static String prefix(int number) {
        return String.format("%04x", number);
    }

    static JsonNode schema(String name) throws Exception {
        return JSON.readTree(GoldenVectors.class.getResourceAsStream("/common/message/" + name + ".json"));
    }

    static ByteBuffer bytes(String type, JsonNode schema, short version, int variant, String seed) throws Exception {
        Map<String, JsonNode> structs = new HashMap<>();
        for (JsonNode common : schema.path("commonStructs")) structs.put(common.get("name").asText(), common.get("fields"));
        Random random = new Random(seed.hashCode() * 1000L + version * 10 + variant);
        JsonNode json = fields(schema.get("fields"), structs, version, variant, random);
        Class<?> converter = Class.forName(type + "JsonConverter");
        Message message = (Message) converter.getMethod("read", JsonNode.class, short.class).invoke(null, json, version);
        return MessageUtil.toByteBufferAccessor(message, version).buffer();
    }

    static boolean response;

    static ObjectNode fields(JsonNode fields, Map<String, JsonNode> structs, short version, int variant, Random random) {
        ObjectNode object = JSON.createObjectNode();
        for (JsonNode field : fields) {
            if (!within(field.get("versions"), version)) continue;
            boolean tagged = within(field.get("taggedVersions"), version);
            String name = field.get("name").asText();
            // Brokers never send null record sets, nor (to clients) snapshot ids.
            boolean nullable = within(field.get("nullableVersions"), version) && !(response && name.equals("Records"));
            if (tagged && variant == 0 || response && name.equals("SnapshotId")) continue;
            object.set(Character.toLowerCase(name.charAt(0)) + name.substring(1), value(field, nullable, structs, version, variant, random));
        }
        return object;
    }

    // Variant 0: empty and null; variant 1: everything filled; variant 2: a mixture.
    static JsonNode value(JsonNode field, boolean nullable, Map<String, JsonNode> structs, short version, int variant, Random random) {
        if (nullable && (variant == 0 || (variant == 2 && random.nextBoolean()))) return NullNode.instance;
        String type = field.get("type").asText();
        if (type.startsWith("[]")) {
            ArrayNode array = JSON.createArrayNode();
            int count = variant == 0 ? 0 : variant == 1 ? 1 + random.nextInt(2) : random.nextInt(3);
            for (int i = 0; i < count; i++) array.add(single(type.substring(2), field, structs, version, variant, random));
            return array;
        }
        return single(type, field, structs, version, variant, random);
    }

    static JsonNode single(String type, JsonNode field, Map<String, JsonNode> structs, short version, int variant, Random random) {
        switch (type) {
            case "bool": return BooleanNode.valueOf(random.nextBoolean());
            case "int8": return IntNode.valueOf((byte) random.nextInt());
            case "int16": return IntNode.valueOf(field.get("name").asText().endsWith("ErrorCode") ? random.nextInt(134) - 1 : (short) random.nextInt());
            case "int32": return IntNode.valueOf(random.nextInt());
            case "int64": return LongNode.valueOf(random.nextLong());
            case "float64": return DoubleNode.valueOf(random.nextDouble() * 1e9);
            case "uuid": return TextNode.valueOf(new org.apache.kafka.common.Uuid(random.nextLong(), random.nextLong()).toString());
            case "string": return TextNode.valueOf(variant == 0 ? "" : text(random));
            case "bytes": return BinaryNode.valueOf(variant == 0 ? new byte[0] : random(random));
            case "records": return BinaryNode.valueOf(variant == 0 ? new byte[0] : text(random).repeat(variant == 1 ? 30 : 1).getBytes(StandardCharsets.UTF_8));
            default:
                JsonNode nested = field.has("fields") ? field.get("fields") : structs.get(type);
                return fields(nested, structs, version, variant, random);
        }
    }

    static byte[] random(Random random) {
        byte[] bytes = new byte[random.nextInt(12)];
        random.nextBytes(bytes);
        return bytes;
    }

    static String text(Random random) {
        String[] texts = {"a", "topic", "\u00e9\u6f22", "x.y-z", "longer-text"};
        return texts[random.nextInt(texts.length)];
    }

    static boolean within(JsonNode versions, short version) {
        if (versions == null || versions.asText().equals("none")) return false;
        short[] range = range(versions.asText());
        return range[0] <= version && version <= range[1];
    }

    static short[] range(String text) {
        if (text.endsWith("+")) return new short[] {Short.parseShort(text.substring(0, text.length() - 1)), Short.MAX_VALUE};
        String[] ends = text.split("-");
        return new short[] {Short.parseShort(ends[0]), Short.parseShort(ends[ends.length - 1])};
    }

    // Batches.

    static void writeBatches(PrintWriter out) {
        for (CompressionType type : CompressionType.values()) {
            Compression codec = Compression.of(type.name).build();
            batch(out, type.name, codec, TimestampType.CREATE_TIME, -1, (short) -1, -1, false, 3);
            batch(out, type.name + "-large", codec, TimestampType.CREATE_TIME, 7000000001L, (short) 3, 2147483640, false, 20);
        }
        batch(out, "log-append-time", Compression.NONE, TimestampType.LOG_APPEND_TIME, -1, (short) -1, -1, false, 3);
        batch(out, "transactional", Compression.NONE, TimestampType.CREATE_TIME, 42, (short) 1, 0, true, 2);
        for (ControlRecordType type : new ControlRecordType[] {ControlRecordType.ABORT, ControlRecordType.COMMIT}) {
            MemoryRecords marker = MemoryRecords.withEndTransactionMarker(77, 1700000000000L, 5, 42, (short) 1, new EndTransactionMarker(type, 9));
            print(out, "marker-" + type.name().toLowerCase(Locale.ROOT), marker);
        }
    }

    static void batch(PrintWriter out, String name, Compression codec, TimestampType times, long producer, short epoch, int sequence, boolean transactional, int count) {
        MemoryRecordsBuilder builder = new MemoryRecordsBuilder(ByteBuffer.allocate(1 << 16), RecordBatch.MAGIC_VALUE_V2, codec,
            times, 1000, 1700000009999L, producer, epoch, sequence, transactional, false, 12, 1 << 16);
        Random random = new Random(name.hashCode());
        for (int i = 0; i < count; i++) {
            byte[] key = i % 3 == 1 ? null : ("key-" + i).getBytes(StandardCharsets.UTF_8);
            byte[] value = i % 3 == 2 ? null : text(random).repeat(random.nextInt(9)).getBytes(StandardCharsets.UTF_8);
            Header[] headers = i % 2 == 1 ? new Header[0] : new Header[] {
                new RecordHeader("same", "1".getBytes(StandardCharsets.UTF_8)), new RecordHeader("", new byte[0]),
                new RecordHeader("same", null)};
            builder.append(1700000000000L + random.nextInt(2000) - 1000, key, value, headers);
        }
        print(out, name, builder.build());
    }

    static void print(PrintWriter out, String name, MemoryRecords records) {
        out.println("batch " + name + " " + hex(records.buffer().duplicate()));
        for (org.apache.kafka.common.record.internal.Record record : records.records()) {
            StringBuilder line = new StringBuilder("record " + record.offset() + " " + record.timestamp() + " " + field(record.key()) + " " + field(record.value()));
            for (Header header : record.headers()) line.append(" =").append(hex(ByteBuffer.wrap(header.key().getBytes(StandardCharsets.UTF_8))))
                .append(" ").append(field(header.value() == null ? null : ByteBuffer.wrap(header.value())));
            out.println(line);
        }
    }

    static String field(ByteBuffer bytes) {
        return bytes == null ? "-" : "=" + hex(bytes.duplicate());
    }

    static String hex(ByteBuffer bytes) {
        StringBuilder text = new StringBuilder();
        while (bytes.hasRemaining()) text.append(String.format("%02x", bytes.get()));
        return text.toString();
    }
}
