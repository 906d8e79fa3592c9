import static java.util.List.of;

import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.errors.ElectionNotNeededException;
import org.apache.kafka.common.errors.SecurityDisabledException;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.quota.ClientQuotaFilterComponent;

/** The cluster as Admin sees it. */
final class ClusterTests {
    static void register() {
        Main.test("cluster_has_one_node_that_is_the_controller", ClusterTests::describe);
        Main.test("cluster_features", ClusterTests::features);
        Main.test("cluster_acls_are_disabled", ClusterTests::acls);
        Main.test("cluster_log_dirs", ClusterTests::logDirs);
        Main.test("cluster_elections_are_not_needed", ClusterTests::elect);
        Main.test("cluster_has_no_reassignments", ClusterTests::reassignments);
        Main.test("cluster_quorum", ClusterTests::quorum);
        Main.test("cluster_quotas", ClusterTests::quotas);
        Main.test("cluster_scram_credentials", ClusterTests::scram);
        Main.test("cluster_producers_of_a_partition", ClusterTests::producers);
    }

    static void describe() throws Exception {
        var cluster = Env.ADMIN.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true));
        Env.equal(1, cluster.nodes().get().size(), "nodes");
        Env.equal(cluster.nodes().get().iterator().next(), cluster.controller().get(), "controller");
        Env.equal(22, cluster.clusterId().get().length(), "length of the cluster id");
        Env.that(!cluster.authorizedOperations().get().isEmpty(), "operations");
    }

    static void features() throws Exception {
        var meta = Env.ADMIN.describeFeatures().featureMetadata().get();
        Env.that(meta.finalizedFeatures().containsKey("metadata.version"), "metadata.version: " + meta);
        Env.that(meta.finalizedFeaturesEpoch().isPresent(), "an epoch of features");
    }

    static void acls() throws Exception {
        Env.fails(SecurityDisabledException.class, () -> Env.ADMIN.describeAcls(AclBindingFilter.ANY).values().get());
    }

    static void logDirs() throws Exception {
        String name = Env.topic(2);
        Env.produce(name, 0, 0, 100);
        var node = Env.ADMIN.describeCluster().nodes().get().iterator().next().id();
        var dirs = Env.ADMIN.describeLogDirs(of(node)).allDescriptions().get().get(node);
        var replicas = dirs.values().iterator().next().replicaInfos();
        Env.that(replicas.get(Env.at(name, 0)).size() > 0, "partition 0 has bytes");
        Env.equal(0L, replicas.get(Env.at(name, 1)).size(), "bytes of partition 1");
    }

    static void elect() throws Exception {
        var p = Env.at(Env.topic(1), 0);
        var result = Env.ADMIN.electLeaders(ElectionType.PREFERRED, Set.of(p)).partitions().get().get(p);
        Env.that(result.isPresent() && result.get() instanceof ElectionNotNeededException, "ELECTION_NOT_NEEDED: " + result);
    }

    static void reassignments() throws Exception {
        Env.equal(Map.of(), Env.ADMIN.listPartitionReassignments().reassignments().get(), "reassignments");
    }

    static void quorum() throws Exception {
        var quorum = Env.ADMIN.describeMetadataQuorum().quorumInfo().get();
        Env.equal(quorum.leaderId(), quorum.voters().get(0).replicaId(), "leader");
        Env.that(quorum.highWatermark() > 0, "a high watermark");
    }

    static void quotas() throws Exception {
        var who = new ClientQuotaEntity(Map.of("client-id", Env.unique("c")));
        var filter = ClientQuotaFilter.containsOnly(of(ClientQuotaFilterComponent.ofEntity("client-id", who.entries().get("client-id"))));
        Env.ADMIN.alterClientQuotas(of(new ClientQuotaAlteration(who, of(new ClientQuotaAlteration.Op("producer_byte_rate", 1e9))))).all().get();
        Env.until("the quota is told", () -> {
            try {
                return Env.ADMIN.describeClientQuotas(filter).entities().get().equals(Map.of(who, Map.of("producer_byte_rate", 1e9)));
            } catch (Exception e) {
                throw new AssertionError(e);
            }
        });
        Env.ADMIN.alterClientQuotas(of(new ClientQuotaAlteration(who, of(new ClientQuotaAlteration.Op("producer_byte_rate", null))))).all().get();
    }

    static void scram() throws Exception {
        String user = Env.unique("u");
        Env.ADMIN.alterUserScramCredentials(of(new UserScramCredentialUpsertion(user, new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096), "secret"))).all().get();
        Env.until("the user is told", () -> {
            try {
                return Env.ADMIN.describeUserScramCredentials().all().get().containsKey(user);
            } catch (Exception e) {
                throw new AssertionError(e);
            }
        });
    }

    static void producers() throws Exception {
        var p = Env.at(Env.topic(1), 0);
        Env.produce(p.topic(), 0, 0, 3);
        var active = Env.ADMIN.describeProducers(of(p)).all().get().get(p).activeProducers();
        Env.equal(1, active.size(), "producers");
        Env.equal(2, active.get(0).lastSequence(), "last sequence");
    }
}
