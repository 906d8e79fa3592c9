"""Why a test is passed over, told from what it failed with. The first pattern that fits gives the reason; none: the failure itself."""

import re

REASONS = [
    (r"CONSUMER group protocol|ConsumerGroupHeartbeat|KIP-848", "needs groups of the new protocol (KIP-848), not built yet"),
    (r"ransaction|TxnOffset|InitTransactions|txn|coordinator with type 1", "needs transactions, not built yet"),
    (r"ompaction is not available|cleanup.policy", "needs compaction, not built yet"),
    (r"No Authorizer|SECURITY_DISABLED|kafka-acls", "needs ACLs"),
    (r"replicate the partition [23] time|replication factor of [23]", "wants three brokers"),
    (r"SASL", "needs SASL, not built yet"),
    (r"SSL|TLS", "needs TLS, not built yet"),
    (r"does not support the '?(\w+?)Request|node does not support (\w+)", "needs {}, not served yet"),
    (r"resource type 32|ConfigResource.*32", "needs configurations of groups, not built yet"),
    (r"Required feature not supported by broker", "needs an admin API that is not served yet"),
    (r"metadata.version", "needs finalized features, not kept yet"),
    (r"known_issue|negative test flags", "its authors leave it out: a known issue of theirs, or an option it wants"),
    (r"quick mode", "its authors leave it out of quick mode"),
    (r"not reached", "not reached in quick mode"),
    (r"Requires KAFKA_VERSION <|removed in Apache Kafka", "for brokers of the past"),
]


def explain(why):
    """The reason for a list, from the words of a failure."""
    for pattern, reason in REASONS:
        found = re.search(pattern, why)
        if found:
            named = next((g for g in found.groups() if g), "")
            return reason.format(named)
    return f"fails: {' '.join(why.split())[:160] or 'no reason given'}"
