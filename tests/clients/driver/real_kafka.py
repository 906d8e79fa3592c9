"""A real Kafka of one node on a fresh directory, from its jars: the judge of a test that fails against ringlog."""

import os
import subprocess

from broker import Broker, free_port

PROPERTIES = """process.roles=broker,controller
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.share.enable=true
"""


class RealKafka(Broker):
    """The same interface as `Broker`; `jars` is the directory with kafka_2.13 and all it needs; `environment` holds KAFKA_* settings."""

    # A JVM says which signal ended it, and takes its time on a busy machine.
    clean = (0, 143)
    patience = 90

    def __init__(self, jars, data_dir, log_dir, environment):
        super().__init__("", data_dir, log_dir)
        self.log_path = os.path.join(log_dir, "kafka.log")
        port = self.address.split(":")[1]
        self.java = ["java", "-Xmx1g", "-Dlog4j2.level=WARN", "-cp", os.path.join(jars, "*")]
        self.properties = os.path.join(data_dir, "server.properties")
        # KAFKA_NUM_PARTITIONS as ringlog takes it is num.partitions here.
        settings = {"node.id": "1", **{k.removeprefix("KAFKA_").lower().replace("_", "."): v for k, v in environment.items()}}
        with open(self.properties, "w") as f:
            f.writelines(f"{k}={v}\n" for k, v in settings.items())
            f.write(PROPERTIES.format(port=port, controller=free_port(), data=os.path.join(data_dir, "kafka")))
        self.formatted = False

    def command_line(self):
        """Formats the directory before the first start."""
        if not self.formatted:
            tool = [*self.java, "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", self.properties, "--standalone"]
            subprocess.run(tool, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.formatted = True
        return [*self.java, "kafka.Kafka", self.properties]
