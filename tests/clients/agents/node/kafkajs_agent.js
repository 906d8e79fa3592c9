'use strict'
// kafkajs 2.2.4: a pure JavaScript client without flexible versions. Its consumer needs a group, so reading goes through the broker
// object that its consumer uses itself.

const zlib = require('node:zlib')
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require('kafkajs')
const lz4 = require('lz4-napi')
const snappy = require('snappyjs')
const { version } = require('kafkajs/package.json')
const { bootstrap, raw, b64, entries, Failure, codeIn, serve } = require('./base.js')

const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0])

/** Snappy as Java writes it: a header, then blocks with their length in front; or one plain block. */
function unsnappy(data) {
  if (!data.subarray(0, 8).equals(XERIAL)) return Buffer.from(snappy.uncompress(data))
  const out = []
  for (let at = 16; at < data.length; ) {
    const size = data.readInt32BE(at)
    out.push(Buffer.from(snappy.uncompress(data.subarray(at + 4, at + 4 + size))))
    at += 4 + size
  }
  return Buffer.concat(out)
}

const codec = (compress, decompress) => () => ({
  compress: async encoder => compress(encoder.buffer),
  decompress: async buffer => decompress(buffer)
})
CompressionCodecs[CompressionTypes.Snappy] = codec(b => Buffer.from(snappy.compress(b)), unsnappy)
CompressionCodecs[CompressionTypes.LZ4] = codec(b => lz4.compressFrameSync(b), b => lz4.decompressFrameSync(b))
CompressionCodecs[CompressionTypes.ZSTD] = codec(b => zlib.zstdCompressSync(b), b => zlib.zstdDecompressSync(b))
const TYPES = { none: 'None', gzip: 'GZIP', snappy: 'Snappy', lz4: 'LZ4', zstd: 'ZSTD' }
const TOPIC = 2

const kafka = new Kafka({ clientId: 'kafkajs-test', brokers: [bootstrap], logLevel: logLevel.WARN })
const createCluster = kafka[Object.getOwnPropertySymbols(kafka).find(s => s.description === 'private:Kafka:createCluster')]
const lazy = make => {
  let made
  return () => (made ??= make())
}
const admin = lazy(async () => {
  const a = kafka.admin()
  await a.connect()
  return a
})
const producers = {}
const producer = idempotent =>
  (producers[idempotent] ??= (async () => {
    const p = kafka.producer(idempotent ? { idempotent: true } : {})
    await p.connect()
    return p
  })())
const reader = lazy(async () => {
  const c = createCluster({ metadataMaxAge: 300000, allowAutoTopicCreation: false })
  await c.connect()
  return c
})

/** Headers in kafkajs' form: a map of names to a value or a list of values. */
function headersOf(list) {
  const map = {}
  for (const [name, value] of list) (map[name] ??= []).push(raw(value))
  return map
}

const headersBack = map => Object.entries(map).flatMap(([n, x]) => (Array.isArray(x) ? x : [x]).map(v => [n, b64(v)]))

async function leader(topic, partition) {
  const cluster = await reader()
  await cluster.addTargetTopic(topic)
  if (!cluster.findTopicPartitionMetadata(topic).some(p => p.partitionId === partition)) await cluster.refreshMetadata()
  const [nodeId] = Object.keys(cluster.findLeaderForPartitions(topic, [partition]))
  return cluster.findBroker({ nodeId })
}

async function beginning(topic, partition) {
  await leader(topic, partition)
  const found = await (await reader()).fetchTopicsOffset([{ topic, fromBeginning: true, partitions: [{ partition }] }])
  return Number(found[0].partitions[0].offset)
}

async function consume({ topic, partition, start, until, max_wait_ms = 500 }) {
  const broker = await leader(topic, partition)
  let next = start === 'earliest' ? await beginning(topic, partition) : start
  const records = []
  const deadline = Date.now() + 30000
  while (next < until && Date.now() < deadline) {
    const partitions = [{ partition, fetchOffset: String(next), maxBytes: 1048576 }]
    const reply = await broker.fetch({ maxWaitTime: max_wait_ms, topics: [{ topic, partitions }] })
    for (const m of reply.responses[0].partitions[0].messages) {
      if (Number(m.offset) < next) continue
      next = Number(m.offset) + 1
      records.push({
        p: partition, o: Number(m.offset), ts: Number(m.timestamp), tt: m.batchContext.timestampType === 1 ? 'append' : 'create',
        k: b64(m.key), v: b64(m.value), h: headersBack(m.headers)
      })
    }
  }
  return { records, at: Date.now() / 1000 }
}

async function configRequest(kind, resource) {
  const reply = await (await admin())[kind]({ includeSynonyms: false, resources: [{ type: TOPIC, ...resource }] })
  return reply.resources[0]
}

const ops = {
  async create_topic({ topic, partitions, configs }) {
    const made = await (await admin()).createTopics({ topics: [{ topic, numPartitions: partitions, configEntries: entries(configs) }] })
    // kafkajs swallows TOPIC_ALREADY_EXISTS and answers false.
    if (!made) throw new Failure(36, 'createTopics answered false')
  },
  async delete_topic({ topic }) {
    await (await admin()).deleteTopics({ topics: [topic] })
  },
  async list_topics() {
    return { topics: await (await admin()).listTopics() }
  },
  async describe_topic({ topic }) {
    const found = await (await admin()).fetchTopicMetadata({ topics: [topic] })
    const parts = found.topics[0].partitions.map(p => ({ id: p.partitionId, leader: p.leader, replicas: p.replicas, isr: p.isr }))
    return { partitions: parts.sort((a, b) => a.id - b.id) }
  },
  async describe_cluster() {
    const found = await (await admin()).describeCluster()
    const nodes = found.brokers.map(b => ({ id: b.nodeId, host: b.host, port: b.port }))
    return { cluster_id: found.clusterId, controller: found.controller, nodes }
  },
  async get_config({ topic }) {
    const found = await configRequest('describeConfigs', { name: topic })
    return { configs: Object.fromEntries(found.configEntries.map(c => [c.configName, { value: c.configValue }])) }
  },
  async alter_config({ topic, configs }) {
    await configRequest('alterConfigs', { name: topic, configEntries: entries(configs) })
  },
  async create_partitions({ topic, count }) {
    await (await admin()).createPartitions({ topicPartitions: [{ topic, count }] })
  },
  async delete_records({ topic, partition, before }) {
    await (await admin()).fetchTopicOffsets(topic)
    await (await admin()).deleteTopicRecords({ topic, partitions: [{ partition, offset: String(before) }] })
  },
  async produce({ topic, records, codec = 'none', acks = null, idempotent = false }) {
    const messages = records.map(r => ({
      partition: r.p, timestamp: String(r.ts), key: raw(r.k), value: raw(r.v), headers: headersOf(r.h)
    }))
    const how = { topic, messages, compression: CompressionTypes[TYPES[codec]] }
    if (acks !== null) how.acks = Number(acks)
    let sent
    try {
      sent = await (await producer(idempotent)).send(how)
    } catch (e) {
      const reply = { code: codeIn(e, pick), error: `${e.name}: ${e.message}` }
      return { results: records.map(() => reply) }
    }
    // One base offset per partition comes back; none with acks=0.
    const next = Object.fromEntries((sent ?? []).map(s => [s.partition, Number(s.baseOffset)]))
    return { results: records.map(r => (r.p in next ? { p: r.p, o: next[r.p]++ } : {})) }
  },
  consume,
  async await_record(request) {
    return consume({ ...request, until: request.start + 1 })
  },
  async watermarks({ topic, partition }) {
    const found = (await (await admin()).fetchTopicOffsets(topic)).find(p => p.partition === partition)
    return { begin: Number(found.low), end: Number(found.high) }
  },
  async offset_for_time({ topic, partition, ts }) {
    const a = await admin()
    const found = (await a.fetchTopicOffsetsByTimestamp(topic, ts)).find(p => p.partition === partition)
    const end = (await a.fetchTopicOffsets(topic)).find(p => p.partition === partition).high
    // The end stands for "none" in kafkajs.
    return { offset: found.offset === end ? null : Number(found.offset) }
  }
}

const pick = e => (typeof e.code === 'number' && e.name?.startsWith('KafkaJS') ? e.code : null)
// Headers come back as an object: order between different names is lost; null header values throw.
serve({ version, codecs: Object.keys(TYPES), cannot: ['header_order', 'null_header_value'] }, ops, pick)
