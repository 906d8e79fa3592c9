import static java.util.List.of;

import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;

/** The transactional producer and readers of committed records. */
final class TransactionTests {
    static void register() {
        Main.test("transactions_commit_is_read", () -> commitOrAbort(true));
        Main.test("transactions_abort_is_not_read", () -> commitOrAbort(false));
        Main.test("transactions_commit_offsets_of_a_group", TransactionTests::offsets);
        Main.test("transactions_second_producer_fences_the_first", TransactionTests::fencing);
        Main.test("transactions_fence_by_admin", TransactionTests::fenceByAdmin);
        Main.test("transactions_list_and_describe", TransactionTests::describe);
    }

    static void commitOrAbort(boolean commit) throws Exception {
        String topic = Env.topic(1);
        try (var p = Env.producer("transactional.id", Env.unique("x"))) {
            p.initTransactions();
            p.beginTransaction();
            p.send(new ProducerRecord<>(topic, 0, "k", "in"));
            if (commit) p.commitTransaction();
            else p.abortTransaction();
        }
        Env.produce(topic, 0, 0, 1);
        try (var c = Env.consumer("isolation.level", "read_committed")) {
            c.assign(of(Env.at(topic, 0)));
            Env.equal(commit ? of("in", "0") : of("0"), Env.values(Env.poll(c, commit ? 2 : 1)), "values");
        }
    }

    static void offsets() throws Exception {
        var at = Env.at(Env.topic(1), 0);
        String group = Env.unique("g");
        try (var p = Env.producer("transactional.id", Env.unique("x"))) {
            p.initTransactions();
            p.beginTransaction();
            p.sendOffsetsToTransaction(Map.of(at, new OffsetAndMetadata(3)), new ConsumerGroupMetadata(group));
            p.commitTransaction();
        }
        Env.until("the offset is there", () -> {
            try {
                return Map.of(at, new OffsetAndMetadata(3)).equals(GroupAdminTests.committed(group));
            } catch (Exception e) {
                throw new AssertionError(e);
            }
        });
    }

    /** Whether it meets the coordinator or the partition first decides which of the two it is told. */
    private static void refusedAsFenced(Main.Body body) throws Exception {
        try {
            body.run();
        } catch (ProducerFencedException | InvalidProducerEpochException e) {
            return;
        }
        throw new AssertionError("the first producer committed");
    }

    static void fencing() throws Exception {
        String topic = Env.topic(1), id = Env.unique("x");
        try (var first = Env.producer("transactional.id", id); var second = Env.producer("transactional.id", id)) {
            first.initTransactions();
            first.beginTransaction();
            first.send(new ProducerRecord<>(topic, 0, "k", "lost")).get();
            second.initTransactions();
            refusedAsFenced(first::commitTransaction);
        }
    }

    static void fenceByAdmin() throws Exception {
        String id = Env.unique("x");
        try (var p = Env.producer("transactional.id", id)) {
            p.initTransactions();
            Env.ADMIN.fenceProducers(of(id)).all().get();
            p.beginTransaction();
            refusedAsFenced(() -> {
                p.send(new ProducerRecord<>(Env.topic(1), 0, "k", "v"));
                p.commitTransaction();
            });
        }
    }

    static void describe() throws Exception {
        String topic = Env.topic(1), id = Env.unique("x");
        try (var p = Env.producer("transactional.id", id)) {
            p.initTransactions();
            p.beginTransaction();
            p.send(new ProducerRecord<>(topic, 0, "k", "v")).get();
            Env.that(Env.ADMIN.listTransactions().all().get().stream().anyMatch(t -> t.transactionalId().equals(id)), "it is listed");
            var t = Env.ADMIN.describeTransactions(of(id)).all().get().get(id);
            Env.equal(Env.all(topic, 1), t.topicPartitions(), "partitions");
            p.abortTransaction();
        }
    }
}
