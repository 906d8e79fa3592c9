import static java.util.List.of;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.GroupSubscribedToTopicException;
import org.apache.kafka.common.errors.UnknownMemberIdException;

/** Groups by Admin. */
final class GroupAdminTests {
    static void register() {
        Main.test("groups_list_by_state_and_type", GroupAdminTests::list);
        Main.test("groups_describe_members_and_states", GroupAdminTests::describe);
        Main.test("groups_describe_unknown", GroupAdminTests::describeUnknown);
        Main.test("groups_alter_list_and_delete_offsets", GroupAdminTests::offsets);
        Main.test("groups_offsets_of_a_subscribed_topic_stay", GroupAdminTests::subscribed);
        Main.test("groups_delete", GroupAdminTests::delete);
        Main.test("groups_remove_members", GroupAdminTests::removeMembers);
        Main.test("groups_offsets_of_a_deleted_topic_go", GroupAdminTests::topicGone);
    }

    static Map<TopicPartition, OffsetAndMetadata> committed(String group) throws Exception {
        return Env.ADMIN.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
    }

    static String emptyGroup(TopicPartition p, long offset) throws Exception {
        String group = Env.unique("g");
        Env.ADMIN.alterConsumerGroupOffsets(group, Map.of(p, new OffsetAndMetadata(offset))).all().get();
        return group;
    }

    static boolean listed(ListGroupsOptions options, String group) throws Exception {
        return Env.ADMIN.listGroups(options).all().get().stream().anyMatch(g -> g.groupId().equals(group));
    }

    static void list() throws Exception {
        String empty = emptyGroup(Env.at(Env.topic(1), 0), 0);
        Env.that(listed(ListGroupsOptions.forConsumerGroups(), empty) || listed(new ListGroupsOptions(), empty), "the group is listed");
        Env.that(listed(new ListGroupsOptions().inGroupStates(Set.of(GroupState.EMPTY)), empty), "it is Empty");
        Env.that(!listed(new ListGroupsOptions().inGroupStates(Set.of(GroupState.STABLE)), empty), "it is not Stable");
        Env.that(listed(new ListGroupsOptions().withTypes(Set.of(GroupType.CLASSIC)), empty), "it is classic");
        Env.that(!listed(new ListGroupsOptions().withTypes(Set.of(GroupType.CONSUMER)), empty), "it is not of the new protocol");
    }

    static void describe() throws Exception {
        String topic = Env.topic(2), group = Env.unique("g");
        try (var c = ClassicTests.CLASSIC.member(group, "client.id", "me", "group.instance.id", "i")) {
            c.subscribe(of(topic));
            Env.pollUntil("both", of(c), () -> c.assignment().size() == 2);
            Env.until("it is Stable", () -> state(group) == GroupState.STABLE);
            var g = Env.ADMIN.describeConsumerGroups(of(group)).all().get().get(group);
            var m = g.members().iterator().next();
            Env.equal("range", g.partitionAssignor(), "assignor");
            Env.equal("me", m.clientId(), "client id");
            Env.equal("i", m.groupInstanceId().get(), "instance id");
            Env.equal("/127.0.0.1", m.host(), "host");
            Env.equal(Env.all(topic, 2), m.assignment().topicPartitions(), "assignment");
            Env.equal(c.groupMetadata().memberId(), m.consumerId(), "member id");
            Env.equal(1, g.coordinator().host().isEmpty() ? 0 : 1, "a coordinator");
        }
    }

    static GroupState state(String group) {
        try {
            return Env.ADMIN.describeConsumerGroups(of(group)).all().get().get(group).groupState();
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    static void describeUnknown() throws Exception {
        Env.fails(GroupIdNotFoundException.class, () -> Env.ADMIN.describeConsumerGroups(of(Env.unique("missing"))).all().get());
        Env.equal(Map.of(), committed(Env.unique("missing")), "offsets of an unknown group");
    }

    static void offsets() throws Exception {
        String topic = Env.topic(2);
        var p0 = Env.at(topic, 0);
        var p1 = Env.at(topic, 1);
        String group = emptyGroup(p0, 5);
        Env.ADMIN.alterConsumerGroupOffsets(group, Map.of(p1, new OffsetAndMetadata(6, java.util.Optional.of(3), "note"))).all().get();
        Env.equal(Map.of(p0, new OffsetAndMetadata(5), p1, new OffsetAndMetadata(6, java.util.Optional.of(3), "note")), committed(group), "offsets");
        Env.ADMIN.deleteConsumerGroupOffsets(group, Set.of(p0)).all().get();
        Env.equal(Set.of(p1), committed(group).keySet(), "after deletion");
        Env.fails(GroupIdNotFoundException.class, () -> Env.ADMIN.deleteConsumerGroupOffsets(Env.unique("missing"), Set.of(p0)).all().get());
    }

    static void subscribed() throws Exception {
        String topic = Env.topic(1), group = Env.unique("g");
        var p = Env.at(topic, 0);
        try (var c = ClassicTests.CLASSIC.member(group)) {
            c.subscribe(of(topic));
            Env.pollUntil("it", of(c), () -> c.assignment().size() == 1);
            c.commitSync(Map.of(p, new OffsetAndMetadata(0)));
            Env.fails(GroupSubscribedToTopicException.class, () -> Env.ADMIN.deleteConsumerGroupOffsets(group, Set.of(p)).all().get());
            Env.fails(UnknownMemberIdException.class, () -> Env.ADMIN.alterConsumerGroupOffsets(group, Map.of(p, new OffsetAndMetadata(1))).all().get());
            Env.fails(GroupNotEmptyException.class, () -> Env.ADMIN.deleteConsumerGroups(of(group)).all().get());
        }
    }

    static void delete() throws Exception {
        String group = emptyGroup(Env.at(Env.topic(1), 0), 1);
        Env.ADMIN.deleteConsumerGroups(of(group)).all().get();
        Env.equal(Map.of(), committed(group), "offsets");
        Env.that(!listed(new ListGroupsOptions(), group), "it is not listed");
        Env.fails(GroupIdNotFoundException.class, () -> Env.ADMIN.deleteConsumerGroups(of(group)).all().get());
    }

    static void removeMembers() throws Exception {
        String topic = Env.topic(1), group = Env.unique("g");
        try (var c = ClassicTests.CLASSIC.member(group, "group.instance.id", "i")) {
            c.subscribe(of(topic));
            Env.pollUntil("it", of(c), () -> c.assignment().size() == 1);
            Env.ADMIN.removeMembersFromConsumerGroup(group, new RemoveMembersFromConsumerGroupOptions(of(new MemberToRemove("i")))).all().get();
            Env.equal(GroupState.EMPTY, state(group), "state");
            Env.fails(UnknownMemberIdException.class, () -> Env.ADMIN.removeMembersFromConsumerGroup(group, new RemoveMembersFromConsumerGroupOptions(of(new MemberToRemove("i")))).all().get());
        }
    }

    static void topicGone() throws Exception {
        String gone = Env.topic(1), stays = Env.topic(1);
        String group = emptyGroup(Env.at(gone, 0), 1);
        Map<TopicPartition, OffsetAndMetadata> more = new HashMap<>(Map.of(Env.at(stays, 0), new OffsetAndMetadata(2)));
        Env.ADMIN.alterConsumerGroupOffsets(group, more).all().get();
        Env.ADMIN.deleteTopics(of(gone)).all().get();
        Env.until("only the other topic's offset is left", () -> {
            try {
                return committed(group).keySet().equals(more.keySet());
            } catch (Exception e) {
                throw new AssertionError(e);
            }
        });
    }
}
