import static java.util.List.of;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.NoOffsetForPartitionException;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.InvalidTopicException;

/** Consumers that assign partitions to themselves. */
final class ConsumerTests {
    static void register() {
        Main.test("consumer_seek_and_position", ConsumerTests::seek);
        Main.test("consumer_pause_and_resume", ConsumerTests::pause);
        Main.test("consumer_max_poll_records", ConsumerTests::maxPoll);
        Main.test("consumer_reset_none_tells_no_offset", ConsumerTests::resetNone);
        Main.test("consumer_out_of_range", ConsumerTests::outOfRange);
        Main.test("consumer_waits_and_is_woken_by_a_record", ConsumerTests::longPoll);
        Main.test("consumer_reads_records_larger_than_its_limit", ConsumerTests::largeRecords);
        Main.test("consumer_read_committed_without_transactions", ConsumerTests::readCommitted);
        Main.test("consumer_commits_without_a_group_membership", ConsumerTests::commitAssigned);
        Main.test("consumer_lag", ConsumerTests::lag);
        Main.test("consumer_illegal_topic", ConsumerTests::illegalTopic);
        Main.test("consumer_many_partitions", ConsumerTests::manyPartitions);
        Main.test("consumer_fetch_min_bytes_waits", ConsumerTests::minBytes);
    }

    static void seek() throws Exception {
        var p = Env.at(Env.topic(1), 0);
        Env.produce(p.topic(), 0, 0, 100);
        try (var c = Env.consumer()) {
            c.assign(of(p));
            c.seek(p, 42);
            Env.equal(Env.numbers(42, 100), Env.values(Env.poll(c, 58)), "from 42");
            c.seekToBeginning(of(p));
            Env.equal(0L, c.position(p), "beginning");
            c.seekToEnd(of(p));
            Env.equal(100L, c.position(p), "end");
            c.seek(p, new OffsetAndMetadata(99, java.util.Optional.of(0), ""));
            Env.equal(of("99"), Env.values(Env.poll(c, 1)), "with a leader epoch");
        }
    }

    static void pause() throws Exception {
        String topic = Env.topic(2);
        Env.produce(topic, 0, 0, 10);
        Env.produce(topic, 1, 10, 20);
        try (var c = Env.consumer()) {
            c.assign(Env.all(topic, 2));
            c.pause(of(Env.at(topic, 0)));
            Env.equal(Env.numbers(10, 20), Env.values(Env.poll(c, 10)), "while 0 is paused");
            Env.that(c.poll(Duration.ofMillis(500)).isEmpty(), "no more");
            c.resume(of(Env.at(topic, 0)));
            Env.equal(Env.numbers(0, 10), Env.values(Env.poll(c, 10)), "after resume");
        }
    }

    static void maxPoll() throws Exception {
        String topic = Env.topic(1);
        Env.produce(topic, 0, 0, 50);
        try (var c = Env.consumer("max.poll.records", 7)) {
            c.assign(of(Env.at(topic, 0)));
            List<Integer> sizes = new ArrayList<>();
            int all = 0;
            while (all < 50) {
                int n = c.poll(Duration.ofSeconds(5)).count();
                sizes.add(n);
                all += n;
            }
            Env.that(sizes.stream().allMatch(n -> n <= 7), "at most 7: " + sizes);
        }
    }

    static void resetNone() throws Exception {
        var p = Env.at(Env.topic(1), 0);
        try (var c = Env.consumer("auto.offset.reset", "none", "group.id", Env.unique("g"))) {
            c.assign(of(p));
            Env.fails(NoOffsetForPartitionException.class, () -> {
                while (true) c.poll(Env.TICK);
            });
        }
    }

    static void outOfRange() throws Exception {
        var p = Env.at(Env.topic(1), 0);
        Env.produce(p.topic(), 0, 0, 3);
        try (var c = Env.consumer("auto.offset.reset", "none")) {
            c.assign(of(p));
            c.seek(p, 17);
            Env.fails(OffsetOutOfRangeException.class, () -> {
                while (true) c.poll(Env.TICK);
            });
        }
        try (var c = Env.consumer("auto.offset.reset", "earliest")) {
            c.assign(of(p));
            c.seek(p, 17);
            Env.equal(Env.numbers(0, 3), Env.values(Env.poll(c, 3)), "reset to the earliest");
        }
    }

    static void longPoll() throws Exception {
        var p = Env.at(Env.topic(1), 0);
        try (var c = Env.consumer("fetch.max.wait.ms", 20000); var w = Env.producer()) {
            c.assign(of(p));
            c.poll(Duration.ofSeconds(1));
            long began = System.nanoTime();
            w.send(new ProducerRecord<>(p.topic(), 0, "k", "v")).get();
            Env.equal(1, c.poll(Duration.ofSeconds(15)).count(), "records");
            Env.that((System.nanoTime() - began) / 1_000_000 < 3000, "within 3 s");
        }
    }

    static void largeRecords() throws Exception {
        var p = Env.at(Env.topic(1), 0);
        try (var w = Env.producer()) {
            for (int i = 0; i < 3; i++) w.send(new ProducerRecord<>(p.topic(), 0, "k", String.valueOf(i).repeat(200_000))).get();
        }
        try (var c = Env.consumer("max.partition.fetch.bytes", 1000, "fetch.max.bytes", 1000)) {
            c.assign(of(p));
            Env.equal(3, Env.poll(c, 3).size(), "records");
        }
    }

    static void readCommitted() throws Exception {
        var p = Env.at(Env.topic(1), 0);
        Env.produce(p.topic(), 0, 0, 20);
        try (var c = Env.consumer("isolation.level", "read_committed")) {
            c.assign(of(p));
            Env.equal(Env.numbers(0, 20), Env.values(Env.poll(c, 20)), "values");
            Env.equal(Map.of(p, 20L), c.endOffsets(of(p)), "end");
        }
    }

    static void commitAssigned() throws Exception {
        var p = Env.at(Env.topic(1), 0);
        Env.produce(p.topic(), 0, 0, 10);
        String group = Env.unique("g");
        try (var c = Env.consumer("group.id", group, "enable.auto.commit", false)) {
            c.assign(of(p));
            c.commitSync(Map.of(p, new OffsetAndMetadata(6, java.util.Optional.of(0), "note")));
            Env.equal(new OffsetAndMetadata(6, java.util.Optional.of(0), "note"), c.committed(java.util.Set.of(p)).get(p), "committed");
        }
        try (var c = Env.consumer("group.id", group)) {
            c.assign(of(p));
            Env.equal(Env.numbers(6, 10), Env.values(Env.poll(c, 4)), "from the commit on");
        }
    }

    static void lag() throws Exception {
        var p = Env.at(Env.topic(1), 0);
        Env.produce(p.topic(), 0, 0, 10);
        try (var c = Env.consumer("max.poll.records", 4)) {
            c.assign(of(p));
            Env.equal(4, c.poll(Duration.ofSeconds(10)).count(), "records");
            Env.equal(6L, c.currentLag(p).getAsLong(), "lag");
        }
    }

    static void illegalTopic() throws Exception {
        try (var c = Env.consumer("group.id", Env.unique("g"))) {
            c.subscribe(of("topic with spaces"));
            Env.fails(InvalidTopicException.class, () -> {
                while (true) c.poll(Env.TICK);
            });
        }
    }

    static void manyPartitions() throws Exception {
        String topic = Env.topic(60);
        try (var w = Env.producer()) {
            for (int i = 0; i < 600; i++) w.send(new ProducerRecord<>(topic, i % 60, "k", String.valueOf(i)));
        }
        try (var c = Env.consumer()) {
            c.assign(Env.all(topic, 60));
            Env.equal(600, Env.poll(c, 600).size(), "records");
        }
    }

    static void minBytes() throws Exception {
        var p = Env.at(Env.topic(1), 0);
        Env.produce(p.topic(), 0, 0, 1);
        try (var c = Env.consumer("fetch.min.bytes", 1_000_000, "fetch.max.wait.ms", 1500)) {
            c.assign(of(p));
            c.position(p);
            long began = System.nanoTime();
            Env.poll(c, 1);
            Env.that((System.nanoTime() - began) / 1_000_000 >= 1000, "an answer after fetch.max.wait.ms only");
        }
    }
}
