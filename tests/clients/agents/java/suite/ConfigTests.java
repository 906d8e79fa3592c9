import static java.util.List.of;

import java.util.Collection;
import java.util.Map;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigOp.OpType;
import org.apache.kafka.clients.admin.AlterConfigsOptions;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConfigEntry.ConfigSource;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Configurations by Admin. */
final class ConfigTests {
    static void register() {
        Main.test("configs_of_a_topic_tell_source_type_and_synonyms", ConfigTests::topicConfigs);
        Main.test("configs_of_the_broker", ConfigTests::brokerConfigs);
        Main.test("configs_set_and_delete", ConfigTests::setAndDelete);
        Main.test("configs_append_and_subtract", ConfigTests::appendAndSubtract);
        Main.test("configs_refused_change_nothing", ConfigTests::refused);
        Main.test("configs_of_all_brokers_are_inherited", ConfigTests::clusterDefault);
        Main.test("configs_list_of_resources", ConfigTests::listResources);
        Main.test("configs_of_a_group", ConfigTests::groupConfigs);
    }

    static ConfigResource topic(String name) {
        return new ConfigResource(ConfigResource.Type.TOPIC, name);
    }

    static Config configs(ConfigResource of) throws Exception {
        var options = new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true);
        return Env.ADMIN.describeConfigs(of(of), options).all().get().get(of);
    }

    static void alter(ConfigResource resource, OpType op, String key, String value) throws Exception {
        Collection<AlterConfigOp> ops = of(new AlterConfigOp(new ConfigEntry(key, value), op));
        Env.ADMIN.incrementalAlterConfigs(Map.of(resource, ops)).all().get();
    }

    static void becomes(ConfigResource resource, String key, String value) throws Exception {
        Env.until(key + " is " + value, () -> {
            try {
                return configs(resource).get(key).value().equals(value);
            } catch (Exception e) {
                return false;
            }
        });
    }

    static void topicConfigs() throws Exception {
        Config all = configs(topic(Env.topic(1, "retention.ms", "1000")));
        ConfigEntry set = all.get("retention.ms"), left = all.get("segment.bytes");
        Env.equal(ConfigSource.DYNAMIC_TOPIC_CONFIG, set.source(), "source of retention.ms");
        Env.equal("1000", set.value(), "retention.ms");
        Env.equal(ConfigEntry.ConfigType.LONG, set.type(), "type of retention.ms");
        Env.equal("retention.ms", set.synonyms().get(0).name(), "first synonym");
        Env.equal("1073741824", left.value(), "segment.bytes");
        Env.that(left.isDefault() && !left.isReadOnly() && !left.isSensitive(), "segment.bytes is a default: " + left);
        Env.that(set.documentation() != null && !set.documentation().isEmpty(), "documentation of retention.ms");
        Env.fails(UnknownTopicOrPartitionException.class, () -> configs(topic(Env.unique("missing"))));
    }

    static ConfigResource broker() throws Exception {
        return new ConfigResource(ConfigResource.Type.BROKER, Env.ADMIN.describeCluster().nodes().get().iterator().next().idString());
    }

    static void brokerConfigs() throws Exception {
        Config all = configs(broker());
        Env.equal("4", all.get("num.partitions").value(), "num.partitions");
        Env.equal(ConfigSource.STATIC_BROKER_CONFIG, all.get("num.partitions").source(), "source of num.partitions");
        Env.that(all.get("node.id").isReadOnly(), "node.id is read only");
        Env.that(all.entries().size() > 50, "more than 50 entries, got " + all.entries().size());
    }

    static void setAndDelete() throws Exception {
        ConfigResource t = topic(Env.topic(1));
        alter(t, OpType.SET, "max.message.bytes", "2000");
        becomes(t, "max.message.bytes", "2000");
        alter(t, OpType.DELETE, "max.message.bytes", "");
        becomes(t, "max.message.bytes", "1048588");
    }

    static void appendAndSubtract() throws Exception {
        ConfigResource t = topic(Env.topic(1));
        alter(t, OpType.APPEND, "leader.replication.throttled.replicas", "0:1");
        alter(t, OpType.APPEND, "leader.replication.throttled.replicas", "1:1");
        becomes(t, "leader.replication.throttled.replicas", "0:1,1:1");
        alter(t, OpType.SUBTRACT, "leader.replication.throttled.replicas", "0:1");
        becomes(t, "leader.replication.throttled.replicas", "1:1");
    }

    static void refused() throws Exception {
        ConfigResource t = topic(Env.topic(1));
        Env.fails(InvalidConfigurationException.class, () -> {
            alter(t, OpType.SET, "retention.ms", "soon");
            return "done";
        });
        Env.fails(InvalidConfigurationException.class, () -> {
            alter(t, OpType.SET, "no.such.key", "1");
            return "done";
        });
        Collection<AlterConfigOp> ops = of(new AlterConfigOp(new ConfigEntry("retention.ms", "77"), OpType.SET));
        Env.ADMIN.incrementalAlterConfigs(Map.of(t, ops), new AlterConfigsOptions().validateOnly(true)).all().get();
        Env.equal("604800000", configs(t).get("retention.ms").value(), "retention.ms");
    }

    static void clusterDefault() throws Exception {
        var everybody = new ConfigResource(ConfigResource.Type.BROKER, "");
        String name = Env.topic(1);
        alter(everybody, OpType.SET, "log.retention.ms", "123456789");
        try {
            becomes(topic(name), "retention.ms", "123456789");
            Env.equal(ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG, configs(topic(name)).get("retention.ms").source(), "source");
        } finally {
            alter(everybody, OpType.DELETE, "log.retention.ms", "");
        }
        becomes(topic(name), "retention.ms", "604800000");
    }

    static void listResources() throws Exception {
        String name = Env.topic(1, "retention.ms", "1000");
        var all = Env.ADMIN.listConfigResources().all().get();
        Env.that(all.contains(topic(name)), "the topic is listed: " + all);
    }

    static void groupConfigs() throws Exception {
        var group = new ConfigResource(ConfigResource.Type.GROUP, Env.unique("g"));
        alter(group, OpType.SET, "consumer.session.timeout.ms", "50000");
        becomes(group, "consumer.session.timeout.ms", "50000");
    }
}
