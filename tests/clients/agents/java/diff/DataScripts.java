import static java.util.List.of;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.FetchRequestData.FetchPartition;
import org.apache.kafka.common.message.FetchRequestData.FetchTopic;
import org.apache.kafka.common.message.ListOffsetsRequestData.ListOffsetsPartition;
import org.apache.kafka.common.message.ListOffsetsRequestData.ListOffsetsTopic;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.SimpleRecord;

/** Records in, records out, and where they are. */
final class DataScripts {
    static void register() {
        Main.script("produce", ApiMessageType.PRODUCE, DataScripts::produce);
        Main.script("produce-idempotent", ApiMessageType.PRODUCE, DataScripts::idempotent);
        Main.script("fetch", ApiMessageType.FETCH, DataScripts::fetch);
        Main.script("fetch-limits", ApiMessageType.FETCH, DataScripts::limits);
        Main.script("fetch-sessions", ApiMessageType.FETCH, DataScripts::sessions);
        Main.script("list-offsets", ApiMessageType.LIST_OFFSETS, DataScripts::listOffsets);
        Main.script("offset-for-leader-epoch", ApiMessageType.OFFSET_FOR_LEADER_EPOCH, DataScripts::epochs);
        Main.script("delete-records", ApiMessageType.DELETE_RECORDS, DataScripts::deleteRecords);
        Main.script("init-producer-id", ApiMessageType.INIT_PRODUCER_ID, DataScripts::initProducerId);
    }

    /** Records of the last minute: older ones would fall to retention. */
    static final long BEGAN = System.currentTimeMillis() - 60_000;

    static SimpleRecord[] records(int count, int size) {
        SimpleRecord[] all = new SimpleRecord[count];
        for (int i = 0; i < count; i++) all[i] = new SimpleRecord(BEGAN + 1000 * i, ("k" + i).getBytes(StandardCharsets.UTF_8), new byte[size]);
        return all;
    }

    static MemoryRecords batch(int count, int size) {
        return MemoryRecords.withRecords(Compression.NONE, records(count, size));
    }

    /** A copy with one byte of it turned over. */
    static MemoryRecords broken(MemoryRecords records, int at) {
        ByteBuffer copy = ByteBuffer.allocate(records.sizeInBytes()).put(records.buffer().duplicate()).flip();
        copy.put(at, (byte) ~copy.get(at));
        return MemoryRecords.readableRecords(copy);
    }

    /** A request to one partition; by id from version 13 on. */
    static ProduceRequestData to(Main.Both b, Uuid id, String name, int partition, MemoryRecords records, int acks) {
        var topic = new ProduceRequestData.TopicProduceData();
        if (b.version >= 13) topic.setTopicId(id);
        else topic.setName(name);
        topic.setPartitionData(of(new ProduceRequestData.PartitionProduceData().setIndex(partition).setRecords(records)));
        var request = new ProduceRequestData().setAcks((short) acks).setTimeoutMs(10_000);
        request.topicData().add(topic);
        return request;
    }

    static void put(Main.Both b, String label, Uuid[] ids, int partition, MemoryRecords records, int acks) throws Exception {
        b.ask(label, ApiMessageType.PRODUCE, (s, i) -> to(b, ids[i], b.id, partition, records, acks));
    }

    static void produce(Main.Both b) throws Exception {
        TopicScripts.make(b, b.id, 2, "max.message.bytes", "5000");
        Uuid[] ids = TopicScripts.ids(b, b.id);
        put(b, "a batch, acks=all", ids, 0, batch(3, 10), -1);
        put(b, "a batch, acks=1", ids, 0, batch(2, 10), 1);
        put(b, "acks=2", ids, 0, batch(2, 10), 2);
        put(b, "no such partition", ids, 7, batch(2, 10), -1);
        put(b, "too large", ids, 0, batch(1, 6000), -1);
        put(b, "a wrong checksum", ids, 0, broken(batch(2, 10), 70), -1);
        put(b, "magic 5", ids, 0, broken(batch(2, 10), 16), -1);
        put(b, "a wrong length", ids, 0, broken(batch(2, 10), 11), -1);
        put(b, "no records", ids, 0, MemoryRecords.EMPTY, -1);
        Uuid[] none = {Uuid.fromString("0123456789012345678901"), Uuid.fromString("0123456789012345678901")};
        b.ask("no such topic", ApiMessageType.PRODUCE, (s, i) -> to(b, none[i], b.id + "x", 0, batch(1, 1), -1));
        for (var codec : of(Compression.gzip().build(), Compression.snappy().build(), Compression.lz4().build(), Compression.zstd().build()))
            put(b, "compressed by " + codec.type().name, ids, 1, MemoryRecords.withRecords(codec, records(3, 50)), -1);
        MemoryRecords two = two();
        put(b, "two batches at once", ids, 1, two, -1);
        TopicScripts.make(b, b.id + "t", 1, "message.timestamp.type", "LogAppendTime");
        Uuid[] timed = TopicScripts.ids(b, b.id + "t");
        b.ask("into the broker's time", ApiMessageType.PRODUCE, (s, i) -> to(b, timed[i], b.id + "t", 0, batch(2, 10), -1));
        TopicScripts.make(b, b.id + "w", 1, "message.timestamp.before.max.ms", "1000");
        Uuid[] window = TopicScripts.ids(b, b.id + "w");
        b.ask("too old for the topic", ApiMessageType.PRODUCE, (s, i) -> to(b, window[i], b.id + "w", 0, batch(2, 10), -1));
    }

    private static MemoryRecords two() {
        ByteBuffer one = batch(2, 10).buffer(), all = ByteBuffer.allocate(2 * one.remaining());
        return MemoryRecords.readableRecords(all.put(one.duplicate()).put(one.duplicate()).flip());
    }

    static void idempotent(Main.Both b) throws Exception {
        TopicScripts.make(b, b.id, 1);
        Uuid[] ids = TopicScripts.ids(b, b.id);
        readyToInit(b);
        var given = b.help(ApiMessageType.INIT_PRODUCER_ID, 4, (s, i) -> new InitProducerIdRequestData().setTransactionalId(null).setTransactionTimeoutMs(1000).setProducerId(-1).setProducerEpoch((short) -1));
        long[] producer = {((InitProducerIdResponseData) given[0]).producerId(), ((InitProducerIdResponseData) given[1]).producerId()};
        int[][] steps = {{0, 0}, {0, 3}, {0, 3}, {0, 9}, {0, 6}, {0, 0}, {1, 4}, {1, 0}, {0, 9}, {2, 0}};
        for (int[] step : steps)
            b.ask("epoch " + step[0] + " sequence " + step[1], ApiMessageType.PRODUCE, (s, i) -> to(b, ids[i], b.id, 0, sequenced(producer[i], step[0], step[1]), -1));
        b.ask("an id that nobody gave, from 5", ApiMessageType.PRODUCE, (s, i) -> to(b, ids[i], b.id, 0, sequenced(77_777, 0, 5), -1));
        b.ask("acks=1", ApiMessageType.PRODUCE, (s, i) -> to(b, ids[i], b.id, 0, sequenced(producer[i], 2, 3), 1));
    }

    private static MemoryRecords sequenced(long producer, int epoch, int sequence) {
        return MemoryRecords.withIdempotentRecords(Compression.NONE, producer, (short) epoch, sequence, records(3, 5));
    }

    static FetchRequestData from(Main.Both b, Uuid id, String name, long... partitionAndOffset) {
        var topic = new FetchTopic();
        if (b.version >= 13) topic.setTopicId(id);
        else topic.setTopic(name);
        for (int p = 0; p < partitionAndOffset.length; p += 2)
            topic.partitions().add(new FetchPartition().setPartition((int) partitionAndOffset[p]).setFetchOffset(partitionAndOffset[p + 1]).setPartitionMaxBytes(1 << 20));
        return new FetchRequestData().setMaxWaitMs(100).setMinBytes(1).setMaxBytes(1 << 20).setSessionEpoch(-1).setTopics(of(topic));
    }

    private static Uuid[] filled(Main.Both b) throws Exception {
        TopicScripts.make(b, b.id, 2);
        Uuid[] ids = TopicScripts.ids(b, b.id);
        for (int n = 0; n < 3; n++) putByName(b, b.id, 0, batch(4, 100));
        return ids;
    }

    /** Writes on both sides. A Kafka that leads a new partition may refuse its first batch: then the script cannot go on. */
    private static void putByName(Main.Both b, String name, int partition, MemoryRecords records) throws Exception {
        for (ApiMessage m : b.help(ApiMessageType.PRODUCE, 12, (s, i) -> byName(name, partition, records))) {
            int error = ((ProduceResponseData) m).responses().iterator().next().partitionResponses().get(0).errorCode();
            if (error != 0) throw new IllegalStateException("a batch that the script needs was refused with error " + error);
        }
    }

    private static ProduceRequestData byName(String name, int partition, MemoryRecords records) {
        var topic = new ProduceRequestData.TopicProduceData().setName(name).setPartitionData(of(new ProduceRequestData.PartitionProduceData().setIndex(partition).setRecords(records)));
        var request = new ProduceRequestData().setAcks((short) -1).setTimeoutMs(10_000);
        request.topicData().add(topic);
        return request;
    }

    static void fetch(Main.Both b) throws Exception {
        Uuid[] ids = filled(b);
        b.ask("from 0", ApiMessageType.FETCH, (s, i) -> from(b, ids[i], b.id, 0, 0));
        b.ask("from within a batch", ApiMessageType.FETCH, (s, i) -> from(b, ids[i], b.id, 0, 6));
        b.ask("at the end, and an empty partition", ApiMessageType.FETCH, (s, i) -> from(b, ids[i], b.id, 0, 12, 1, 0));
        b.ask("beyond the end", ApiMessageType.FETCH, (s, i) -> from(b, ids[i], b.id, 0, 13));
        b.ask("before the beginning", ApiMessageType.FETCH, (s, i) -> from(b, ids[i], b.id, 0, -1));
        b.ask("no such partition", ApiMessageType.FETCH, (s, i) -> from(b, ids[i], b.id, 9, 0));
        Uuid none = Uuid.fromString("0123456789012345678901");
        b.ask("no such topic", ApiMessageType.FETCH, (s, i) -> from(b, none, b.id + "x", 0, 0));
        b.ask("one byte at most", ApiMessageType.FETCH, (s, i) -> from(b, ids[i], b.id, 0, 0).setMaxBytes(1));
        b.ask("read committed", ApiMessageType.FETCH, (s, i) -> from(b, ids[i], b.id, 0, 0).setIsolationLevel((byte) 1));
        if (b.version >= 9) {
            b.ask("an epoch to come", ApiMessageType.FETCH, (s, i) -> epoch(from(b, ids[i], b.id, 0, 0), 9));
            b.ask("its epoch", ApiMessageType.FETCH, (s, i) -> epoch(from(b, ids[i], b.id, 0, 0), 0));
        }
    }

    /** How much comes of four batches of 508 bytes in two partitions. */
    static void limits(Main.Both b) throws Exception {
        Uuid[] ids = filled(b);
        putByName(b, b.id, 1, batch(4, 100));
        for (int all : new int[] {0, -1, 507, 508, 509, 1100, 5000})
            b.ask("at most " + all, ApiMessageType.FETCH, (s, i) -> from(b, ids[i], b.id, 0, 0, 1, 0).setMaxBytes(all));
        for (int each : new int[] {0, -1, 507, 600, 1016, 1020, 5000}) {
            b.ask("at most " + each + " of a partition", ApiMessageType.FETCH, (s, i) -> {
                var request = from(b, ids[i], b.id, 0, 0, 1, 0);
                request.topics().get(0).partitions().forEach(p -> p.setPartitionMaxBytes(each));
                return request;
            });
        }
        b.ask("min bytes that never come", ApiMessageType.FETCH, (s, i) -> from(b, ids[i], b.id, 0, 0).setMinBytes(1 << 20).setMaxWaitMs(50));
        b.ask("a partition twice", ApiMessageType.FETCH, (s, i) -> from(b, ids[i], b.id, 0, 0, 0, 4));
        b.ask("no topics", ApiMessageType.FETCH, (s, i) -> from(b, ids[i], b.id, 0, 0).setTopics(of()));
        b.ask("as a follower of nobody", ApiMessageType.FETCH, (s, i) -> {
            var request = from(b, ids[i], b.id, 0, 0);
            return b.version < 15 ? request.setReplicaId(77) : request.setReplicaState(new FetchRequestData.ReplicaState().setReplicaId(77));
        });
    }

    private static FetchRequestData epoch(FetchRequestData request, int epoch) {
        request.topics().get(0).partitions().get(0).setCurrentLeaderEpoch(epoch);
        return request;
    }

    static void sessions(Main.Both b) throws Exception {
        if (b.version < 7) return;
        Uuid[] ids = filled(b);
        int[] session = new int[2];
        var first = b.at("a new session", ApiMessageType.FETCH, b.version, (s, i) -> from(b, ids[i], b.id, 0, 12, 1, 0).setSessionEpoch(0));
        for (int i = 0; i < 2; i++) session[i] = ((FetchResponseData) first[i]).sessionId();
        b.ask("nothing new", ApiMessageType.FETCH, (s, i) -> incremental(session[i], 1));
        putByName(b, b.id, 1, batch(1, 10));
        b.ask("one partition has news", ApiMessageType.FETCH, (s, i) -> incremental(session[i], 2));
        b.ask("an epoch too far", ApiMessageType.FETCH, (s, i) -> incremental(session[i], 7));
        b.ask("no such session", ApiMessageType.FETCH, (s, i) -> incremental(123_456_789, 1));
        b.ask("closed", ApiMessageType.FETCH, (s, i) -> incremental(session[i], -1));
        b.ask("after that", ApiMessageType.FETCH, (s, i) -> incremental(session[i], 3));
    }

    private static FetchRequestData incremental(int session, int epoch) {
        return new FetchRequestData().setMaxWaitMs(100).setMinBytes(1).setMaxBytes(1 << 20).setSessionId(session).setSessionEpoch(epoch);
    }

    static void listOffsets(Main.Both b) throws Exception {
        filled(b);
        long[] times = {-1, -2, -3, -4, -5, -6, -7, 0, BEGAN, BEGAN + 1500, BEGAN + 9_000_000};
        for (long time : times) {
            // A version that does not know a special time treats it as the others do.
            list(b, "time " + (time < 1 ? time : time - BEGAN), b.id, 0, time, -1);
            list(b, "empty, time " + (time < 1 ? time : time - BEGAN), b.id, 1, time, -1);
        }
        list(b, "no such partition", b.id, 9, -1, -1);
        list(b, "no such topic", b.id + "x", 0, -1, -1);
        if (b.version >= 4) {
            list(b, "its epoch", b.id, 0, -1, 0);
            list(b, "an epoch to come", b.id, 0, -1, 9);
        }
        if (b.version >= 2) {
            for (long time : new long[] {-1, -2, BEGAN}) b.ask("read committed, time " + Math.min(time, 1), ApiMessageType.LIST_OFFSETS, (s, i) -> listing(b, b.id, 0, time, -1).setIsolationLevel((byte) 1));
        }
        b.ask("as a follower of nobody", ApiMessageType.LIST_OFFSETS, (s, i) -> listing(b, b.id, 0, -1, -1).setReplicaId(77));
        b.ask("no topics", ApiMessageType.LIST_OFFSETS, (s, i) -> new ListOffsetsRequestData().setReplicaId(-1));
        b.ask("a partition twice", ApiMessageType.LIST_OFFSETS, (s, i) -> {
            var p = new ListOffsetsPartition().setPartitionIndex(0).setTimestamp(-1);
            return new ListOffsetsRequestData().setReplicaId(-1).setTopics(of(new ListOffsetsTopic().setName(b.id).setPartitions(of(p, p.duplicate()))));
        });
    }

    private static void list(Main.Both b, String label, String topic, int partition, long time, int epoch) throws Exception {
        b.ask(label, ApiMessageType.LIST_OFFSETS, (s, i) -> listing(b, topic, partition, time, epoch));
    }

    private static ListOffsetsRequestData listing(Main.Both b, String topic, int partition, long time, int epoch) {
        var p = new ListOffsetsPartition().setPartitionIndex(partition).setTimestamp(time);
        if (b.version >= 4) p.setCurrentLeaderEpoch(epoch);
        return new ListOffsetsRequestData().setReplicaId(-1).setTopics(of(new ListOffsetsTopic().setName(topic).setPartitions(of(p))));
    }

    static void epochs(Main.Both b) throws Exception {
        filled(b);
        for (int[] ask : new int[][] {{0, 0}, {0, 5}, {-1, 0}, {9, 0}, {-1, -1}}) {
            b.ask("epoch " + ask[1] + " at " + ask[0], ApiMessageType.OFFSET_FOR_LEADER_EPOCH, (s, i) -> {
                var p = new OffsetForLeaderEpochRequestData.OffsetForLeaderPartition().setPartition(0).setCurrentLeaderEpoch(ask[0]).setLeaderEpoch(ask[1]);
                var request = new OffsetForLeaderEpochRequestData().setReplicaId(-1);
                request.topics().add(new OffsetForLeaderEpochRequestData.OffsetForLeaderTopic().setTopic(b.id).setPartitions(of(p)));
                request.topics().add(new OffsetForLeaderEpochRequestData.OffsetForLeaderTopic().setTopic(b.id + "x").setPartitions(of(p.duplicate())));
                return request;
            });
        }
    }

    static void deleteRecords(Main.Both b) throws Exception {
        filled(b);
        for (long offset : List.of(3L, 2L, 13L, -1L, -2L)) {
            b.ask("before " + offset, ApiMessageType.DELETE_RECORDS, (s, i) -> {
                var p = new DeleteRecordsRequestData.DeleteRecordsPartition().setPartitionIndex(0).setOffset(offset);
                var missing = new DeleteRecordsRequestData.DeleteRecordsPartition().setPartitionIndex(9).setOffset(offset);
                return new DeleteRecordsRequestData().setTimeoutMs(10_000).setTopics(of(new DeleteRecordsRequestData.DeleteRecordsTopic().setName(b.id).setPartitions(of(p, missing))));
            });
        }
    }

    /** A Kafka asks its controller for a block of ids on first use, and refuses so long. */
    private static void readyToInit(Main.Both b) throws Exception {
        for (int tries = 0; tries < 50; tries++) {
            ApiMessage[] got = b.help(ApiMessageType.INIT_PRODUCER_ID, 4, (s, i) -> new InitProducerIdRequestData().setTransactionalId(null).setTransactionTimeoutMs(1000).setProducerId(-1).setProducerEpoch((short) -1));
            if (((InitProducerIdResponseData) got[1]).errorCode() == 0) return;
            Thread.sleep(100);
        }
    }

    static void initProducerId(Main.Both b) throws Exception {
        readyToInit(b);
        b.ask("a new one", ApiMessageType.INIT_PRODUCER_ID, (s, i) -> new InitProducerIdRequestData().setTransactionalId(null).setTransactionTimeoutMs(1000).setProducerId(-1).setProducerEpoch((short) -1));
        b.ask("an empty transactional id", ApiMessageType.INIT_PRODUCER_ID, (s, i) -> new InitProducerIdRequestData().setTransactionalId("").setTransactionTimeoutMs(1000).setProducerId(-1).setProducerEpoch((short) -1));
        if (b.version >= 3) b.ask("an epoch without an id", ApiMessageType.INIT_PRODUCER_ID, (s, i) -> new InitProducerIdRequestData().setTransactionalId(null).setTransactionTimeoutMs(1000).setProducerId(-1).setProducerEpoch((short) 3));
    }
}
