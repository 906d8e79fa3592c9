#!/bin/sh
# Stands in for bin/kafka-topics.sh of a Kafka distribution. JARS: directory with kafka-tools.
exec java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.level=ERROR -cp "$JARS/*" org.apache.kafka.tools.TopicCommand "$@"
