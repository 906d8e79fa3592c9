import static java.util.List.of;

import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.CreateTopicsRequestData.CreatableReplicaAssignment;
import org.apache.kafka.common.message.CreateTopicsRequestData.CreatableTopic;
import org.apache.kafka.common.message.CreateTopicsRequestData.CreatableTopicConfig;
import org.apache.kafka.common.message.DeleteTopicsRequestData.DeleteTopicState;
import org.apache.kafka.common.message.DescribeConfigsRequestData.DescribeConfigsResource;
import org.apache.kafka.common.message.IncrementalAlterConfigsRequestData.AlterableConfig;
import org.apache.kafka.common.message.MetadataRequestData.MetadataRequestTopic;

/** Topics, their metadata and configurations. */
final class TopicScripts {
    static void register() {
        Main.script("api-versions", ApiMessageType.API_VERSIONS, b -> b.ask("all", ApiMessageType.API_VERSIONS, (s, i) -> new ApiVersionsRequestData().setClientSoftwareName("diff").setClientSoftwareVersion("1")));
        Main.script("metadata", ApiMessageType.METADATA, TopicScripts::metadata);
        Main.script("create-topics", ApiMessageType.CREATE_TOPICS, TopicScripts::createTopics);
        Main.script("delete-topics", ApiMessageType.DELETE_TOPICS, TopicScripts::deleteTopics);
        Main.script("create-partitions", ApiMessageType.CREATE_PARTITIONS, TopicScripts::createPartitions);
        Main.script("describe-configs", ApiMessageType.DESCRIBE_CONFIGS, TopicScripts::describeConfigs);
        Main.script("incremental-alter-configs", ApiMessageType.INCREMENTAL_ALTER_CONFIGS, TopicScripts::incremental);
        Main.script("alter-configs", ApiMessageType.ALTER_CONFIGS, TopicScripts::alterConfigs);
        Main.script("describe-cluster", ApiMessageType.DESCRIBE_CLUSTER, b -> b.ask("with operations", ApiMessageType.DESCRIBE_CLUSTER, (s, i) -> new DescribeClusterRequestData().setIncludeClusterAuthorizedOperations(true)));
        Main.script("describe-topic-partitions", ApiMessageType.DESCRIBE_TOPIC_PARTITIONS, TopicScripts::describeTopicPartitions);
        Main.script("sasl-handshake", ApiMessageType.SASL_HANDSHAKE, b -> b.ask("on a plain listener", ApiMessageType.SASL_HANDSHAKE, (s, i) -> new SaslHandshakeRequestData().setMechanism("PLAIN")));
        Main.script("describe-acls", ApiMessageType.DESCRIBE_ACLS, b -> b.ask("any", ApiMessageType.DESCRIBE_ACLS, (s, i) -> new DescribeAclsRequestData().setResourceTypeFilter((byte) 1).setPatternTypeFilter((byte) (b.version > 0 ? 1 : 3)).setOperation((byte) 1).setPermissionType((byte) 1)));
    }

    static CreatableTopic topic(String name, int partitions, int replicas) {
        return new CreatableTopic().setName(name).setNumPartitions(partitions).setReplicationFactor((short) replicas);
    }

    /** Makes a topic on both sides and waits until both lead it. */
    static void make(Main.Both b, String name, int partitions, String... config) throws Exception {
        b.help(ApiMessageType.CREATE_TOPICS, 7, (s, i) -> {
            CreatableTopic t = topic(name, partitions, 1);
            for (int c = 0; c < config.length; c += 2) t.configs().add(new CreatableTopicConfig().setName(config[c]).setValue(config[c + 1]));
            var topics = new CreateTopicsRequestData().setTimeoutMs(10_000);
            topics.topics().add(t);
            return topics;
        });
        for (int tries = 0; tries < 100; tries++) {
            boolean led = true;
            for (var m : b.help(ApiMessageType.METADATA, 12, (s, i) -> new MetadataRequestData().setAllowAutoTopicCreation(false).setTopics(names(b, name)))) {
                var t = ((MetadataResponseData) m).topics().find(name);
                led &= t != null && t.errorCode() == 0 && t.partitions().size() == partitions && t.partitions().stream().allMatch(p -> p.errorCode() == 0);
            }
            if (led) {
                // A Kafka shows a topic a moment before it takes records.
                Thread.sleep(300);
                return;
            }
            Thread.sleep(50);
        }
        throw new IllegalStateException("no leaders for " + name);
    }

    static List<MetadataRequestTopic> names(Main.Both b, String... names) {
        List<MetadataRequestTopic> all = new ArrayList<>();
        for (String n : names) all.add(new MetadataRequestTopic().setName(n));
        return all;
    }

    /** The topic's id on each side. */
    static Uuid[] ids(Main.Both b, String name) throws Exception {
        var m = b.help(ApiMessageType.METADATA, 12, (s, i) -> new MetadataRequestData().setAllowAutoTopicCreation(false).setTopics(names(b, name)));
        return new Uuid[] {((MetadataResponseData) m[0]).topics().find(name).topicId(), ((MetadataResponseData) m[1]).topics().find(name).topicId()};
    }

    static void metadata(Main.Both b) throws Exception {
        make(b, b.id, 3);
        boolean flag = b.version >= 4;
        b.ask("a topic", ApiMessageType.METADATA, (s, i) -> new MetadataRequestData().setTopics(names(b, b.id)).setIncludeTopicAuthorizedOperations(b.version >= 8));
        b.ask("a name twice", ApiMessageType.METADATA, (s, i) -> new MetadataRequestData().setTopics(names(b, b.id, b.id)));
        b.ask("illegal", ApiMessageType.METADATA, (s, i) -> new MetadataRequestData().setTopics(names(b, "with space", "..")));
        if (flag) b.ask("missing", ApiMessageType.METADATA, (s, i) -> new MetadataRequestData().setAllowAutoTopicCreation(false).setTopics(names(b, b.id + "x")));
        if (b.version >= 1) b.ask("no topics", ApiMessageType.METADATA, (s, i) -> new MetadataRequestData().setTopics(of()));
        if (b.version >= 8 && b.version <= 10) b.ask("cluster operations", ApiMessageType.METADATA, (s, i) -> new MetadataRequestData().setTopics(of()).setIncludeClusterAuthorizedOperations(true));
        if (b.version >= 12) {
            Uuid[] ids = ids(b, b.id);
            b.ask("by id", ApiMessageType.METADATA, (s, i) -> new MetadataRequestData().setTopics(of(new MetadataRequestTopic().setName(null).setTopicId(ids[i]))));
            Uuid none = Uuid.fromString("0123456789012345678901");
            b.ask("by an id of nothing", ApiMessageType.METADATA, (s, i) -> new MetadataRequestData().setTopics(of(new MetadataRequestTopic().setName(null).setTopicId(none))));
        }
    }

    static void createTopics(Main.Both b) throws Exception {
        create(b, "a topic", false, topic(b.id, 2, 1));
        create(b, "once more", false, topic(b.id, 2, 1));
        create(b, "only validated", true, topic(b.id + "v", 2, 1));
        create(b, "illegal names", false, topic("", 1, 1), topic("a b", 1, 1), topic("x".repeat(250), 1, 1), topic("..", 1, 1));
        create(b, "bad numbers", false, topic(b.id + "p", 0, 1), topic(b.id + "q", -2, 1), topic(b.id + "r", 1, 0), topic(b.id + "s", 1, 3), topic(b.id + "t", 1, -2));
        if (b.version >= 4) create(b, "defaults", false, topic(b.id + "d", -1, -1));
        create(b, "a dot and its underscore", false, topic(b.id + ".a", 1, 1));
        create(b, "which collide", false, topic(b.id + "_a", 1, 1));
        CreatableTopic config = topic(b.id + "c", 1, 1), bad = topic(b.id + "b", 1, 1), unknown = topic(b.id + "u", 1, 1);
        config.configs().add(new CreatableTopicConfig().setName("retention.ms").setValue("1234"));
        bad.configs().add(new CreatableTopicConfig().setName("retention.ms").setValue("x"));
        unknown.configs().add(new CreatableTopicConfig().setName("nothing").setValue("x"));
        create(b, "configurations", false, config, bad, unknown);
        CreatableTopic assigned = topic(b.id + "z", -1, -1), gap = topic(b.id + "g", -1, -1), both = topic(b.id + "w", 1, 1);
        assigned.assignments().add(new CreatableReplicaAssignment().setPartitionIndex(0).setBrokerIds(of(1)));
        gap.assignments().add(new CreatableReplicaAssignment().setPartitionIndex(1).setBrokerIds(of(1)));
        both.assignments().add(new CreatableReplicaAssignment().setPartitionIndex(0).setBrokerIds(of(1)));
        create(b, "assignments", false, assigned, gap, both);
        CreatableTopic stranger = topic(b.id + "y", -1, -1);
        stranger.assignments().add(new CreatableReplicaAssignment().setPartitionIndex(0).setBrokerIds(of(77)));
        create(b, "an unknown broker", false, stranger);
    }

    private static void create(Main.Both b, String label, boolean validate, CreatableTopic... topics) throws Exception {
        b.ask(label, ApiMessageType.CREATE_TOPICS, (s, i) -> {
            var request = new CreateTopicsRequestData().setTimeoutMs(10_000).setValidateOnly(validate);
            for (CreatableTopic t : topics) request.topics().add(t.duplicate());
            return request;
        });
    }

    static void deleteTopics(Main.Both b) throws Exception {
        make(b, b.id, 1);
        make(b, b.id + "2", 1);
        Uuid[] ids = ids(b, b.id + "2");
        b.ask("one and a missing one", ApiMessageType.DELETE_TOPICS, (s, i) -> delete(b, b.id, b.id + "x"));
        b.ask("again", ApiMessageType.DELETE_TOPICS, (s, i) -> delete(b, b.id));
        if (b.version >= 6) {
            b.ask("by id", ApiMessageType.DELETE_TOPICS, (s, i) -> new DeleteTopicsRequestData().setTimeoutMs(10_000).setTopics(of(new DeleteTopicState().setName(null).setTopicId(ids[i]))));
            Uuid none = Uuid.fromString("0123456789012345678901");
            b.ask("by an id of nothing", ApiMessageType.DELETE_TOPICS, (s, i) -> new DeleteTopicsRequestData().setTimeoutMs(10_000).setTopics(of(new DeleteTopicState().setName(null).setTopicId(none))));
        }
    }

    private static DeleteTopicsRequestData delete(Main.Both b, String... names) {
        var request = new DeleteTopicsRequestData().setTimeoutMs(10_000);
        if (b.version < 6) return request.setTopicNames(of(names));
        List<DeleteTopicState> all = new ArrayList<>();
        for (String n : names) all.add(new DeleteTopicState().setName(n));
        return request.setTopics(all);
    }

    static void createPartitions(Main.Both b) throws Exception {
        make(b, b.id, 2);
        for (int count : new int[] {3, 3, 1, 0, -1}) partitions(b, "to " + count, b.id, count, false);
        partitions(b, "only validated", b.id, 5, true);
        partitions(b, "of nothing", b.id + "x", 5, false);
        b.ask("with an assignment too many", ApiMessageType.CREATE_PARTITIONS, (s, i) -> {
            var request = new CreatePartitionsRequestData().setTimeoutMs(10_000);
            var place = new CreatePartitionsRequestData.CreatePartitionsAssignment().setBrokerIds(of(1));
            request.topics().add(new CreatePartitionsRequestData.CreatePartitionsTopic().setName(b.id).setCount(4).setAssignments(of(place, place.duplicate())));
            return request;
        });
    }

    private static void partitions(Main.Both b, String label, String topic, int count, boolean validate) throws Exception {
        b.ask(label, ApiMessageType.CREATE_PARTITIONS, (s, i) -> {
            var request = new CreatePartitionsRequestData().setTimeoutMs(10_000).setValidateOnly(validate);
            request.topics().add(new CreatePartitionsRequestData.CreatePartitionsTopic().setName(topic).setCount(count).setAssignments(null));
            return request;
        });
    }

    static DescribeConfigsResource resource(int type, String name, String... keys) {
        return new DescribeConfigsResource().setResourceType((byte) type).setResourceName(name).setConfigurationKeys(keys.length == 0 ? null : of(keys));
    }

    static void describe(Main.Both b, String label, DescribeConfigsResource resource) throws Exception {
        b.ask(label, ApiMessageType.DESCRIBE_CONFIGS, (s, i) -> new DescribeConfigsRequestData().setResources(of(resource)).setIncludeSynonyms(b.version >= 1));
    }

    static void describeConfigs(Main.Both b) throws Exception {
        make(b, b.id, 1, "retention.ms", "1234");
        describe(b, "a topic", resource(2, b.id));
        describe(b, "some keys", resource(2, b.id, "retention.ms", "cleanup.policy", "nothing"));
        describe(b, "no topic", resource(2, b.id + "x"));
        describe(b, "an illegal topic", resource(2, "a b"));
        describe(b, "another broker", resource(4, "77"));
        describe(b, "no number", resource(4, "x"));
        describe(b, "an unknown type", resource(99, "x"));
        describe(b, "keys of the broker", resource(4, "1", "num.partitions", "log.retention.hours", "message.max.bytes", "auto.create.topics.enable", "log.segment.bytes", "compression.type"));
    }

    private static void alter(Main.Both b, String label, int type, String name, boolean validate, Object... ops) throws Exception {
        b.ask(label, ApiMessageType.INCREMENTAL_ALTER_CONFIGS, (s, i) -> {
            var resource = new IncrementalAlterConfigsRequestData.AlterConfigsResource().setResourceType((byte) type).setResourceName(name);
            for (int o = 0; o < ops.length; o += 3) resource.configs().add(new AlterableConfig().setConfigOperation(((Integer) ops[o]).byteValue()).setName((String) ops[o + 1]).setValue((String) ops[o + 2]));
            var request = new IncrementalAlterConfigsRequestData().setValidateOnly(validate);
            request.resources().add(resource);
            return request;
        });
    }

    static void incremental(Main.Both b) throws Exception {
        make(b, b.id, 1);
        alter(b, "set", 2, b.id, false, 0, "retention.ms", "5555");
        alter(b, "delete", 2, b.id, false, 1, "retention.ms", null);
        alter(b, "delete what is not set", 2, b.id, false, 1, "segment.ms", null);
        alter(b, "append", 2, b.id, false, 2, "leader.replication.throttled.replicas", "0:1");
        alter(b, "append to no list", 2, b.id, false, 2, "retention.ms", "1");
        alter(b, "subtract", 2, b.id, false, 3, "leader.replication.throttled.replicas", "0:1");
        alter(b, "nonsense", 2, b.id, false, 0, "retention.ms", "soon");
        alter(b, "below its range", 2, b.id, false, 0, "segment.bytes", "1");
        alter(b, "unknown key", 2, b.id, false, 0, "nothing", "1");
        alter(b, "null value", 2, b.id, false, 0, "retention.ms", null);
        alter(b, "unknown operation", 2, b.id, false, 9, "retention.ms", "1");
        alter(b, "a key twice", 2, b.id, false, 0, "retention.ms", "1", 0, "retention.ms", "2");
        alter(b, "no topic", 2, b.id + "x", false, 0, "retention.ms", "1");
        alter(b, "only validated", 2, b.id, true, 0, "retention.ms", "1");
        alter(b, "a read-only key of the broker", 4, "1", false, 0, "node.id", "5");
        alter(b, "another broker", 4, "77", false, 0, "log.retention.ms", "5");
        alter(b, "no number", 4, "x", false, 0, "log.retention.ms", "5");
        describeAfter(b);
    }

    private static void describeAfter(Main.Both b) throws Exception {
        short v = (short) Math.min(b.left.newest(ApiMessageType.DESCRIBE_CONFIGS), b.right.newest(ApiMessageType.DESCRIBE_CONFIGS));
        Thread.sleep(200);
        b.at("what came of it", ApiMessageType.DESCRIBE_CONFIGS, v, (s, i) -> new DescribeConfigsRequestData().setResources(of(resource(2, b.id))));
    }

    static void alterConfigs(Main.Both b) throws Exception {
        make(b, b.id, 1, "segment.ms", "7777777");
        legacy(b, "set", b.id, "retention.ms", "5555");
        legacy(b, "nonsense", b.id, "retention.ms", "soon");
        legacy(b, "unknown", b.id, "nothing", "1");
        legacy(b, "no topic", b.id + "x", "retention.ms", "1");
        describeAfter(b);
    }

    private static void legacy(Main.Both b, String label, String name, String key, String value) throws Exception {
        b.ask(label, ApiMessageType.ALTER_CONFIGS, (s, i) -> {
            var resource = new AlterConfigsRequestData.AlterConfigsResource().setResourceType((byte) 2).setResourceName(name);
            resource.configs().add(new AlterConfigsRequestData.AlterableConfig().setName(key).setValue(value));
            var request = new AlterConfigsRequestData();
            request.resources().add(resource);
            return request;
        });
    }

    static void describeTopicPartitions(Main.Both b) throws Exception {
        make(b, b.id, 3);
        make(b, b.id + "2", 3);
        for (int limit : new int[] {2000, 4, 3, 1, 0})
            b.ask("at most " + limit, ApiMessageType.DESCRIBE_TOPIC_PARTITIONS, (s, i) -> pages(b, limit, null));
        b.ask("from a cursor", ApiMessageType.DESCRIBE_TOPIC_PARTITIONS, (s, i) -> pages(b, 2, new DescribeTopicPartitionsRequestData.Cursor().setTopicName(b.id).setPartitionIndex(2)));
        b.ask("from a cursor of nothing", ApiMessageType.DESCRIBE_TOPIC_PARTITIONS, (s, i) -> pages(b, 2, new DescribeTopicPartitionsRequestData.Cursor().setTopicName(b.id + "1").setPartitionIndex(0)));
    }

    private static DescribeTopicPartitionsRequestData pages(Main.Both b, int limit, DescribeTopicPartitionsRequestData.Cursor cursor) {
        var topics = new ArrayList<DescribeTopicPartitionsRequestData.TopicRequest>();
        for (String n : of(b.id, b.id + "2", b.id + "3")) topics.add(new DescribeTopicPartitionsRequestData.TopicRequest().setName(n));
        return new DescribeTopicPartitionsRequestData().setTopics(topics).setResponsePartitionLimit(limit).setCursor(cursor);
    }
}
