"""The broker goes away and comes back while all clients stay connected: nothing acknowledged is lost, everybody carries on."""

import time

import cases
from dataset import expect
from process import AgentError


def run(broker, agents, helper, results):
    """One orderly stop (SIGTERM) and one kill -9, each with every client in the middle of its work."""
    for how in ("orderly", "kill"):
        topics = {a.name: before(a, helper, how, results) for a in agents}
        try:
            broker.restart(kill=how == "kill")
        except RuntimeError as e:
            results.add("broker", "", f"restart {how}", "failed", str(e)[:400])
            return
        for a in agents:
            if topics[a.name] is not None:
                after(a, topics[a.name], how, results)


def before(agent, helper, how, results):
    """Creates a topic and writes to it; None when that failed already."""
    topic, records = f"restart-{cases.RUN}-{agent.name}-{how}", cases.plain(100, 2)
    try:
        helper.call("create_topic", topic=topic, partitions=2, configs={"retention.ms": "-1"})
        write(agent, topic, records)
    except (AgentError, AssertionError) as e:
        results.add(agent.name, agent.version, f"{how} restart", "failed", f"before it: {e}"[:400])
        return None
    return {"topic": topic, "records": records, "t0": cases.now_ms()}


def write(agent, topic, records):
    """Writes records and demands that each is acknowledged."""
    bad = [r for r in agent.call("produce", topic=topic, records=records)["results"] if "error" in r]
    assert not bad, f"produce failed: {bad[0]}"


def reconnect(agent, topic):
    """Lets a client that never retries find out about the lost connection where it does no harm."""
    end = time.monotonic() + 20
    while True:
        try:
            return write(agent, topic, cases.plain(1))
        except (AgentError, AssertionError):
            assert time.monotonic() < end, "still not connected 20 s after the restart"
            time.sleep(0.2)


def after(agent, state, how, results):
    """The same producer writes on; all records are there, once, in order."""
    began, more, why = time.monotonic(), cases.plain(100, 2), ""
    everything = state["records"] + more
    try:
        if "retries" in agent.cannot:
            reconnect(agent, state["topic"] + "-side")
        write(agent, state["topic"], more)
        for p in (0, 1):
            got = agent.call("consume", topic=state["topic"], partition=p, start="earliest", until=100)["records"]
            expect(got, everything, p, agent.cannot, agent.cannot, now=(state["t0"] - 60_000, cases.now_ms()))
    except (AgentError, AssertionError) as e:
        why = str(e)[:400]
    verdict = "failed" if why else "passed"
    results.add(agent.name, agent.version, f"{how} restart", verdict, why, time.monotonic() - began)
