"""Who reads what the others wrote: each client writes the golden records with each of its codecs, each other one reads them."""

import concurrent.futures
import time

import cases
from dataset import expect, golden, writable
from process import AgentError


def run(agents, helper, options, results):
    """One result per reader and writer, over all codecs of the writer. Readers work side by side, each on its own."""
    written = [w for a in agents for w in write(a, helper, options.settle, results)]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for f in [pool.submit(read_all, reader, written, results) for reader in agents]:
            f.result()


def read_all(reader, written, results):
    """Everything the other clients wrote, with one reader."""
    for writer in dict.fromkeys(w["writer"] for w in written):
        if reader is writer:
            continue
        began = time.monotonic()
        wrong = [why for w in written if w["writer"] is writer for why in read(reader, w)]
        verdict = "failed" if wrong else "passed"
        results.add(reader.name, reader.version, f"reads {writer.name}", verdict, "; ".join(wrong)[:400], time.monotonic() - began)


def write(agent, helper, settle, results):
    """Writes one topic per codec, and one for null header values, which some readers cannot take at all."""
    everything = [dict(r, p=0) for r in writable(golden(), agent.cannot)]
    nulls = [r for r in everything if any(x is None for _, x in r["h"])]
    plain = [r for r in everything if r not in nulls]
    out = [write_topic(agent, helper, settle, codec, codec, plain, results) for codec in agent.codecs]
    if nulls:
        out.append(write_topic(agent, helper, settle, "null header", "none", nulls, results))
    return [w for w in out if w]


def write_topic(agent, helper, settle, what, codec, records, results):
    """One topic of one partition (some readers need half a second for each); returns what is needed to check it."""
    topic, t0 = f"matrix-{cases.RUN}-{agent.name}-{what.replace(' ', '-')}", cases.now_ms()
    try:
        helper.call("create_topic", topic=topic, partitions=1, configs={"retention.ms": "-1"})
        time.sleep(settle)
        reply = agent.call("produce", topic=topic, records=records, codec=codec)
        bad = [r for r in reply["results"] if "error" in r]
        if bad:
            raise AgentError("produce", bad[0].get("code"), bad[0]["error"])
    except AgentError as e:
        results.add(agent.name, agent.version, f"writes {what}", "failed", str(e)[:400])
        return None
    return {"writer": agent, "what": what, "codec": codec, "topic": topic, "records": records, "now": (t0, cases.now_ms())}


def read(reader, w):
    """Complaints of one reader about one topic."""
    if w["codec"] not in reader.codecs or (w["what"] == "null header" and "reads_null_headers" in reader.cannot):
        return []
    try:
        got = reader.call("consume", topic=w["topic"], partition=0, start="earliest", until=len(w["records"]))["records"]
        expect(got, w["records"], 0, w["writer"].cannot, reader.cannot, now=w["now"])
    except (AgentError, AssertionError) as e:
        return [f"{w['what']}: {e}"]
    return []
