import static java.util.List.of;

import java.util.ArrayList;
import java.util.Set;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.errors.InvalidRegularExpression;
import org.apache.kafka.common.errors.UnreleasedInstanceIdException;
import org.apache.kafka.common.errors.UnsupportedAssignorException;

/** What only groups of the new protocol (KIP-848) have: assignors of the broker, its regular expressions, change from the old protocol. */
final class NewProtocolTests {
    static final GroupTests NEW = new GroupTests("consumer");

    static void register() {
        for (String assignor : of("uniform", "range")) Main.test("consumer_remote_assignor_" + assignor, () -> assignor(assignor));
        Main.test("consumer_remote_assignor_unknown_is_refused", NewProtocolTests::unknownAssignor);
        Main.test("consumer_regular_expression_of_the_broker", NewProtocolTests::regex);
        Main.test("consumer_regular_expression_invalid_is_refused", NewProtocolTests::badRegex);
        Main.test("consumer_static_double_is_refused", NewProtocolTests::doubleStatic);
        Main.test("consumer_group_is_described_with_its_type", NewProtocolTests::described);
        Main.test("consumer_takes_over_a_classic_group", NewProtocolTests::migrate);
        Main.test("consumer_moves_only_what_must_move", NewProtocolTests::sticky);
    }

    static void assignor(String assignor) throws Exception {
        String topic = Env.topic(6), group = Env.unique("g");
        try (var a = NEW.member(group, "group.remote.assignor", assignor); var b = NEW.member(group, "group.remote.assignor", assignor)) {
            a.subscribe(of(topic));
            b.subscribe(of(topic));
            Env.pollUntil("three each", of(a, b), () -> GroupTests.covered(Env.all(topic, 6), of(a, b)) && a.assignment().size() == 3);
        }
    }

    static void unknownAssignor() throws Exception {
        try (var c = NEW.member(Env.unique("g"), "group.remote.assignor", "none")) {
            c.subscribe(of(Env.topic(1)));
            Env.fails(UnsupportedAssignorException.class, () -> {
                for (int i = 0; i < 100; i++) c.poll(Env.TICK);
                return "never refused";
            });
        }
    }

    static void regex() throws Exception {
        String prefix = Env.unique("p");
        Env.ADMIN.createTopics(of(new NewTopic(prefix + "-1", 1, (short) 1), new NewTopic("x" + prefix, 1, (short) 1))).all().get();
        try (var c = NEW.member(Env.unique("g"))) {
            c.subscribe(new SubscriptionPattern(prefix + "-[0-9]+"));
            Env.pollUntil("the first", of(c), () -> c.assignment().equals(Set.of(Env.at(prefix + "-1", 0))));
            Env.ADMIN.createTopics(of(new NewTopic(prefix + "-22", 1, (short) 1))).all().get();
            Env.pollUntil("the second", of(c), () -> c.assignment().size() == 2);
        }
    }

    static void badRegex() throws Exception {
        try (var c = NEW.member(Env.unique("g"))) {
            c.subscribe(new SubscriptionPattern("(["));
            Env.fails(InvalidRegularExpression.class, () -> {
                for (int i = 0; i < 100; i++) c.poll(Env.TICK);
                return "never refused";
            });
        }
    }

    static void doubleStatic() throws Exception {
        String topic = Env.topic(1), group = Env.unique("g");
        try (var a = NEW.member(group, "group.instance.id", "a"); var b = NEW.member(group, "group.instance.id", "a")) {
            a.subscribe(of(topic));
            Env.pollUntil("the first has it", of(a), () -> a.assignment().size() == 1);
            b.subscribe(of(topic));
            Env.fails(UnreleasedInstanceIdException.class, () -> {
                for (int i = 0; i < 100; i++) b.poll(Env.TICK);
                return "never refused";
            });
        }
    }

    static void described() throws Exception {
        String topic = Env.topic(2), group = Env.unique("g");
        try (var c = NEW.member(group)) {
            c.subscribe(of(topic));
            Env.pollUntil("both", of(c), () -> c.assignment().size() == 2);
            var g = Env.ADMIN.describeConsumerGroups(of(group)).all().get().get(group);
            Env.equal(GroupType.CONSUMER, g.type(), "type");
            Env.equal("uniform", g.partitionAssignor(), "assignor");
            Env.equal(Env.all(topic, 2), g.members().iterator().next().assignment().topicPartitions(), "assignment");
            Env.equal(Env.all(topic, 2), g.members().iterator().next().targetAssignment().get().topicPartitions(), "target");
            Env.that(g.groupEpoch().isPresent(), "an epoch");
        }
    }

    static void migrate() throws Exception {
        String topic = Env.topic(2), group = Env.unique("g");
        Env.produce(topic, 0, 0, 10);
        try (var old = new GroupTests("classic").member(group)) {
            old.subscribe(of(topic));
            Env.poll(old, 10);
            old.commitSync();
            try (var next = NEW.member(group)) {
                next.subscribe(of(topic));
                Env.pollUntil("one each", of(old, next), () -> GroupTests.covered(Env.all(topic, 2), of(old, next)) && old.assignment().size() == 1);
                old.close();
                Env.pollUntil("both", of(next), () -> next.assignment().size() == 2);
            }
        }
    }

    static void sticky() throws Exception {
        String topic = Env.topic(6), group = Env.unique("g");
        var members = new ArrayList<org.apache.kafka.clients.consumer.KafkaConsumer<String, String>>();
        try {
            for (int i = 0; i < 2; i++) {
                members.add(NEW.member(group));
                members.get(i).subscribe(of(topic));
            }
            Env.pollUntil("three each", members, () -> GroupTests.covered(Env.all(topic, 6), members) && members.get(0).assignment().size() == 3);
            Set<?> first = Set.copyOf(members.get(0).assignment()), second = Set.copyOf(members.get(1).assignment());
            members.add(NEW.member(group));
            members.get(2).subscribe(of(topic));
            Env.pollUntil("two each", members, () -> GroupTests.covered(Env.all(topic, 6), members) && members.stream().allMatch(m -> m.assignment().size() == 2));
            Env.that(first.containsAll(members.get(0).assignment()) && second.containsAll(members.get(1).assignment()), "the old ones keep two of theirs");
        } finally {
            members.forEach(org.apache.kafka.clients.consumer.KafkaConsumer::close);
        }
    }
}
