'use strict'
// Common part of the Node client programs: requests in on stdin, answers out on stdout, one JSON object a line.

const readline = require('node:readline')

const answer = process.stdout.write.bind(process.stdout)
process.stdout.write = process.stderr.write.bind(process.stderr)

exports.bootstrap = process.env.BOOTSTRAP
exports.raw = text => (text === null ? null : Buffer.from(text, 'base64'))
exports.b64 = data => (data === null || data === undefined ? null : Buffer.from(data).toString('base64'))
exports.entries = object => Object.entries(object).map(([name, value]) => ({ name, value }))

/** An error with the Kafka error code the library gave. */
exports.Failure = class extends Error {
  constructor(code, text) {
    super(text)
    this.kafkaCode = code
  }
}

/** The first Kafka error code found by `pick` in an error or in the errors it wraps. */
exports.codeIn = function codeIn(error, pick) {
  if (error === null || typeof error !== 'object') return null
  const inner = [error.cause, error.originalError, error.error, ...(error.errors ?? []), ...(error.partitions ?? [])]
  return error.kafkaCode ?? pick(error) ?? inner.map(e => codeIn(e, pick)).find(c => c !== null && c !== undefined) ?? null
}

/** Serves `ops` (async functions by name) until stdin closes. */
exports.serve = async function serve(about, ops, pick) {
  ops.hello = async () => ({ ...about, ops: Object.keys(ops) })
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { op, ...request } = JSON.parse(line)
    let reply
    try {
      reply = (await ops[op](request)) ?? {}
    } catch (e) {
      console.error(e)
      reply = { error: `${e.name}: ${e.message}`, code: exports.codeIn(e, pick) }
    }
    answer(JSON.stringify(reply) + '\n')
  }
  process.exit(0)
}
