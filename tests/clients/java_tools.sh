#!/usr/bin/env bash
# Kafka's own console tools against the broker at $BOOTSTRAP. Argument: directory with their jars (run.sh fetches them).
# Prints `PASS test` or `FAIL test: why` lines for the driver.
set -uo pipefail

jars=$1
: "${BOOTSTRAP:?host:port of the broker}"
topic=tools-$RANDOM$RANDOM
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# tool CLASS ARGUMENT...: runs a tool; its output goes to $out/text.
tool() {
    local class=$1
    shift
    timeout 60 java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.level=ERROR -cp "$jars/*" "$class" "$@" >"$out/text" 2>"$out/errors" <"${input:-/dev/null}"
}

# check NAME CONDITION...: passes when the command succeeds.
check() {
    local name=$1
    shift
    if "$@"; then
        echo "PASS $name"
    else
        echo "FAIL $name: $(tail -c 300 "$out/text" "$out/errors" 2>/dev/null | tr '\n' ' ')"
    fi
}

topics() { tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$BOOTSTRAP" "$@"; }
configs() { tool kafka.admin.ConfigCommand --bootstrap-server "$BOOTSTRAP" --entity-type topics --entity-name "$topic" "$@"; }
offsets() { tool org.apache.kafka.tools.GetOffsetShell --bootstrap-server "$BOOTSTRAP" --topic "$topic" "$@"; }
produce() { tool org.apache.kafka.tools.ConsoleProducer --bootstrap-server "$BOOTSTRAP" --topic "$topic" "$@"; }
consume() { tool org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "$BOOTSTRAP" --topic "$topic" --timeout-ms 15000 "$@"; }

echo "VERSION $(basename "$jars"/kafka-tools-[0-9]*.jar .jar | sed 's/kafka-tools-//')"

api_versions() {
    tool org.apache.kafka.tools.BrokerApiVersionsCommand --bootstrap-server "$BOOTSTRAP" &&
        grep -q "Produce(0)" "$out/text" && grep -q "Fetch(1)" "$out/text" && ! grep -q "ERROR" "$out/text"
}
check broker-api-versions api_versions

create() { topics --create --topic "$topic" --partitions 3 --config retention.ms=-1 && grep -q "Created topic" "$out/text"; }
check topics-create create

create_defaults() { topics --create --topic "$topic-defaults" && topics --describe --topic "$topic-defaults" && grep -q "PartitionCount: [1-9]" "$out/text"; }
check topics-create-with-defaults create_defaults

create_twice() { ! topics --create --topic "$topic" --partitions 3 && cat "$out/text" "$out/errors" | grep -q "already exists"; }
check topics-create-twice create_twice

list() { topics --list && grep -qx "$topic" "$out/text"; }
check topics-list list

describe() {
    topics --describe --topic "$topic" && grep -q "PartitionCount: 3" "$out/text" && grep -q "ReplicationFactor: 1" "$out/text" &&
        grep -q "retention.ms=-1" "$out/text" && [ "$(grep -c "Leader: [0-9]" "$out/text")" = 3 ]
}
check topics-describe describe

describe_missing() { ! topics --describe --topic "$topic-missing" && cat "$out/text" "$out/errors" | grep -q "does not exist"; }
check topics-describe-missing describe_missing

produce_keyed() {
    for i in $(seq 100); do echo "key-$i:value $i"; done >"$out/lines"
    input=$out/lines produce --reader-property parse.key=true --reader-property key.separator=:
}
check console-producer produce_keyed

sum_of_offsets() { awk -F: '{s += $3} END {print s + 0}' "$out/text"; }
all_offsets() { offsets && [ "$(grep -c . "$out/text")" = 3 ] && [ "$(sum_of_offsets)" = 100 ]; }
check get-offsets-latest all_offsets

earliest() { offsets --time earliest && [ "$(sum_of_offsets)" = 0 ]; }
check get-offsets-earliest earliest

max_timestamp() { offsets --time max-timestamp && [ "$(grep -c . "$out/text")" -ge 1 ]; }
check get-offsets-max-timestamp max_timestamp

# The same records come back, whatever partition they went to.
consume_partitions() {
    : >"$out/all"
    local p end
    for p in 0 1 2; do
        offsets --partitions "$p" || return 1
        end=$(cut -d: -f3 "$out/text")
        [ "$end" -gt 0 ] || continue
        consume --partition "$p" --offset earliest --max-messages "$end" --formatter-property print.key=true --formatter-property key.separator=: || return 1
        cat "$out/text" >>"$out/all"
    done
    sort "$out/all" | diff -q - <(sort "$out/lines") >/dev/null
}
check console-consumer-partition consume_partitions

produce_codec() {
    local codec
    for codec in gzip snappy lz4 zstd; do
        echo "codec $codec" >"$out/line"
        input=$out/line produce --compression-codec "$codec" --request-required-acks 1 || return 1
    done
    offsets && [ "$(sum_of_offsets)" = 104 ]
}
check console-producer-codecs produce_codec

consume_from() {
    offsets --partitions 0 || return 1
    local end
    end=$(cut -d: -f3 "$out/text")
    consume --partition 0 --offset $((end - 1)) --max-messages 1 --formatter-property print.offset=true && grep -q "Offset:$((end - 1))" "$out/text"
}
check console-consumer-offset consume_from

alter_config() {
    configs --alter --add-config max.message.bytes=2000000,retention.ms=3600000 && configs --describe &&
        grep -q "max.message.bytes=2000000" "$out/text" && grep -q "retention.ms=3600000" "$out/text"
}
check configs-alter alter_config

delete_config() { configs --alter --delete-config max.message.bytes && configs --describe && ! grep -q "max.message.bytes=2000000" "$out/text"; }
check configs-delete delete_config

all_configs() { configs --describe --all && grep -q "cleanup.policy=delete" "$out/text" && grep -q "segment.bytes=" "$out/text"; }
check configs-describe-all all_configs

bad_config() { ! configs --alter --add-config retention.ms=soon && cat "$out/text" "$out/errors" | grep -qi "invalid"; }
check configs-refuses-nonsense bad_config

add_partitions() { topics --alter --topic "$topic" --partitions 5 && topics --describe --topic "$topic" && grep -q "PartitionCount: 5" "$out/text"; }
check topics-alter-partitions add_partitions

delete_records() {
    echo "{\"partitions\": [{\"topic\": \"$topic\", \"partition\": 0, \"offset\": 5}], \"version\": 1}" >"$out/delete.json"
    tool org.apache.kafka.tools.DeleteRecordsCommand --bootstrap-server "$BOOTSTRAP" --offset-json-file "$out/delete.json" &&
        grep -q "low_watermark: 5" "$out/text" && offsets --partitions 0 --time earliest && [ "$(cut -d: -f3 "$out/text")" = 5 ]
}
check delete-records delete_records

perf() {
    local acks=$1
    shift
    tool org.apache.kafka.tools.ProducerPerformance --topic "$topic" --num-records 20000 --record-size 200 --throughput -1 --producer-props "bootstrap.servers=$BOOTSTRAP" "acks=$acks" "$@" &&
        grep -q "^20000 records sent" "$out/text" && ! grep -qi "exception" "$out/errors"
}
check producer-perf-acks-all perf all
check producer-perf-acks-1 perf 1
check producer-perf-lz4 perf all compression.type=lz4

# Groups: a topic of their own with 100 records.
group=group-$topic
groups() { tool org.apache.kafka.tools.consumer.group.ConsumerGroupCommand --bootstrap-server "$BOOTSTRAP" "$@"; }

verifiable_producer() {
    topics --create --topic "$topic-group" --partitions 3 &&
        tool org.apache.kafka.tools.VerifiableProducer --bootstrap-server "$BOOTSTRAP" --topic "$topic-group" --max-messages 100 &&
        [ "$(grep -c '"name":"producer_send_success"' "$out/text")" = 100 ] && grep -q '"acked":100' "$out/text"
}
check verifiable-producer verifiable_producer

console_group() {
    tool org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "$BOOTSTRAP" --topic "$topic-group" --group "$group" --from-beginning --max-messages 100 --timeout-ms 20000 &&
        [ "$(sort -n "$out/text" | uniq | grep -c .)" = 100 ]
}
check console-consumer-group console_group

groups_list() { groups --list && grep -qx "$group" "$out/text" && groups --list --state Empty && grep -q "^$group " "$out/text"; }
check consumer-groups-list groups_list

lag_of_all() { awk '$1 == group && $6 ~ /^[0-9]+$/ {n++; lag += $6} END {print n + 0, lag + 0}' group="$group" "$out/text"; }
groups_describe() { groups --describe --group "$group" && [ "$(lag_of_all)" = "3 0" ]; }
check consumer-groups-describe groups_describe

groups_state() { groups --describe --group "$group" --state && grep -q "Empty" "$out/text"; }
check consumer-groups-state groups_state

groups_reset() { groups --group "$group" --topic "$topic-group" --reset-offsets --to-earliest --execute && groups --describe --group "$group" && [ "$(lag_of_all)" = "3 100" ]; }
check consumer-groups-reset-offsets groups_reset

verifiable_consumer() {
    tool org.apache.kafka.tools.VerifiableConsumer --bootstrap-server "$BOOTSTRAP" --topic "$topic-group" --group-id "$group" --max-messages 100 --reset-policy earliest &&
        grep -q '"name":"partitions_assigned"' "$out/text" && grep -q '"name":"offsets_committed"' "$out/text" && groups --describe --group "$group" && [ "$(lag_of_all)" = "3 0" ]
}
check verifiable-consumer verifiable_consumer

groups_delete_offsets() { groups --group "$group" --topic "$topic-group:0" --delete-offsets && groups --describe --group "$group" && [ "$(lag_of_all | cut -d' ' -f1)" = 2 ]; }
check consumer-groups-delete-offsets groups_delete_offsets

groups_delete() { groups --delete --group "$group" && groups --list && ! grep -qx "$group" "$out/text"; }
check consumer-groups-delete groups_delete

consumer_perf() {
    tool org.apache.kafka.tools.ConsumerPerformance --bootstrap-server "$BOOTSTRAP" --topic "$topic-group" --num-records 100 --timeout 20000 && grep -q ", 100, " "$out/text"
}
check consumer-perf consumer_perf

delete_topic() { topics --delete --topic "$topic" && sleep 1 && topics --list && ! grep -qx "$topic" "$out/text"; }
check topics-delete delete_topic
