import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Clients of the broker under test, topics, and assertions that say what was expected. */
final class Env {
    static final String BOOTSTRAP = Objects.requireNonNull(System.getenv("BOOTSTRAP"), "BOOTSTRAP: host:port of the broker");
    static final Duration TICK = Duration.ofMillis(100);
    static final Admin ADMIN = Admin.create(Map.of("bootstrap.servers", BOOTSTRAP, "request.timeout.ms", "15000", "default.api.timeout.ms", "20000"));

    static String unique(String what) {
        return what + "-" + UUID.randomUUID().toString().substring(0, 8);
    }

    /** A new topic that takes records. */
    static String topic(int partitions, String... configs) throws Exception {
        String name = unique("t");
        Map<String, String> map = new HashMap<>();
        for (int i = 0; i < configs.length; i += 2) map.put(configs[i], configs[i + 1]);
        ADMIN.createTopics(List.of(new NewTopic(name, partitions, (short) 1).configs(map))).all().get();
        until("topic " + name + " has leaders", () -> leaders(name) == partitions);
        return name;
    }

    static int leaders(String topic) {
        try {
            return (int) ADMIN.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().stream().filter(p -> p.leader() != null).count();
        } catch (InterruptedException | ExecutionException e) {
            return 0;
        }
    }

    static Map<String, Object> with(Map<String, Object> base, Object... more) {
        Map<String, Object> all = new HashMap<>(base);
        for (int i = 0; i < more.length; i += 2) all.put((String) more[i], more[i + 1]);
        return all;
    }

    static KafkaProducer<String, String> producer(Object... config) {
        Map<String, Object> base = Map.of("bootstrap.servers", BOOTSTRAP, "key.serializer", StringSerializer.class, "value.serializer", StringSerializer.class);
        return new KafkaProducer<>(with(base, config));
    }

    static KafkaConsumer<String, String> consumer(Object... config) {
        Map<String, Object> base = Map.of("bootstrap.servers", BOOTSTRAP, "key.deserializer", StringDeserializer.class, "value.deserializer", StringDeserializer.class, "auto.offset.reset", "earliest");
        return new KafkaConsumer<>(with(base, config));
    }

    /** Writes values FROM..TO-1 to one partition and waits for them. */
    static void produce(String topic, int partition, int from, int to) {
        try (var p = producer()) {
            for (int i = from; i < to; i++) p.send(new ProducerRecord<>(topic, partition, "k" + i, String.valueOf(i)));
            p.flush();
        }
    }

    /** Polls until that many records are there; more is a failure, and so is too few within 20 s. */
    static List<ConsumerRecord<String, String>> poll(Consumer<String, String> c, int count) {
        List<ConsumerRecord<String, String>> all = new ArrayList<>();
        long end = System.currentTimeMillis() + 20_000;
        while (all.size() < count && System.currentTimeMillis() < end) c.poll(TICK).forEach(all::add);
        equal(count, all.size(), "records polled");
        return all;
    }

    static List<String> values(List<ConsumerRecord<String, String>> records) {
        return records.stream().map(ConsumerRecord::value).toList();
    }

    static List<String> numbers(int from, int to) {
        List<String> all = new ArrayList<>();
        for (int i = from; i < to; i++) all.add(String.valueOf(i));
        return all;
    }

    /** Polls all these consumers until the condition holds, for 30 s at most. */
    static void pollUntil(String what, List<? extends Consumer<String, String>> consumers, BooleanSupplier holds) {
        long end = System.currentTimeMillis() + 30_000;
        while (!holds.getAsBoolean()) {
            that(System.currentTimeMillis() < end, "within 30 s: " + what);
            for (var c : consumers) c.poll(TICK);
        }
    }

    static void until(String what, BooleanSupplier holds) throws InterruptedException {
        long end = System.currentTimeMillis() + 20_000;
        while (!holds.getAsBoolean()) {
            that(System.currentTimeMillis() < end, "within 20 s: " + what);
            Thread.sleep(50);
        }
    }

    static void that(boolean holds, String what) {
        if (!holds) throw new AssertionError("expected: " + what);
    }

    static void equal(Object expected, Object actual, String what) {
        if (!Objects.equals(expected, actual)) throw new AssertionError(what + ": expected " + expected + ", got " + actual);
    }

    /** The call fails with this exception, directly or as the cause. */
    static <T extends Throwable> T fails(Class<T> expected, Callable<?> call) throws Exception {
        Object got;
        try {
            got = call.call();
        } catch (Throwable t) {
            Throwable cause = t instanceof ExecutionException ? t.getCause() : t;
            if (expected.isInstance(cause)) return expected.cast(cause);
            throw new AssertionError("expected " + expected.getSimpleName() + ", got " + cause);
        }
        throw new AssertionError("expected " + expected.getSimpleName() + ", got " + got);
    }

    static TopicPartition at(String topic, int partition) {
        return new TopicPartition(topic, partition);
    }

    static Set<TopicPartition> all(String topic, int partitions) {
        Set<TopicPartition> set = new java.util.HashSet<>();
        for (int i = 0; i < partitions; i++) set.add(at(topic, i));
        return set;
    }
}
