"""Turns the golden vectors into the first corpus of each fuzz target."""
import hashlib
import pathlib

here = pathlib.Path(__file__).parent
golden = here.parent / "tests" / "golden"
control = [
    "ApiVersions", "Metadata", "ListOffsets", "CreateTopics", "DeleteTopics", "DeleteRecords", "InitProducerId",
    "OffsetForLeaderEpoch", "DescribeAcls", "CreateAcls", "DeleteAcls", "DescribeConfigs", "AlterConfigs",
    "CreatePartitions", "IncrementalAlterConfigs", "DescribeCluster", "DescribeTopicPartitions",
]
oldest, key = {}, {}
for line in (golden / "apis.txt").read_text().splitlines():
    if not line.startswith("#"):
        number, name, first, *_ = line.split(" ")
        oldest[name], key[name] = int(first), int(number)


def put(target, content):
    folder = here / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(content).hexdigest()).write_bytes(content)


for line in (golden / "messages.txt").read_text().splitlines():
    if line.startswith("#"):
        continue
    api, side, version, _, body = line.split(" ")
    version, body = int(version), bytes.fromhex(body)
    step = bytes([version - oldest[api]])
    if api in ("Produce", "Fetch"):
        put(api.lower(), step + body)
    else:
        put("control", bytes([control.index(api) + (128 if side == "response" else 0)]) + step + body)
    if side == "request":
        put("header", key[api].to_bytes(2, "big") + version.to_bytes(2, "big") + b"\0\0\0\1\0\2me\0" + body)
for line in (golden / "batches.txt").read_text().splitlines():
    if line.startswith("batch "):
        put("batch", bytes.fromhex(line.split(" ")[2]))
