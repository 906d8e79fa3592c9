import static java.util.List.of;

import java.nio.charset.StandardCharsets;
import java.util.List;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.LeaveGroupRequestData.MemberIdentity;
import org.apache.kafka.common.message.OffsetCommitRequestData.OffsetCommitRequestPartition;
import org.apache.kafka.common.message.OffsetCommitRequestData.OffsetCommitRequestTopic;
import org.apache.kafka.common.protocol.ApiMessage;

/** Groups of the classic protocol: coordinator, members, offsets. */
final class GroupScripts {
    static void register() {
        Main.script("find-coordinator", ApiMessageType.FIND_COORDINATOR, GroupScripts::findCoordinator);
        Main.script("join-group", ApiMessageType.JOIN_GROUP, GroupScripts::join);
        Main.script("sync-group", ApiMessageType.SYNC_GROUP, GroupScripts::sync);
        Main.script("heartbeat", ApiMessageType.HEARTBEAT, GroupScripts::heartbeat);
        Main.script("leave-group", ApiMessageType.LEAVE_GROUP, GroupScripts::leave);
        Main.script("offset-commit", ApiMessageType.OFFSET_COMMIT, GroupScripts::commit);
        Main.script("offset-fetch", ApiMessageType.OFFSET_FETCH, GroupScripts::fetch);
        Main.script("describe-groups", ApiMessageType.DESCRIBE_GROUPS, GroupScripts::describe);
        Main.script("list-groups", ApiMessageType.LIST_GROUPS, GroupScripts::list);
        Main.script("delete-groups", ApiMessageType.DELETE_GROUPS, GroupScripts::delete);
        Main.script("offset-delete", ApiMessageType.OFFSET_DELETE, GroupScripts::offsetDelete);
    }

    /** Until both have loaded the coordinator of this group. */
    static void ready(Main.Both b, String group) throws Exception {
        for (int tries = 0; tries < 100; tries++) {
            boolean good = true;
            for (ApiMessage m : b.help(ApiMessageType.FIND_COORDINATOR, 3, (s, i) -> new FindCoordinatorRequestData().setKey(group))) good &= ((FindCoordinatorResponseData) m).errorCode() == 0;
            for (ApiMessage m : b.help(ApiMessageType.HEARTBEAT, 3, (s, i) -> new HeartbeatRequestData().setGroupId(group).setMemberId("nobody").setGenerationId(1))) good &= ((HeartbeatResponseData) m).errorCode() == 25;
            if (good) return;
            Thread.sleep(50);
        }
        throw new IllegalStateException("no coordinator for " + group);
    }

    static void findCoordinator(Main.Both b) throws Exception {
        ready(b, b.id);
        for (int type : new int[] {0, 3, -1}) {
            for (String key : of(b.id, "")) {
                if (b.version == 0 && type != 0) continue;
                b.ask("type " + type + " key '" + (key.isEmpty() ? "" : "id") + "'", ApiMessageType.FIND_COORDINATOR, (s, i) -> {
                    var request = new FindCoordinatorRequestData().setKeyType((byte) type);
                    return b.version >= 4 ? request.setCoordinatorKeys(of(key)) : request.setKey(key);
                });
            }
        }
        if (b.version >= 4) b.ask("no keys", ApiMessageType.FIND_COORDINATOR, (s, i) -> new FindCoordinatorRequestData().setCoordinatorKeys(of()));
    }

    static JoinGroupRequestData joining(Main.Both b, String group, String member, String instance, short version) {
        var request = new JoinGroupRequestData().setGroupId(group).setMemberId(member).setProtocolType("consumer").setSessionTimeoutMs(10_000).setRebalanceTimeoutMs(10_000);
        if (version >= 5) request.setGroupInstanceId(instance);
        for (String p : of("range", "roundrobin")) request.protocols().add(new JoinGroupRequestData.JoinGroupRequestProtocol().setName(p).setMetadata(p.getBytes(StandardCharsets.UTF_8)));
        return request;
    }

    /** A member of a stable group on each side: member ids by side; its generation is 1. */
    static String[] member(Main.Both b, String group, String instance) throws Exception {
        ready(b, group);
        short v = 7;
        String[] ids = {"", ""};
        ApiMessage[] answers = b.help(ApiMessageType.JOIN_GROUP, v, (s, i) -> joining(b, group, "", instance, v));
        for (int i = 0; i < 2; i++) ids[i] = ((JoinGroupResponseData) answers[i]).memberId();
        if (instance == null) b.help(ApiMessageType.JOIN_GROUP, v, (s, i) -> joining(b, group, ids[i], null, v));
        b.help(ApiMessageType.SYNC_GROUP, 4, (s, i) -> syncing(group, ids[i], 1, ids[i], (short) 4, instance));
        return ids;
    }

    static SyncGroupRequestData syncing(String group, String member, int generation, String assigned, short version, String instance) {
        var request = new SyncGroupRequestData().setGroupId(group).setMemberId(member).setGenerationId(generation);
        if (version >= 3) request.setGroupInstanceId(instance);
        if (version >= 5) request.setProtocolType("consumer").setProtocolName("range");
        if (assigned != null) request.assignments().add(new SyncGroupRequestData.SyncGroupRequestAssignment().setMemberId(assigned).setAssignment(new byte[] {1, 2, 3}));
        return request;
    }

    static void join(Main.Both b) throws Exception {
        ready(b, b.id);
        short v = b.version;
        String[] ids = {"", ""};
        ApiMessage[] first = b.at("a new member", ApiMessageType.JOIN_GROUP, v, (s, i) -> joining(b, b.id, "", null, v));
        for (int i = 0; i < 2; i++) ids[i] = ((JoinGroupResponseData) first[i]).memberId();
        if (v >= 4) b.ask("with its id", ApiMessageType.JOIN_GROUP, (s, i) -> joining(b, b.id, ids[i], null, v));
        b.ask("once more", ApiMessageType.JOIN_GROUP, (s, i) -> joining(b, b.id, ids[i], null, v));
        b.ask("an unknown member", ApiMessageType.JOIN_GROUP, (s, i) -> joining(b, b.id, "nobody", null, v));
        b.ask("another protocol type", ApiMessageType.JOIN_GROUP, (s, i) -> joining(b, b.id, ids[i], null, v).setProtocolType("connect"));
        b.ask("no group id", ApiMessageType.JOIN_GROUP, (s, i) -> joining(b, "", "", null, v));
        b.ask("a short session", ApiMessageType.JOIN_GROUP, (s, i) -> joining(b, b.id + "s", "", null, v).setSessionTimeoutMs(5));
        b.ask("a long session", ApiMessageType.JOIN_GROUP, (s, i) -> joining(b, b.id + "s", "", null, v).setSessionTimeoutMs(100_000_000));
        b.ask("no protocol type", ApiMessageType.JOIN_GROUP, (s, i) -> joining(b, b.id + "p", "", null, v).setProtocolType(""));
        b.ask("no protocols", ApiMessageType.JOIN_GROUP, (s, i) -> new JoinGroupRequestData().setGroupId(b.id + "p").setProtocolType("consumer").setSessionTimeoutMs(10_000));
        if (v >= 5) {
            ApiMessage[] fixed = b.at("a static member", ApiMessageType.JOIN_GROUP, v, (s, i) -> joining(b, b.id + "i", "", "one", v));
            b.help(ApiMessageType.SYNC_GROUP, 4, (s, i) -> syncing(b.id + "i", ((JoinGroupResponseData) fixed[i]).memberId(), 1, ((JoinGroupResponseData) fixed[i]).memberId(), (short) 4, "one"));
            b.ask("which comes back", ApiMessageType.JOIN_GROUP, (s, i) -> joining(b, b.id + "i", "", "one", v));
            b.ask("with its old id", ApiMessageType.JOIN_GROUP, (s, i) -> joining(b, b.id + "i", ((JoinGroupResponseData) fixed[i]).memberId(), "one", v));
        }
    }

    static void sync(Main.Both b) throws Exception {
        ready(b, b.id);
        short v = b.version, jv = 7;
        String[] ids = {"", ""};
        ApiMessage[] first = b.help(ApiMessageType.JOIN_GROUP, jv, (s, i) -> joining(b, b.id, "", null, jv));
        for (int i = 0; i < 2; i++) ids[i] = ((JoinGroupResponseData) first[i]).memberId();
        b.help(ApiMessageType.JOIN_GROUP, jv, (s, i) -> joining(b, b.id, ids[i], null, jv));
        b.ask("an unknown member", ApiMessageType.SYNC_GROUP, (s, i) -> syncing(b.id, "nobody", 1, null, v, null));
        b.ask("a generation to come", ApiMessageType.SYNC_GROUP, (s, i) -> syncing(b.id, ids[i], 9, ids[i], v, null));
        if (v >= 5) b.ask("another protocol", ApiMessageType.SYNC_GROUP, (s, i) -> syncing(b.id, ids[i], 1, ids[i], v, null).setProtocolName("roundrobin"));
        b.ask("the leader", ApiMessageType.SYNC_GROUP, (s, i) -> syncing(b.id, ids[i], 1, ids[i], v, null));
        b.ask("and again", ApiMessageType.SYNC_GROUP, (s, i) -> syncing(b.id, ids[i], 1, null, v, null));
        b.ask("an unknown group", ApiMessageType.SYNC_GROUP, (s, i) -> syncing(b.id + "x", ids[i], 1, null, v, null));
        b.ask("no group", ApiMessageType.SYNC_GROUP, (s, i) -> syncing("", ids[i], 1, null, v, null));
    }

    static void heartbeat(Main.Both b) throws Exception {
        String[] ids = member(b, b.id, null);
        b.ask("a member", ApiMessageType.HEARTBEAT, (s, i) -> beat(b.id, ids[i], 1));
        b.ask("an old generation", ApiMessageType.HEARTBEAT, (s, i) -> beat(b.id, ids[i], 0));
        b.ask("an unknown member", ApiMessageType.HEARTBEAT, (s, i) -> beat(b.id, "nobody", 1));
        b.ask("an unknown group", ApiMessageType.HEARTBEAT, (s, i) -> beat(b.id + "x", "nobody", 1));
        b.ask("no group", ApiMessageType.HEARTBEAT, (s, i) -> beat("", "nobody", 1));
        if (b.version >= 3) {
            String[] fixed = member(b, b.id + "i", "one");
            b.ask("a static member", ApiMessageType.HEARTBEAT, (s, i) -> beat(b.id + "i", fixed[i], 1).setGroupInstanceId("one"));
            b.ask("its instance with another id", ApiMessageType.HEARTBEAT, (s, i) -> beat(b.id + "i", "nobody", 1).setGroupInstanceId("one"));
            b.ask("another instance", ApiMessageType.HEARTBEAT, (s, i) -> beat(b.id + "i", fixed[i], 1).setGroupInstanceId("two"));
        }
    }

    private static HeartbeatRequestData beat(String group, String member, int generation) {
        return new HeartbeatRequestData().setGroupId(group).setMemberId(member).setGenerationId(generation);
    }

    static void leave(Main.Both b) throws Exception {
        String[] ids = member(b, b.id, null);
        b.ask("an unknown member", ApiMessageType.LEAVE_GROUP, (s, i) -> leaving(b, b.id, "nobody", null));
        b.ask("a member", ApiMessageType.LEAVE_GROUP, (s, i) -> leaving(b, b.id, ids[i], null));
        b.ask("again", ApiMessageType.LEAVE_GROUP, (s, i) -> leaving(b, b.id, ids[i], null));
        b.ask("an unknown group", ApiMessageType.LEAVE_GROUP, (s, i) -> leaving(b, b.id + "x", ids[i], null));
        if (b.version >= 3) {
            String[] fixed = member(b, b.id + "i", "one");
            b.ask("its instance with another id", ApiMessageType.LEAVE_GROUP, (s, i) -> leaving(b, b.id + "i", "nobody", "one"));
            b.ask("by instance alone", ApiMessageType.LEAVE_GROUP, (s, i) -> leaving(b, b.id + "i", "", "one"));
            b.ask("an instance of nobody", ApiMessageType.LEAVE_GROUP, (s, i) -> leaving(b, b.id + "i", fixed[i], "two"));
        }
    }

    private static LeaveGroupRequestData leaving(Main.Both b, String group, String member, String instance) {
        var request = new LeaveGroupRequestData().setGroupId(group);
        return b.version < 3 ? request.setMemberId(member) : request.setMembers(of(new MemberIdentity().setMemberId(member).setGroupInstanceId(instance)));
    }

    static OffsetCommitRequestData committing(short version, Uuid id, String topic, String group, String member, int generation, int partition, long offset) {
        var p = new OffsetCommitRequestPartition().setPartitionIndex(partition).setCommittedOffset(offset).setCommittedMetadata("note");
        if (version >= 6) p.setCommittedLeaderEpoch(2);
        var t = new OffsetCommitRequestTopic().setPartitions(of(p));
        if (version >= 10) t.setTopicId(id);
        else t.setName(topic);
        return new OffsetCommitRequestData().setGroupId(group).setMemberId(member).setGenerationIdOrMemberEpoch(generation).setTopics(of(t));
    }

    static void commit(Main.Both b) throws Exception {
        TopicScripts.make(b, b.id, 2);
        Uuid[] ids = TopicScripts.ids(b, b.id);
        String[] members = member(b, b.id, null);
        short v = b.version;
        b.ask("a member", ApiMessageType.OFFSET_COMMIT, (s, i) -> committing(v, ids[i], b.id, b.id, members[i], 1, 0, 5));
        b.ask("an old generation", ApiMessageType.OFFSET_COMMIT, (s, i) -> committing(v, ids[i], b.id, b.id, members[i], 0, 0, 5));
        b.ask("an unknown member", ApiMessageType.OFFSET_COMMIT, (s, i) -> committing(v, ids[i], b.id, b.id, "nobody", 1, 0, 5));
        b.ask("nobody, while it has members", ApiMessageType.OFFSET_COMMIT, (s, i) -> committing(v, ids[i], b.id, b.id, "", -1, 0, 5));
        b.ask("nobody, to a new group", ApiMessageType.OFFSET_COMMIT, (s, i) -> committing(v, ids[i], b.id, b.id + "n", "", -1, 0, 5));
        b.ask("a member of an unknown group", ApiMessageType.OFFSET_COMMIT, (s, i) -> committing(v, ids[i], b.id, b.id + "x", "nobody", 1, 0, 5));
        b.ask("no such partition", ApiMessageType.OFFSET_COMMIT, (s, i) -> committing(v, ids[i], b.id, b.id, members[i], 1, 7, 5));
        Uuid none = Uuid.fromString("0123456789012345678901");
        b.ask("no such topic", ApiMessageType.OFFSET_COMMIT, (s, i) -> committing(v, none, b.id + "x", b.id, members[i], 1, 0, 5));
        b.ask("a negative offset", ApiMessageType.OFFSET_COMMIT, (s, i) -> committing(v, ids[i], b.id, b.id, members[i], 1, 0, -7));
        b.ask("a long note", ApiMessageType.OFFSET_COMMIT, (s, i) -> {
            var request = committing(v, ids[i], b.id, b.id, members[i], 1, 0, 5);
            request.topics().get(0).partitions().get(0).setCommittedMetadata("x".repeat(5000));
            return request;
        });
        b.ask("no group", ApiMessageType.OFFSET_COMMIT, (s, i) -> committing(v, ids[i], b.id, "", "", -1, 0, 5));
        b.ask("no topics", ApiMessageType.OFFSET_COMMIT, (s, i) -> new OffsetCommitRequestData().setGroupId(b.id).setMemberId(members[i]).setGenerationIdOrMemberEpoch(1));
    }

    static void fetch(Main.Both b) throws Exception {
        TopicScripts.make(b, b.id, 2);
        Uuid[] ids = TopicScripts.ids(b, b.id);
        ready(b, b.id);
        b.help(ApiMessageType.OFFSET_COMMIT, 9, (s, i) -> committing((short) 9, ids[i], b.id, b.id, "", -1, 0, 5));
        for (String group : of(b.id, b.id + "x", "")) {
            String label = group.isEmpty() ? "no group" : group.equals(b.id) ? "a group" : "an unknown group";
            b.ask(label, ApiMessageType.OFFSET_FETCH, (s, i) -> fetching(b, group, ids[i], b.id, false));
            // Other scripts commit to the group without a name.
            if (b.version >= 2 && !group.isEmpty()) b.ask(label + ", all its topics", ApiMessageType.OFFSET_FETCH, (s, i) -> fetching(b, group, null, null, false));
            if (b.version >= 7) b.ask(label + ", stable", ApiMessageType.OFFSET_FETCH, (s, i) -> fetching(b, group, ids[i], b.id, true));
        }
        Uuid none = Uuid.fromString("0123456789012345678901");
        b.ask("an unknown topic", ApiMessageType.OFFSET_FETCH, (s, i) -> fetching(b, b.id, none, b.id + "x", false));
        if (b.version >= 9)
            b.ask("as an unknown member", ApiMessageType.OFFSET_FETCH, (s, i) -> {
                var request = fetching(b, b.id, ids[i], b.id, false);
                request.groups().get(0).setMemberId("nobody").setMemberEpoch(3);
                return request;
            });
    }

    private static OffsetFetchRequestData fetching(Main.Both b, String group, Uuid id, String topic, boolean stable) {
        var request = new OffsetFetchRequestData();
        if (b.version >= 7) request.setRequireStable(stable);
        if (b.version >= 8) {
            var topics = new OffsetFetchRequestData.OffsetFetchRequestTopics().setPartitionIndexes(of(0, 1));
            if (b.version >= 10) topics.setTopicId(id == null ? Uuid.ZERO_UUID : id);
            else topics.setName(topic == null ? "" : topic);
            return request.setGroups(of(new OffsetFetchRequestData.OffsetFetchRequestGroup().setGroupId(group).setTopics(topic == null ? null : of(topics))));
        }
        return request.setGroupId(group).setTopics(topic == null ? null : of(new OffsetFetchRequestData.OffsetFetchRequestTopic().setName(topic).setPartitionIndexes(of(0, 1))));
    }

    static void describe(Main.Both b) throws Exception {
        member(b, b.id, null);
        List<String> groups = of(b.id, b.id + "x");
        b.ask("a stable one and a missing one", ApiMessageType.DESCRIBE_GROUPS, (s, i) -> new DescribeGroupsRequestData().setGroups(groups).setIncludeAuthorizedOperations(b.version >= 3));
        b.ask("none", ApiMessageType.DESCRIBE_GROUPS, (s, i) -> new DescribeGroupsRequestData());
        b.ask("no name", ApiMessageType.DESCRIBE_GROUPS, (s, i) -> new DescribeGroupsRequestData().setGroups(of("")));
        if (b.version >= 4) {
            member(b, b.id + "i", "one");
            b.ask("with a static member", ApiMessageType.DESCRIBE_GROUPS, (s, i) -> new DescribeGroupsRequestData().setGroups(of(b.id + "i")));
        }
    }

    /** Other scripts' groups are left out: only the one made here is kept of each answer. */
    static void list(Main.Both b) throws Exception {
        member(b, b.id, null);
        lists(b, "all", of(), of());
        if (b.version >= 4) for (String state : of("Stable", "Empty", "stable", "Nonsense")) lists(b, "in state " + state, of(state), of());
        if (b.version >= 5) for (String type : of("classic", "consumer", "Classic", "nonsense")) lists(b, "of type " + type, of(), of(type));
    }

    private static void lists(Main.Both b, String label, List<String> states, List<String> types) throws Exception {
        b.ask(label, ApiMessageType.LIST_GROUPS, (s, i) -> new ListGroupsRequestData().setStatesFilter(states).setTypesFilter(types));
        Main.Exchange e = b.exchanges.get(b.exchanges.size() - 1);
        ((ListGroupsResponseData) e.ours()).groups().removeIf(g -> !g.groupId().equals(b.id));
        ((ListGroupsResponseData) e.theirs()).groups().removeIf(g -> !g.groupId().equals(b.id));
    }

    static void delete(Main.Both b) throws Exception {
        TopicScripts.make(b, b.id, 1);
        Uuid[] ids = TopicScripts.ids(b, b.id);
        member(b, b.id, null);
        ready(b, b.id + "e");
        b.help(ApiMessageType.OFFSET_COMMIT, 9, (s, i) -> committing((short) 9, ids[i], b.id, b.id + "e", "", -1, 0, 5));
        for (String label : of("a stable one, an empty one, a missing one", "again"))
            b.ask(label, ApiMessageType.DELETE_GROUPS, (s, i) -> new DeleteGroupsRequestData().setGroupsNames(of(b.id, b.id + "e", b.id + "x", "")));
    }

    static void offsetDelete(Main.Both b) throws Exception {
        TopicScripts.make(b, b.id, 2);
        Uuid[] ids = TopicScripts.ids(b, b.id);
        ready(b, b.id);
        b.help(ApiMessageType.OFFSET_COMMIT, 9, (s, i) -> committing((short) 9, ids[i], b.id, b.id, "", -1, 0, 5));
        for (String group : of(b.id, b.id + "x", ""))
            b.ask(group.equals(b.id) ? "a group" : "'" + (group.isEmpty() ? "" : "unknown") + "'", ApiMessageType.OFFSET_DELETE, (s, i) -> {
                var p = of(new OffsetDeleteRequestData.OffsetDeleteRequestPartition().setPartitionIndex(0), new OffsetDeleteRequestData.OffsetDeleteRequestPartition().setPartitionIndex(1));
                var request = new OffsetDeleteRequestData().setGroupId(group);
                request.topics().add(new OffsetDeleteRequestData.OffsetDeleteRequestTopic().setName(b.id).setPartitions(p));
                request.topics().add(new OffsetDeleteRequestData.OffsetDeleteRequestTopic().setName(b.id + "x").setPartitions(of(p.get(0).duplicate())));
                return request;
            });
    }
}
