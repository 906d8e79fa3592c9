'use strict'
// Groups, administration and transactions of the two JavaScript stacks, as TAP lines: `suite.js --list`, `suite.js name...`.

const { randomUUID } = require('node:crypto')
const assert = require('node:assert')
const { Kafka, logLevel } = require('kafkajs')
const platformatic = require('@platformatic/kafka')

const bootstrap = process.env.BOOTSTRAP
const kafka = new Kafka({ clientId: 'suite', brokers: [bootstrap], logLevel: logLevel.NOTHING, retry: { retries: 8, initialRetryTime: 100 } })
const base = { clientId: 'suite', bootstrapBrokers: [bootstrap] }
const texts = { deserializers: platformatic.stringDeserializers }
const unique = what => `${what}-${randomUUID().slice(0, 8)}`
const numbers = count => [...Array(count).keys()].map(String)
const tests = new Map()
const opened = []

/** Closes it when the test is over, whatever came of it. */
function open(thing, close) {
  opened.push(() => close(thing))
  return thing
}

async function until(what, holds) {
  for (const end = Date.now() + 30000; !(await holds()); ) {
    assert(Date.now() < end, `within 30 s: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}

async function adminOf() {
  const admin = open(kafka.admin(), a => a.disconnect())
  await admin.connect()
  return admin
}

async function topicOf(partitions, count = 0) {
  const admin = await adminOf()
  const topic = unique('t')
  await admin.createTopics({ topics: [{ topic, numPartitions: partitions, replicationFactor: 1 }], waitForLeaders: true })
  const producer = open(kafka.producer(), p => p.disconnect())
  await producer.connect()
  const messages = numbers(count).map((value, i) => ({ value, key: `k${i}`, partition: i % partitions }))
  if (count > 0) await producer.send({ topic, messages })
  return topic
}

/** A running member: what it read, and its partitions after each join. */
async function memberOf(groupId, topic, options = {}) {
  const consumer = open(kafka.consumer({ groupId, sessionTimeout: 8000, heartbeatInterval: 500, rebalanceTimeout: 8000, ...options }), c => c.disconnect())
  const member = { consumer, read: [], partitions: [] }
  consumer.on(consumer.events.GROUP_JOIN, e => { member.partitions = e.payload.memberAssignment[topic] ?? [] })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({ eachMessage: async ({ message }) => { member.read.push(String(message.value)) } })
  return member
}

tests.set('kafkajs_group_reads_and_goes_on_from_its_commit', async () => {
  const topic = await topicOf(2, 20)
  const group = unique('g')
  const first = await memberOf(group, topic)
  await until('20 records', () => first.read.length === 20)
  assert.deepEqual(first.read.toSorted((a, b) => a - b), numbers(20))
  await first.consumer.disconnect()
  const admin = await adminOf()
  const [{ partitions }] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
  assert.deepEqual(partitions.map(p => p.offset), ['10', '10'])
  const producer = open(kafka.producer({ idempotent: true }), p => p.disconnect())
  await producer.connect()
  await producer.send({ topic, messages: [{ value: 'later' }] })
  const second = await memberOf(group, topic)
  await until('the later one', () => second.read.length > 0)
  assert.deepEqual(second.read, ['later'])
})

tests.set('kafkajs_members_share_and_take_over', async () => {
  const topic = await topicOf(4)
  const group = unique('g')
  const a = await memberOf(group, topic)
  await until('all four', () => a.partitions.length === 4)
  const b = await memberOf(group, topic)
  await until('two each', () => a.partitions.length === 2 && b.partitions.length === 2)
  await b.consumer.disconnect()
  await until('all four again', () => a.partitions.length === 4)
})

tests.set('kafkajs_seek_pause_and_resume', async () => {
  const topic = await topicOf(1, 10)
  const m = await memberOf(unique('g'), topic)
  await until('10 records', () => m.read.length === 10)
  m.consumer.seek({ topic, partition: 0, offset: '7' })
  await until('3 more', () => m.read.length === 13)
  assert.deepEqual(m.read.slice(10), ['7', '8', '9'])
  m.consumer.pause([{ topic }])
  const producer = open(kafka.producer(), p => p.disconnect())
  await producer.connect()
  await producer.send({ topic, messages: [{ value: 'x' }] })
  await new Promise(resolve => setTimeout(resolve, 1000))
  assert.equal(m.read.length, 13)
  m.consumer.resume([{ topic }])
  await until('the record', () => m.read.length === 14)
})

tests.set('kafkajs_admin_of_groups', async () => {
  const topic = await topicOf(1, 5)
  const group = unique('g')
  const admin = await adminOf()
  const m = await memberOf(group, topic)
  await until('5 records', () => m.read.length === 5)
  const { groups: [described] } = await admin.describeGroups([group])
  assert.equal(described.state, 'Stable')
  assert.equal(described.members.length, 1)
  assert((await admin.listGroups()).groups.some(g => g.groupId === group && g.protocolType === 'consumer'))
  await m.consumer.disconnect()
  await admin.setOffsets({ groupId: group, topic, partitions: [{ partition: 0, offset: '2' }] })
  assert.equal((await admin.fetchOffsets({ groupId: group, topics: [topic] }))[0].partitions[0].offset, '2')
  await admin.resetOffsets({ groupId: group, topic, earliest: true })
  assert.equal((await admin.fetchOffsets({ groupId: group, topics: [topic] }))[0].partitions[0].offset, '-2')
  await admin.deleteGroups([group])
  await assert.rejects(admin.deleteGroups([group]))
})

tests.set('kafkajs_admin_of_topics', async () => {
  const topic = await topicOf(1, 9)
  const admin = await adminOf()
  await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
  await until('3 partitions', async () => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length === 3)
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '4' }] })
  const [{ low, high }] = await admin.fetchTopicOffsets(topic)
  assert.deepEqual([low, high], ['4', '9'])
  await admin.alterConfigs({ validateOnly: false, resources: [{ type: 2, name: topic, configEntries: [{ name: 'retention.ms', value: '777777' }] }] })
  await until('the configuration', async () => {
    const told = await admin.describeConfigs({ includeSynonyms: true, resources: [{ type: 2, name: topic, configNames: ['retention.ms'] }] })
    return told.resources[0].configEntries[0].configValue === '777777'
  })
  await admin.deleteTopics({ topics: [topic] })
  await until('it is gone', async () => !(await admin.listTopics()).includes(topic))
})

tests.set('kafkajs_transaction', async () => {
  const topic = await topicOf(1)
  const producer = open(kafka.producer({ transactionalId: unique('x'), maxInFlightRequests: 1, idempotent: true }), p => p.disconnect())
  await producer.connect()
  for (const end of ['abort', 'commit']) {
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages: [{ value: end }] })
    await transaction[end]()
  }
  const m = await memberOf(unique('g'), topic)
  await until('a record', () => m.read.length > 0)
  assert.deepEqual(m.read, ['commit'])
})

/** A member of @platformatic/kafka and what it read. */
async function streamOf(groupId, topic, options = {}) {
  const consumer = open(new platformatic.Consumer({ ...base, ...texts, groupId, ...options }), c => c.close(true))
  const stream = await consumer.consume({ topics: [topic], autocommit: false, mode: 'committed', fallbackMode: 'earliest' })
  const member = { consumer, stream, read: [], last: null }
  stream.on('data', message => { member.read.push(message.value); member.last = message })
  stream.on('error', error => { member.error = error })
  return member
}

const mine = m => (m.consumer.assignments ?? []).flatMap(a => a.partitions)

function platformaticGroup(options) {
  return async () => {
    const topic = await topicOf(1, 10)
    const group = unique('g')
    const first = await streamOf(group, topic, options)
    await until('10 records', () => first.read.length === 10)
    assert.deepEqual(first.read, numbers(10))
    await first.last.commit()
    await first.consumer.close(true)
    const producer = open(kafka.producer(), p => p.disconnect())
    await producer.connect()
    await producer.send({ topic, messages: [{ value: 'later' }] })
    const second = await streamOf(group, topic, options)
    await until('the later one', () => second.read.length > 0)
    assert.deepEqual(second.read, ['later'])
  }
}

tests.set('platformatic_group_reads_and_goes_on_from_its_commit', platformaticGroup({ sessionTimeout: 8000, heartbeatInterval: 500 }))
tests.set('platformatic_group_of_the_new_protocol', platformaticGroup({ groupProtocol: 'consumer' }))

tests.set('platformatic_members_share_and_take_over', async () => {
  const topic = await topicOf(4)
  const group = unique('g')
  const options = { sessionTimeout: 8000, heartbeatInterval: 500, rebalanceTimeout: 8000 }
  const a = await streamOf(group, topic, options)
  await until('all four', () => mine(a).length === 4)
  const b = await streamOf(group, topic, options)
  await until('two each', () => mine(a).length === 2 && mine(b).length === 2)
  await b.consumer.close(true)
  await until('all four again', () => mine(a).length === 4)
})

tests.set('platformatic_admin_of_groups', async () => {
  const topic = await topicOf(1, 5)
  const group = unique('g')
  const admin = open(new platformatic.Admin(base), a => a.close())
  const m = await streamOf(group, topic, { sessionTimeout: 8000, heartbeatInterval: 500 })
  await until('5 records', () => m.read.length === 5)
  assert((await admin.listGroups()).has(group))
  assert.equal((await admin.describeGroups({ groups: [group] })).get(group).members.size, 1)
  await m.last.commit()
  await m.consumer.close(true)
  const [told] = await admin.listConsumerGroupOffsets({ groups: [group] })
  assert.equal(told.topics[0].partitions[0].committedOffset, 5n)
  await admin.deleteGroups({ groups: [group] })
  assert(!(await admin.listGroups()).has(group))
})

/** Runs one test within 60 s. Returns why it failed, or nothing. */
async function one(body) {
  let timer
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error('no end within 60 s')), 60000) })
  try {
    await Promise.race([body(), late])
  } catch (error) {
    console.error(error)
    return [error.message, ...(error.errors ?? []).map(e => e.message)].join(' / ')
  } finally {
    clearTimeout(timer)
    for (const close of opened.splice(0).reverse()) {
      await Promise.race([Promise.resolve().then(close).catch(() => {}), new Promise(resolve => setTimeout(resolve, 5000))])
    }
  }
}

async function main(names) {
  if (names[0] === '--list') return console.log([...tests.keys()].join('\n'))
  let number = 0
  for (const name of names.length > 0 ? names : tests.keys()) {
    const began = Date.now()
    const why = await one(tests.get(name))
    const seconds = ` [${((Date.now() - began) / 1000).toFixed(1)} s]`
    console.log(why === undefined ? `ok ${++number} - ${name}${seconds}` : `not ok ${++number} - ${name} # ${why.replace(/\s+/g, ' ').replace(/[[\]#]/g, '')}${seconds}`)
  }
}

process.on('unhandledRejection', error => console.error('# unhandled', error))
main(process.argv.slice(2)).then(() => process.exit(0))
