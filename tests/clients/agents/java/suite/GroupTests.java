import static java.util.List.of;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

/** What a group must do in both protocols; `protocol` is classic or consumer. */
final class GroupTests {
    final String protocol;

    GroupTests(String protocol) {
        this.protocol = protocol;
    }

    static void register(String protocol) {
        GroupTests t = new GroupTests(protocol);
        Main.test(protocol + "_reads_and_commits", t::readsAndCommits);
        Main.test(protocol + "_commits_on_close", t::commitsOnClose);
        Main.test(protocol + "_members_share_and_take_over", t::share);
        Main.test(protocol + "_more_members_than_partitions", t::spare);
        Main.test(protocol + "_two_topics", t::twoTopics);
        Main.test(protocol + "_pattern_finds_new_topics", t::pattern);
        Main.test(protocol + "_sees_new_partitions", t::newPartitions);
        Main.test(protocol + "_topic_made_later", t::topicLater);
        Main.test(protocol + "_listener_is_told", t::listener);
        Main.test(protocol + "_subscription_changes", t::changes);
        Main.test(protocol + "_static_member_comes_back", t::staticMember);
        // A classic member of a Kafka keeps a deleted topic too.
        if (protocol.equals("consumer")) Main.test(protocol + "_topic_deleted_under_it", t::deleted);
        Main.test(protocol + "_every_record_once_over_rebalances", t::onceOverRebalances);
    }

    KafkaConsumer<String, String> member(String group, Object... config) {
        Map<String, Object> all = Env.with(Map.of("group.id", group, "group.protocol", protocol, "metadata.max.age.ms", 1000), config);
        if (protocol.equals("classic")) all.putAll(Map.of("heartbeat.interval.ms", 300, "session.timeout.ms", 6000));
        return Env.consumer(all.entrySet().stream().flatMap(e -> java.util.stream.Stream.of(e.getKey(), e.getValue())).toArray());
    }

    /** All partitions of the topic are assigned, each to one of these. */
    static boolean covered(Set<TopicPartition> all, List<KafkaConsumer<String, String>> members) {
        Set<TopicPartition> seen = new HashSet<>();
        int count = 0;
        for (var m : members) {
            seen.addAll(m.assignment());
            count += m.assignment().size();
        }
        return seen.equals(all) && count == all.size();
    }

    void readsAndCommits() throws Exception {
        String topic = Env.topic(1), group = Env.unique("g");
        Env.produce(topic, 0, 0, 10);
        try (var c = member(group, "enable.auto.commit", false, "max.poll.records", 4)) {
            c.subscribe(of(topic));
            Env.equal(Env.numbers(0, 4), Env.values(Env.poll(c, 4)), "first poll");
            c.commitSync();
            c.poll(Duration.ofSeconds(2));
        }
        try (var c = member(group)) {
            c.subscribe(of(topic));
            Env.equal(Env.numbers(4, 10), Env.values(Env.poll(c, 6)), "from the commit on");
            Env.equal(protocol.equals("classic"), c.groupMetadata().generationId() > 0 && protocol.equals("classic"), "a generation");
        }
    }

    void commitsOnClose() throws Exception {
        String topic = Env.topic(1), group = Env.unique("g");
        Env.produce(topic, 0, 0, 5);
        try (var c = member(group)) {
            c.subscribe(of(topic));
            Env.poll(c, 5);
        }
        var p = Env.at(topic, 0);
        Env.equal(5L, Env.ADMIN.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(p).offset(), "committed");
    }

    void share() throws Exception {
        String topic = Env.topic(4), group = Env.unique("g");
        var a = member(group);
        try (a; var b = member(group)) {
            a.subscribe(of(topic));
            Env.pollUntil("one has all", of(a), () -> covered(Env.all(topic, 4), of(a)));
            b.subscribe(of(topic));
            Env.pollUntil("two each", of(a, b), () -> covered(Env.all(topic, 4), of(a, b)) && a.assignment().size() == 2);
            b.close();
            Env.pollUntil("one has all again", of(a), () -> covered(Env.all(topic, 4), of(a)));
        }
    }

    void spare() throws Exception {
        String topic = Env.topic(1), group = Env.unique("g");
        try (var a = member(group); var b = member(group)) {
            a.subscribe(of(topic));
            b.subscribe(of(topic));
            Env.pollUntil("one partition, one owner", of(a, b), () -> covered(Env.all(topic, 1), of(a, b)));
            var owner = a.assignment().isEmpty() ? b : a;
            var other = owner == a ? b : a;
            owner.close();
            Env.pollUntil("the other takes it", of(other), () -> covered(Env.all(topic, 1), of(other)));
        }
    }

    void twoTopics() throws Exception {
        String one = Env.topic(2), two = Env.topic(3), group = Env.unique("g");
        Set<TopicPartition> all = new HashSet<>(Env.all(one, 2));
        all.addAll(Env.all(two, 3));
        try (var a = member(group); var b = member(group)) {
            a.subscribe(of(one, two));
            b.subscribe(of(one, two));
            Env.pollUntil("all five", of(a, b), () -> covered(all, of(a, b)) && !a.assignment().isEmpty() && !b.assignment().isEmpty());
        }
    }

    void pattern() throws Exception {
        String prefix = Env.unique("p");
        Env.ADMIN.createTopics(of(new org.apache.kafka.clients.admin.NewTopic(prefix + "-1", 1, (short) 1))).all().get();
        try (var c = member(Env.unique("g"))) {
            c.subscribe(Pattern.compile(prefix + ".*"));
            Env.pollUntil("the first", of(c), () -> c.assignment().size() == 1);
            Env.ADMIN.createTopics(of(new org.apache.kafka.clients.admin.NewTopic(prefix + "-2", 1, (short) 1))).all().get();
            Env.pollUntil("the second", of(c), () -> c.assignment().size() == 2);
        }
    }

    void newPartitions() throws Exception {
        String topic = Env.topic(1);
        try (var c = member(Env.unique("g"))) {
            c.subscribe(of(topic));
            Env.pollUntil("one", of(c), () -> c.assignment().size() == 1);
            Env.ADMIN.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all().get();
            Env.pollUntil("three", of(c), () -> c.assignment().size() == 3);
        }
    }

    void topicLater() throws Exception {
        String topic = Env.unique("t");
        try (var c = member(Env.unique("g"), "allow.auto.create.topics", false)) {
            c.subscribe(of(topic));
            c.poll(Duration.ofSeconds(1));
            Env.ADMIN.createTopics(of(new org.apache.kafka.clients.admin.NewTopic(topic, 2, (short) 1))).all().get();
            Env.pollUntil("both", of(c), () -> c.assignment().size() == 2);
        }
    }

    void listener() throws Exception {
        String topic = Env.topic(2), group = Env.unique("g");
        List<String> told = new ArrayList<>();
        var c = member(group);
        c.subscribe(of(topic), new ConsumerRebalanceListener() {
            public void onPartitionsRevoked(Collection<TopicPartition> gone) {
                told.add("revoked " + gone.size());
            }

            public void onPartitionsAssigned(Collection<TopicPartition> more) {
                told.add("assigned " + more.size());
            }
        });
        Env.pollUntil("both", of(c), () -> c.assignment().size() == 2);
        c.close();
        told.removeIf(t -> t.endsWith(" 0"));
        Env.equal(of("assigned 2", "revoked 2"), told, "calls");
    }

    void changes() throws Exception {
        String one = Env.topic(1), two = Env.topic(1);
        try (var c = member(Env.unique("g"))) {
            c.subscribe(of(one));
            Env.pollUntil("the first", of(c), () -> c.assignment().equals(Env.all(one, 1)));
            c.subscribe(of(two));
            Env.pollUntil("the second", of(c), () -> c.assignment().equals(Env.all(two, 1)));
            c.unsubscribe();
            Env.that(c.assignment().isEmpty(), "nothing");
        }
    }

    /** A static member that goes and comes gets its partitions back, and the other one notices nothing. */
    void staticMember() throws Exception {
        String topic = Env.topic(4), group = Env.unique("g");
        List<String> told = new ArrayList<>();
        try (var a = member(group, "group.instance.id", "a")) {
            a.subscribe(of(topic), new ConsumerRebalanceListener() {
                public void onPartitionsRevoked(Collection<TopicPartition> gone) {
                    told.add("revoked");
                }

                public void onPartitionsAssigned(Collection<TopicPartition> more) {}
            });
            var first = member(group, "group.instance.id", "b");
            first.subscribe(of(topic));
            Env.pollUntil("two each", of(a, first), () -> covered(Env.all(topic, 4), of(a, first)) && a.assignment().size() == 2);
            Set<TopicPartition> had = Set.copyOf(first.assignment());
            told.clear();
            first.close();
            a.poll(Duration.ofSeconds(1));
            try (var again = member(group, "group.instance.id", "b")) {
                again.subscribe(of(topic));
                Env.pollUntil("its partitions", of(a, again), () -> again.assignment().equals(had));
            }
            Env.equal(of(), told, "what the other one was told");
        }
    }

    void deleted() throws Exception {
        String one = Env.topic(1), two = Env.topic(1);
        try (var c = member(Env.unique("g"))) {
            c.subscribe(of(one, two));
            Env.pollUntil("both", of(c), () -> c.assignment().size() == 2);
            Env.ADMIN.deleteTopics(of(one)).all().get();
            Env.pollUntil("only one", of(c), () -> c.assignment().equals(Env.all(two, 1)));
            Env.produce(two, 0, 0, 3);
            Env.equal(3, Env.poll(c, 3).size(), "records");
        }
    }

    /** Members come and go while 2,000 records are read, each commit before the next poll: nobody misses one. */
    void onceOverRebalances() throws Exception {
        String topic = Env.topic(4), group = Env.unique("g");
        for (int p = 0; p < 4; p++) Env.produce(topic, p, p * 500, p * 500 + 500);
        Set<String> seen = new HashSet<>();
        List<KafkaConsumer<String, String>> members = new ArrayList<>();
        try {
            for (int round = 0; seen.size() < 2000; round++) {
                Env.that(round < 400, "all records within 400 rounds, got " + seen.size());
                if (round % 10 == 0 && members.size() < 3) {
                    members.add(member(group, "max.poll.records", 40, "enable.auto.commit", false));
                    members.get(members.size() - 1).subscribe(of(topic));
                } else if (round % 17 == 16) {
                    members.remove(0).close();
                }
                for (var m : members) readSome(m, seen);
            }
        } finally {
            members.forEach(KafkaConsumer::close);
        }
    }

    private static void readSome(KafkaConsumer<String, String> m, Set<String> seen) {
        var got = m.poll(Env.TICK);
        Map<TopicPartition, OffsetAndMetadata> next = got.nextOffsets();
        got.forEach(r -> seen.add(r.value()));
        try {
            if (!next.isEmpty()) m.commitSync(next);
        } catch (org.apache.kafka.clients.consumer.CommitFailedException | org.apache.kafka.common.errors.RebalanceInProgressException e) {
            // It lost the partition in between: another one reads these again.
        }
    }
}
