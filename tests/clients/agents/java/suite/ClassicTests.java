import static java.util.List.of;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.errors.InconsistentGroupProtocolException;
import org.apache.kafka.common.errors.InvalidSessionTimeoutException;

/** What only the classic protocol has: assignors of the members, generations, session timeouts that a member chooses. */
final class ClassicTests {
    static final GroupTests CLASSIC = new GroupTests("classic");

    static void register() {
        for (Class<?> assignor : of(RangeAssignor.class, RoundRobinAssignor.class, StickyAssignor.class, CooperativeStickyAssignor.class))
            Main.test("classic_assignor_" + assignor.getSimpleName(), () -> assignor(assignor));
        Main.test("classic_cooperative_keeps_what_it_has", ClassicTests::cooperative);
        Main.test("classic_changes_from_eager_to_cooperative", ClassicTests::upgrade);
        Main.test("classic_member_that_dies_is_replaced", ClassicTests::dies);
        Main.test("classic_member_that_does_not_poll_is_replaced", ClassicTests::stalls);
        Main.test("classic_static_double_is_fenced", ClassicTests::fenced);
        Main.test("classic_no_common_assignor_is_refused", ClassicTests::inconsistent);
        Main.test("classic_session_timeout_out_of_bounds_is_refused", ClassicTests::session);
        Main.test("classic_enforced_rebalance_is_a_new_generation", ClassicTests::enforced);
    }

    static void assignor(Class<?> assignor) throws Exception {
        String topic = Env.topic(6), group = Env.unique("g");
        try (var a = CLASSIC.member(group, "partition.assignment.strategy", assignor.getName()); var b = CLASSIC.member(group, "partition.assignment.strategy", assignor.getName())) {
            a.subscribe(of(topic));
            b.subscribe(of(topic));
            Env.pollUntil("three each", of(a, b), () -> GroupTests.covered(Env.all(topic, 6), of(a, b)) && a.assignment().size() == 3);
        }
    }

    /** When a second one joins, the first gives two of four up and goes on with the others. */
    static void cooperative() throws Exception {
        String topic = Env.topic(4), group = Env.unique("g"), strategy = CooperativeStickyAssignor.class.getName();
        Set<TopicPartition> revoked = new HashSet<>();
        try (var a = CLASSIC.member(group, "partition.assignment.strategy", strategy); var b = CLASSIC.member(group, "partition.assignment.strategy", strategy)) {
            a.subscribe(of(topic), new ConsumerRebalanceListener() {
                public void onPartitionsRevoked(Collection<TopicPartition> gone) {
                    revoked.addAll(gone);
                }

                public void onPartitionsAssigned(Collection<TopicPartition> more) {}
            });
            Env.pollUntil("all four", of(a), () -> a.assignment().size() == 4);
            b.subscribe(of(topic));
            Env.pollUntil("two each", of(a, b), () -> GroupTests.covered(Env.all(topic, 4), of(a, b)) && a.assignment().size() == 2);
            Env.equal(Set.copyOf(b.assignment()), revoked, "revoked from the first");
        }
    }

    /** Both assignors first, then cooperative alone: the group changes over without an end. */
    static void upgrade() throws Exception {
        String topic = Env.topic(2), group = Env.unique("g");
        String both = CooperativeStickyAssignor.class.getName() + "," + RangeAssignor.class.getName();
        try (var old = CLASSIC.member(group, "partition.assignment.strategy", RangeAssignor.class.getName()); var next = CLASSIC.member(group, "partition.assignment.strategy", both)) {
            old.subscribe(of(topic));
            next.subscribe(of(topic));
            Env.pollUntil("one each", of(old, next), () -> GroupTests.covered(Env.all(topic, 2), of(old, next)) && old.assignment().size() == 1);
            old.close();
            Env.pollUntil("both", of(next), () -> next.assignment().size() == 2);
        }
    }

    /** A member whose client vanishes without a word: its session ends, the other one takes over. */
    static void dies() throws Exception {
        String topic = Env.topic(2), group = Env.unique("g");
        var a = CLASSIC.member(group);
        var b = CLASSIC.member(group);
        a.subscribe(of(topic));
        b.subscribe(of(topic));
        Env.pollUntil("one each", of(a, b), () -> GroupTests.covered(Env.all(topic, 2), of(a, b)) && a.assignment().size() == 1);
        b.close(org.apache.kafka.clients.consumer.CloseOptions.groupMembershipOperation(org.apache.kafka.clients.consumer.CloseOptions.GroupMembershipOperation.REMAIN_IN_GROUP));
        Env.pollUntil("the rest", of(a), () -> a.assignment().size() == 2);
        a.close();
    }

    /** Heartbeats go on, but poll is not called within max.poll.interval.ms. */
    static void stalls() throws Exception {
        String topic = Env.topic(2), group = Env.unique("g");
        try (var a = CLASSIC.member(group); var b = CLASSIC.member(group, "max.poll.interval.ms", 6100, "enable.auto.commit", false)) {
            a.subscribe(of(topic));
            b.subscribe(of(topic));
            Env.produce(topic, 0, 0, 1);
            Env.produce(topic, 1, 0, 1);
            Env.pollUntil("one each", of(a, b), () -> GroupTests.covered(Env.all(topic, 2), of(a, b)) && a.assignment().size() == 1);
            Env.pollUntil("the rest", of(a), () -> a.assignment().size() == 2);
            Env.fails(CommitFailedException.class, () -> {
                b.commitSync(Map.of(b.assignment().stream().findAny().orElse(Env.at(topic, 0)), new org.apache.kafka.clients.consumer.OffsetAndMetadata(1)));
                return "committed";
            });
        }
    }

    static void fenced() throws Exception {
        String topic = Env.topic(1), group = Env.unique("g");
        try (var old = CLASSIC.member(group, "group.instance.id", "a"); var next = CLASSIC.member(group, "group.instance.id", "a")) {
            old.subscribe(of(topic));
            next.subscribe(of(topic));
            Env.pollUntil("the first has it", of(old), () -> old.assignment().size() == 1);
            Env.pollUntil("the second has it", of(next), () -> next.assignment().size() == 1);
            Env.fails(FencedInstanceIdException.class, () -> {
                for (int i = 0; i < 100; i++) old.poll(Env.TICK);
                return "never fenced";
            });
        }
    }

    static void inconsistent() throws Exception {
        String topic = Env.topic(1), group = Env.unique("g");
        try (var a = CLASSIC.member(group, "partition.assignment.strategy", RangeAssignor.class.getName()); var b = CLASSIC.member(group, "partition.assignment.strategy", RoundRobinAssignor.class.getName())) {
            a.subscribe(of(topic));
            b.subscribe(of(topic));
            Env.pollUntil("the first has it", of(a), () -> a.assignment().size() == 1);
            Env.fails(InconsistentGroupProtocolException.class, () -> {
                for (int i = 0; i < 100; i++) b.poll(Env.TICK);
                return "never refused";
            });
        }
    }

    static void session() throws Exception {
        try (var c = Env.consumer("group.id", Env.unique("g"), "session.timeout.ms", 5000, "heartbeat.interval.ms", 1000)) {
            c.subscribe(of(Env.topic(1)));
            Env.fails(InvalidSessionTimeoutException.class, () -> {
                for (int i = 0; i < 100; i++) c.poll(Env.TICK);
                return "never refused";
            });
        }
    }

    static void enforced() throws Exception {
        List<Integer> generations = new ArrayList<>();
        try (KafkaConsumer<String, String> c = CLASSIC.member(Env.unique("g"))) {
            c.subscribe(of(Env.topic(1)));
            Env.pollUntil("an assignment", of(c), () -> c.assignment().size() == 1);
            ConsumerGroupMetadata first = c.groupMetadata();
            generations.add(first.generationId());
            c.enforceRebalance("a test");
            Env.pollUntil("a later generation", of(c), () -> c.groupMetadata().generationId() > generations.get(0));
            Env.equal(first.memberId(), c.groupMetadata().memberId(), "member id");
            c.poll(Duration.ofMillis(100));
        }
    }
}
