import static java.util.List.of;

import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** Offsets of partitions, by Admin and by consumers. */
final class OffsetTests {
    static void register() {
        Main.test("offsets_earliest_latest_max_timestamp", OffsetTests::byAdmin);
        Main.test("offsets_for_times_of_a_consumer", OffsetTests::forTimes);
        Main.test("offsets_beginning_and_end_of_a_consumer", OffsetTests::beginningAndEnd);
        Main.test("offsets_of_an_empty_partition", OffsetTests::empty);
    }

    static ListOffsetsResultInfo ask(TopicPartition p, OffsetSpec spec) throws Exception {
        return Env.ADMIN.listOffsets(Map.of(p, spec)).all().get().get(p);
    }

    /** Five records with times 1000, 3000, 2000, 5000, 4000. */
    static String timed() throws Exception {
        String name = Env.topic(1);
        long[] times = {1000, 3000, 2000, 5000, 4000};
        try (var p = Env.producer("compression.type", "lz4", "linger.ms", 50)) {
            for (int i = 0; i < times.length; i++) p.send(new ProducerRecord<>(name, 0, times[i], "k", String.valueOf(i)));
        }
        return name;
    }

    static void byAdmin() throws Exception {
        var p = Env.at(timed(), 0);
        Env.equal(0L, ask(p, OffsetSpec.earliest()).offset(), "earliest");
        Env.equal(5L, ask(p, OffsetSpec.latest()).offset(), "latest");
        Env.equal(3L, ask(p, OffsetSpec.maxTimestamp()).offset(), "offset of the largest time");
        Env.equal(5000L, ask(p, OffsetSpec.maxTimestamp()).timestamp(), "largest time");
        Env.equal(1L, ask(p, OffsetSpec.forTimestamp(1001)).offset(), "first record from 1001 on");
        Env.equal(-1L, ask(p, OffsetSpec.forTimestamp(5001)).offset(), "nothing from 5001 on");
        Env.equal(0L, ask(p, OffsetSpec.earliestLocal()).offset(), "earliest local");
    }

    static void forTimes() throws Exception {
        var p = Env.at(timed(), 0);
        try (var c = Env.consumer()) {
            var found = c.offsetsForTimes(Map.of(p, 2500L)).get(p);
            Env.equal(1L, found.offset(), "offset");
            Env.equal(3000L, found.timestamp(), "time");
            Map<TopicPartition, Long> late = new HashMap<>(Map.of(p, 9000L));
            Env.equal(null, c.offsetsForTimes(late).get(p), "after the last");
        }
    }

    static void beginningAndEnd() throws Exception {
        String name = Env.topic(2);
        Env.produce(name, 1, 0, 7);
        try (var c = Env.consumer()) {
            var both = of(Env.at(name, 0), Env.at(name, 1));
            Env.equal(Map.of(both.get(0), 0L, both.get(1), 7L), c.endOffsets(both), "ends");
            Env.equal(Map.of(both.get(0), 0L, both.get(1), 0L), c.beginningOffsets(both), "beginnings");
        }
    }

    static void empty() throws Exception {
        var p = Env.at(Env.topic(1), 0);
        Env.equal(-1L, ask(p, OffsetSpec.maxTimestamp()).offset(), "largest time");
        Env.equal(0L, ask(p, OffsetSpec.latest()).offset(), "latest");
        Env.equal(-1L, ask(p, OffsetSpec.forTimestamp(0)).offset(), "by time");
    }
}
