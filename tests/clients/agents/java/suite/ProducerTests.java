import static java.util.List.of;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.header.internals.RecordHeader;

/** The producer, idempotent as it is by default. */
final class ProducerTests {
    static void register() {
        for (String codec : of("none", "gzip", "snappy", "lz4", "zstd")) Main.test("producer_" + codec, () -> codec(codec));
        for (String acks : of("0", "1", "all")) Main.test("producer_acks_" + acks, () -> acks(acks));
        Main.test("producer_keeps_order_over_requests_in_flight", ProducerTests::order);
        Main.test("producer_refused_record_does_not_stop_it", ProducerTests::tooLarge);
        Main.test("producer_creates_a_topic_on_first_use", ProducerTests::autoCreate);
        Main.test("producer_unknown_partition_times_out", ProducerTests::unknownPartition);
        Main.test("producer_headers_times_and_nulls_come_back", ProducerTests::shapes);
        Main.test("producer_log_append_time", ProducerTests::appendTime);
        Main.test("producer_follows_a_topic_that_is_made_again", ProducerTests::madeAgain);
    }

    static List<RecordMetadata> send(String topic, int count, Object... config) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (var p = Env.producer(config)) {
            for (int i = 0; i < count; i++) sent.add(p.send(new ProducerRecord<>(topic, 0, "k", String.valueOf(i))));
        }
        List<RecordMetadata> all = new ArrayList<>();
        for (var f : sent) all.add(f.get());
        return all;
    }

    static void readBack(String topic, List<String> expected) {
        try (var c = Env.consumer()) {
            c.assign(of(Env.at(topic, 0)));
            Env.equal(expected, Env.values(Env.poll(c, expected.size())), "values");
        }
    }

    static void codec(String codec) throws Exception {
        String topic = Env.topic(1);
        var told = send(topic, 1000, "compression.type", codec, "linger.ms", 20);
        for (int i = 0; i < told.size(); i++) Env.equal((long) i, told.get(i).offset(), "offset of record " + i);
        readBack(topic, Env.numbers(0, 1000));
    }

    static void acks(String acks) throws Exception {
        String topic = Env.topic(1);
        var told = send(topic, 500, "acks", acks, "enable.idempotence", acks.equals("all"));
        Env.equal(acks.equals("0") ? -1L : 499L, told.get(499).offset(), "last offset");
        readBack(topic, Env.numbers(0, 500));
    }

    static void order() throws Exception {
        String topic = Env.topic(1);
        send(topic, 5000, "batch.size", 500, "linger.ms", 0, "max.in.flight.requests.per.connection", 5);
        readBack(topic, Env.numbers(0, 5000));
    }

    static void tooLarge() throws Exception {
        String topic = Env.topic(1, "max.message.bytes", "1000");
        try (var p = Env.producer()) {
            Env.equal(0L, p.send(new ProducerRecord<>(topic, 0, "k", "0")).get().offset(), "first");
            Env.fails(RecordTooLargeException.class, () -> p.send(new ProducerRecord<>(topic, 0, "k", "x".repeat(5000))).get());
            Env.equal(1L, p.send(new ProducerRecord<>(topic, 0, "k", "1")).get().offset(), "second");
        }
        readBack(topic, of("0", "1"));
    }

    static void autoCreate() throws Exception {
        String topic = Env.unique("auto");
        try (var p = Env.producer()) {
            Env.equal(0L, p.send(new ProducerRecord<>(topic, "k", "v")).get().offset(), "offset");
            Env.equal(4, p.partitionsFor(topic).size(), "partitions");
        }
    }

    static void unknownPartition() throws Exception {
        String topic = Env.topic(1);
        try (var p = Env.producer("max.block.ms", 1500)) {
            Env.fails(TimeoutException.class, () -> p.send(new ProducerRecord<>(topic, 9, "k", "v")).get());
        }
    }

    static void shapes() throws Exception {
        String topic = Env.topic(1);
        try (var p = Env.producer()) {
            var headers = of(new RecordHeader("h", "1".getBytes(StandardCharsets.UTF_8)), new RecordHeader("h", null), new RecordHeader("", new byte[0]));
            p.send(new ProducerRecord<>(topic, 0, 1234L, null, "v", List.copyOf(headers))).get();
            p.send(new ProducerRecord<>(topic, 0, "k", (String) null)).get();
        }
        try (var c = Env.consumer()) {
            c.assign(of(Env.at(topic, 0)));
            var got = Env.poll(c, 2);
            Env.equal(1234L, got.get(0).timestamp(), "time");
            Env.equal(null, got.get(0).key(), "key");
            Env.equal(3, got.get(0).headers().toArray().length, "headers");
            Env.equal(null, got.get(0).headers().toArray()[1].value(), "value of the second header");
            Env.equal(null, got.get(1).value(), "value");
            Env.equal(0, got.get(0).leaderEpoch().orElse(-1), "leader epoch");
        }
    }

    static void appendTime() throws Exception {
        String topic = Env.topic(1, "message.timestamp.type", "LogAppendTime");
        long before = System.currentTimeMillis() - 5;
        try (var p = Env.producer()) {
            long told = p.send(new ProducerRecord<>(topic, 0, 1L, "k", "v")).get().timestamp();
            Env.that(told >= before, "the broker's time, got " + told);
        }
    }

    static void madeAgain() throws Exception {
        String topic = Env.topic(1);
        try (var p = Env.producer("metadata.max.age.ms", 1000)) {
            p.send(new ProducerRecord<>(topic, 0, "k", "0")).get();
            Env.ADMIN.deleteTopics(of(topic)).all().get();
            Env.until("it is gone", () -> Env.leaders(topic) == 0);
            Env.ADMIN.createTopics(of(new org.apache.kafka.clients.admin.NewTopic(topic, 1, (short) 1))).all().get();
            Env.until("it is back", () -> Env.leaders(topic) == 1);
            Env.until("it takes records", () -> {
                try {
                    return p.send(new ProducerRecord<>(topic, 0, "k", "1")).get().offset() == 0;
                } catch (Exception e) {
                    return false;
                }
            });
        }
        readBack(topic, of("1"));
    }
}
