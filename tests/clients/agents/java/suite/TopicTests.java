import static java.util.List.of;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicaAssignmentException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.OffsetOutOfRangeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Topics by Admin: made, seen, grown, cut, removed. */
final class TopicTests {
    static void register() {
        Main.test("topics_create_tells_id_partitions_and_configs", TopicTests::createTells);
        Main.test("topics_create_with_the_brokers_defaults", TopicTests::createDefaults);
        Main.test("topics_create_with_an_assignment", TopicTests::createAssigned);
        Main.test("topics_create_refuses", TopicTests::createRefuses);
        Main.test("topics_validate_only_creates_nothing", TopicTests::validateOnly);
        Main.test("topics_list_hides_internal_ones", TopicTests::list);
        Main.test("topics_describe_by_name_and_by_id", TopicTests::describe);
        Main.test("topics_describe_page_by_page", TopicTests::describePages);
        Main.test("topics_add_partitions", TopicTests::addPartitions);
        Main.test("topics_delete_by_name_and_by_id", TopicTests::delete);
        Main.test("topics_delete_records", TopicTests::deleteRecords);
    }

    /** What a test just made: a Kafka shows it a moment later. */
    static TopicDescription shown(String name) throws Exception {
        Env.until(name + " is shown", () -> Env.leaders(name) > 0);
        return described(name);
    }

    static TopicDescription described(String name) throws Exception {
        return Env.ADMIN.describeTopics(of(name)).allTopicNames().get().get(name);
    }

    static void createTells() throws Exception {
        String name = Env.unique("t");
        var made = Env.ADMIN.createTopics(of(new NewTopic(name, 3, (short) 1).configs(Map.of("retention.ms", "12345"))));
        Env.equal(3, made.numPartitions(name).get(), "partitions");
        Env.equal(1, made.replicationFactor(name).get(), "replication factor");
        Env.that(!made.topicId(name).get().equals(Uuid.ZERO_UUID), "a topic id");
        Env.equal("12345", made.config(name).get().get("retention.ms").value(), "retention.ms in the answer");
        Env.equal(made.topicId(name).get(), shown(name).topicId(), "topic id of Metadata");
    }

    static void createDefaults() throws Exception {
        String name = Env.unique("t");
        Env.ADMIN.createTopics(of(new NewTopic(name, Optional.empty(), Optional.empty()))).all().get();
        Env.equal(4, shown(name).partitions().size(), "num.partitions");
    }

    static void createAssigned() throws Exception {
        String name = Env.unique("t");
        int node = Env.ADMIN.describeCluster().nodes().get().iterator().next().id();
        Env.ADMIN.createTopics(of(new NewTopic(name, Map.of(0, of(node), 1, of(node))))).all().get();
        Env.equal(2, shown(name).partitions().size(), "partitions");
        Env.fails(InvalidReplicaAssignmentException.class, () -> Env.ADMIN.createTopics(of(new NewTopic(Env.unique("t"), Map.of(0, of(node), 2, of(node))))).all().get());
    }

    static void createRefuses() throws Exception {
        String name = Env.topic(1);
        Env.fails(TopicExistsException.class, () -> Env.ADMIN.createTopics(of(new NewTopic(name, 1, (short) 1))).all().get());
        Env.fails(InvalidTopicException.class, () -> Env.ADMIN.createTopics(of(new NewTopic("no spaces", 1, (short) 1))).all().get());
        Env.fails(InvalidPartitionsException.class, () -> Env.ADMIN.createTopics(of(new NewTopic(Env.unique("t"), 0, (short) 1))).all().get());
        Env.fails(InvalidReplicationFactorException.class, () -> Env.ADMIN.createTopics(of(new NewTopic(Env.unique("t"), 1, (short) 2))).all().get());
        Env.fails(InvalidConfigurationException.class, () -> Env.ADMIN.createTopics(of(new NewTopic(Env.unique("t"), 1, (short) 1).configs(Map.of("retention.ms", "soon")))).all().get());
        Env.fails(InvalidConfigurationException.class, () -> Env.ADMIN.createTopics(of(new NewTopic(Env.unique("t"), 1, (short) 1).configs(Map.of("no.such.key", "1")))).all().get());
    }

    static void validateOnly() throws Exception {
        String name = Env.unique("t");
        Env.ADMIN.createTopics(of(new NewTopic(name, 1, (short) 1)), new CreateTopicsOptions().validateOnly(true)).all().get();
        Env.that(!Env.ADMIN.listTopics().names().get().contains(name), "no topic " + name);
    }

    static void list() throws Exception {
        String name = Env.topic(1);
        try (var c = Env.consumer("group.id", Env.unique("g"))) {
            c.subscribe(of(name));
            Env.pollUntil("an assignment", of(c), () -> !c.assignment().isEmpty());
        }
        Set<String> seen = Env.ADMIN.listTopics().names().get();
        Env.that(seen.contains(name) && !seen.contains("__consumer_offsets"), "the topic, no internal one: " + seen);
        var all = Env.ADMIN.listTopics(new ListTopicsOptions().listInternal(true)).namesToListings().get();
        Env.that(all.get("__consumer_offsets").isInternal(), "__consumer_offsets is internal");
        Env.that(!all.get(name).isInternal(), "the topic is not");
    }

    static void describe() throws Exception {
        String name = Env.topic(2);
        TopicDescription byName = described(name);
        TopicDescription byId = Env.ADMIN.describeTopics(TopicCollection.ofTopicIds(of(byName.topicId()))).allTopicIds().get().get(byName.topicId());
        Env.equal(byName.partitions().stream().map(p -> p.partition() + " " + p.leader()).toList(), byId.partitions().stream().map(p -> p.partition() + " " + p.leader()).toList(), "leaders");
        Env.equal(name, byId.name(), "name");
        for (var p : byName.partitions()) Env.that(p.leader().id() == p.replicas().get(0).id() && p.isr().size() == 1, "a leader in sync: " + p);
        Env.fails(UnknownTopicOrPartitionException.class, () -> described(Env.unique("missing")));
        Env.fails(UnknownTopicIdException.class, () -> Env.ADMIN.describeTopics(TopicCollection.ofTopicIds(of(Uuid.randomUuid()))).allTopicIds().get());
        Env.fails(InvalidTopicException.class, () -> described(""));
    }

    static void describePages() throws Exception {
        List<String> names = of(Env.topic(3), Env.topic(3), Env.topic(3));
        var all = Env.ADMIN.describeTopics(names, new DescribeTopicsOptions().partitionSizeLimitPerResponse(2)).allTopicNames().get();
        for (String name : names) Env.equal(3, all.get(name).partitions().size(), "partitions of " + name);
    }

    static void addPartitions() throws Exception {
        String name = Env.topic(1);
        Env.ADMIN.createPartitions(Map.of(name, NewPartitions.increaseTo(3))).all().get();
        Env.until("3 partitions lead", () -> Env.leaders(name) == 3);
        Env.produce(name, 2, 0, 5);
        Env.fails(InvalidPartitionsException.class, () -> Env.ADMIN.createPartitions(Map.of(name, NewPartitions.increaseTo(2))).all().get());
        Env.fails(InvalidPartitionsException.class, () -> Env.ADMIN.createPartitions(Map.of(name, NewPartitions.increaseTo(3))).all().get());
        Env.fails(UnknownTopicOrPartitionException.class, () -> Env.ADMIN.createPartitions(Map.of(Env.unique("missing"), NewPartitions.increaseTo(3))).all().get());
    }

    static void delete() throws Exception {
        String one = Env.topic(1), two = Env.topic(1);
        Uuid id = described(two).topicId();
        Env.ADMIN.deleteTopics(of(one)).all().get();
        Env.ADMIN.deleteTopics(TopicCollection.ofTopicIds(of(id))).all().get();
        Env.until("both are gone", () -> Env.leaders(one) + Env.leaders(two) == 0);
        Env.fails(UnknownTopicOrPartitionException.class, () -> Env.ADMIN.deleteTopics(of(one)).all().get());
        Env.fails(UnknownTopicIdException.class, () -> Env.ADMIN.deleteTopics(TopicCollection.ofTopicIds(of(id))).all().get());
    }

    static void deleteRecords() throws Exception {
        String name = Env.topic(1);
        var p = Env.at(name, 0);
        Env.produce(name, 0, 0, 10);
        Env.equal(4L, Env.ADMIN.deleteRecords(Map.of(p, RecordsToDelete.beforeOffset(4))).lowWatermarks().get(p).get().lowWatermark(), "low watermark");
        try (var c = Env.consumer()) {
            c.assign(of(p));
            Env.equal(Env.numbers(4, 10), Env.values(Env.poll(c, 6)), "what is left");
        }
        Env.fails(OffsetOutOfRangeException.class, () -> Env.ADMIN.deleteRecords(Map.of(p, RecordsToDelete.beforeOffset(11))).all().get());
        Env.equal(10L, Env.ADMIN.deleteRecords(Map.of(p, RecordsToDelete.beforeOffset(-1))).lowWatermarks().get(p).get().lowWatermark(), "-1 is all");
    }
}
