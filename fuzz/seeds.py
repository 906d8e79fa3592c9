"""The first corpus of each fuzz target: the golden vectors, and bytes to draw from where a target draws its own values."""
import hashlib
import pathlib
import random
import struct

here = pathlib.Path(__file__).parent
golden = here.parent / "tests" / "golden"
control = [
    "ApiVersions", "Metadata", "ListOffsets", "CreateTopics", "DeleteTopics", "DeleteRecords", "InitProducerId",
    "OffsetForLeaderEpoch", "DescribeAcls", "CreateAcls", "DeleteAcls", "DescribeConfigs", "AlterConfigs",
    "CreatePartitions", "IncrementalAlterConfigs", "DescribeCluster", "DescribeTopicPartitions",
    "DescribeLogDirs", "AlterReplicaLogDirs", "ElectLeaders", "AlterPartitionReassignments", "ListPartitionReassignments",
    "DescribeProducers", "DescribeTransactions", "ListTransactions", "DescribeClientQuotas", "AlterClientQuotas",
    "DescribeUserScramCredentials", "AlterUserScramCredentials", "ListConfigResources",
]
group = [
    "FindCoordinator", "JoinGroup", "SyncGroup", "Heartbeat", "LeaveGroup", "OffsetCommit", "OffsetFetch", "DescribeGroups",
    "ListGroups", "DeleteGroups", "OffsetDelete", "ConsumerGroupHeartbeat", "ConsumerGroupDescribe",
    "record", "ConsumerProtocolSubscription", "ConsumerProtocolAssignment",
]
oldest, key, flexible = {}, {}, {}
for line in (golden / "apis.txt").read_text().splitlines():
    if not line.startswith("#"):
        number, name, first, _, tagged = line.split(" ")
        oldest[name], key[name], flexible[name] = int(first), int(number), int(tagged)


def put(target, content):
    folder = here / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(content).hexdigest()).write_bytes(content)


def frame(api, version, body):
    """A request as the edge target takes it, tagged fields where the header of that version has them."""
    tags = b"\0" if version >= flexible[api] else b""
    request = struct.pack(">hhih", key[api], version, 1, 2) + b"me" + tags + body
    return struct.pack(">H", len(request)) + request


def produce(batch):
    """A produce request of one batch to a topic that the edge target has."""
    topic = struct.pack(">ih5sii", 1, 5, b"topic", 1, 0) + struct.pack(">i", len(batch)) + batch
    return frame("Produce", 7, struct.pack(">hhi", -1, -1, 1000) + topic)


for line in (golden / "messages.txt").read_text().splitlines():
    if line.startswith("#"):
        continue
    api, side, version, _, body = line.split(" ")
    version, body = int(version), bytes.fromhex(body)
    step = bytes([version - oldest[api]])
    if api in ("Produce", "Fetch"):
        put(api.lower(), step + body)
    else:
        target, known = ("group", group) if api in group else ("control", control)
        put(target, bytes([known.index(api) + (128 if side == "response" else 0)]) + step + body)
    if side == "request":
        put("header", key[api].to_bytes(2, "big") + version.to_bytes(2, "big") + b"\0\0\0\1\0\2me\0" + body)
        put("edge", b"\0" + frame(api, version, body))
for line in (golden / "groups.txt").read_text().splitlines():
    kind, name, _, _, *parts = line.split(" ")
    parts = [bytes.fromhex(part) for part in parts] if kind != "#" else []
    if kind == "record":
        put("group", bytes([group.index(kind), len(parts[0])]) + parts[0] + parts[1])
    elif kind == "blob":
        put("group", bytes([group.index(name), 0]) + parts[0])
for line in (golden / "batches.txt").read_text().splitlines():
    if line.startswith("batch "):
        batch = bytes.fromhex(line.split(" ")[2])
        put("batch", batch)
        put("edge", b"\0" + produce(batch))
        put("edge", b"\1" + 3 * produce(batch))
for target in ("journal", "checkpoint", "index", "segment", "metadata"):
    chance = random.Random(target)
    for _ in range(16):
        put(target, chance.randbytes(chance.randrange(16, 2000)))
