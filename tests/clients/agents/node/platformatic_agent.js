'use strict'
// @platformatic/kafka: a second JavaScript stack, with topic ids and fetch sessions. Reading uses its consumer's fetch without a group.

const { Admin, Consumer, Producer } = require('@platformatic/kafka')
const { readFileSync } = require('node:fs')
const { dirname, join } = require('node:path')
const { bootstrap, raw, b64, codeIn, serve } = require('./base.js')

const { version } = JSON.parse(readFileSync(join(dirname(require.resolve('@platformatic/kafka')), '../package.json')))
const base = { clientId: 'platformatic-test', bootstrapBrokers: [bootstrap] }
const admin = new Admin(base)
const producers = {}
const TOPIC = 2

/** Headers as a map with a Buffer per name: equal names stay apart. */
const headersOf = list => new Map(list.map(([n, x]) => [Buffer.from(n), raw(x)]))

async function topicOf(client, topic) {
  const metadata = await client.metadata({ topics: [topic], forceUpdate: true })
  return metadata.topics.get(topic)
}

function recordsOf(batch, partition, from) {
  return batch.records
    .map(r => ({ offset: Number(batch.firstOffset) + r.offsetDelta, r }))
    .filter(({ offset }) => offset >= from)
    .map(({ offset, r }) => {
      const append = (batch.attributes & 8) !== 0
      return {
        p: partition, o: offset, ts: Number(append ? batch.maxTimestamp : batch.firstTimestamp + r.timestampDelta),
        tt: append ? 'append' : 'create', k: b64(r.key), v: b64(r.value), h: r.headers.map(([n, x]) => [n.toString(), b64(x)])
      }
    })
}

async function consume({ topic, partition, start, until, max_wait_ms = 500 }) {
  const consumer = new Consumer({ ...base, groupId: 'unused', maxWaitTime: max_wait_ms })
  const { id, partitions } = await topicOf(consumer, topic)
  consumer.topics.track(topic)
  let next = start === 'earliest' ? (await listed(topic, partition, -2n)).offset : start
  const records = []
  const deadline = Date.now() + 30000
  while (next < until && Date.now() < deadline) {
    const wanted = { partition, currentLeaderEpoch: -1, fetchOffset: BigInt(next), lastFetchedEpoch: -1, partitionMaxBytes: 1048576 }
    const reply = await consumer.fetch({ node: partitions[partition].leader, topics: [{ topicId: id, partitions: [wanted] }] })
    for (const batch of reply.responses.flatMap(t => t.partitions.flatMap(p => p.records ?? []))) {
      records.push(...recordsOf(batch, partition, next))
      next = Math.max(next, (records.at(-1)?.o ?? -1) + 1)
    }
  }
  const at = Date.now() / 1000
  await consumer.close()
  return { records, at }
}

async function listed(topic, partition, timestamp) {
  const found = await admin.listOffsets({ topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp }] }] })
  const { offset, timestamp: ts } = found[0].partitions[0]
  return { offset: Number(offset), ts: Number(ts) }
}

const ops = {
  async create_topic({ topic, partitions, configs }) {
    const list = Object.entries(configs).map(([name, value]) => ({ name, value }))
    await admin.createTopics({ topics: [topic], partitions, replicas: 1, configs: list })
  },
  async delete_topic({ topic }) {
    await admin.deleteTopics({ topics: [topic] })
  },
  async list_topics() {
    return { topics: await admin.listTopics() }
  },
  async describe_topic({ topic }) {
    const { partitions } = await topicOf(admin, topic)
    const all = partitions.map((p, id) => ({ id, leader: p.leader, replicas: p.replicas, isr: p.isr ?? p.replicas }))
    return { partitions: all }
  },
  async describe_cluster() {
    const found = await admin.metadata({ topics: [], forceUpdate: true })
    const nodes = [...found.brokers].map(([id, b]) => ({ id, host: b.host, port: b.port }))
    return { cluster_id: found.id, controller: found.controllerId, nodes }
  },
  async get_config({ topic }) {
    const [found] = await admin.describeConfigs({ resources: [{ resourceType: TOPIC, resourceName: topic }] })
    return { configs: Object.fromEntries(found.configs.map(c => [c.name, { value: c.value }])) }
  },
  async alter_config({ topic, configs }) {
    const list = Object.entries(configs).map(([name, value]) => ({ name, configOperation: 0, value }))
    await admin.incrementalAlterConfigs({ resources: [{ resourceType: TOPIC, resourceName: topic, configs: list }] })
  },
  async create_partitions({ topic, count }) {
    await admin.createPartitions({ topics: [{ name: topic, count }] })
  },
  async delete_records({ topic, partition, before }) {
    const found = await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition, offset: BigInt(before) }] }] })
    return { low_watermark: Number(found[0].partitions[0].lowWatermark) }
  },
  async list_offsets({ topic, partition, spec }) {
    const special = { latest: -1n, earliest: -2n, max_timestamp: -3n }
    return listed(topic, partition, special[spec] ?? BigInt(spec))
  },
  async produce({ topic, records, codec = 'none', acks = null, idempotent = false }) {
    const producer = (producers[idempotent] ??= new Producer(idempotent ? { ...base, idempotent } : base))
    const messages = records.map(r => ({
      topic, partition: r.p, timestamp: BigInt(r.ts), key: raw(r.k), value: raw(r.v), headers: headersOf(r.h)
    }))
    const how = { messages, compression: codec }
    if (acks !== null) how.acks = Number(acks)
    let sent
    try {
      sent = await producer.send(how)
    } catch (e) {
      const reply = { code: codeIn(e, pick), error: `${e.name}: ${e.message}` }
      return { results: records.map(() => reply) }
    }
    const next = Object.fromEntries((sent.offsets ?? []).map(s => [s.partition, Number(s.offset)]))
    return { results: records.map(r => (r.p in next ? { p: r.p, o: next[r.p]++ } : {})) }
  },
  consume,
  async await_record(request) {
    return consume({ ...request, until: request.start + 1 })
  },
  async watermarks({ topic, partition }) {
    return { begin: (await listed(topic, partition, -2n)).offset, end: (await listed(topic, partition, -1n)).offset }
  },
  async offset_for_time({ topic, partition, ts }) {
    const found = await listed(topic, partition, BigInt(ts))
    return found.offset < 0 ? { offset: null } : found
  }
}

// -1 stands in front of the errors of single records.
const pick = e => (typeof e.apiCode === 'number' && e.apiCode > 0 ? e.apiCode : null)
// Topics are created on first use only when asked for (autocreateTopics); time deltas beyond 32 bit are encoded wrongly.
serve({ version, codecs: ['none', 'gzip', 'snappy', 'lz4', 'zstd'], cannot: ['auto_create', 'wide_time_delta'] }, ops, pick)
