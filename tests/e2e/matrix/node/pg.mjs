// node-postgres: one JSON line per check.

import fs from 'node:fs'
import { Writable } from 'node:stream'
import { pipeline as stream } from 'node:stream/promises'
import pg from 'pg'
import copy from 'pg-copy-streams'
import { BYTES, VALUE, check, ensure, pause, sqlstate } from './report.mjs'

const settings = { ssl: { ca: fs.readFileSync(process.env.PGSSLROOTCERT, 'utf8') } }
delete process.env.PGSSLMODE // `ssl` above checks the chain and the host's name
const client = new pg.Client(settings)

await check('login', () => client.connect())

await check('simple', async () => {
  const { rows } = await client.query('SELECT 40 + 2')
  ensure(rows[0]['?column?'] === 42, 'not 42')
})

await check('prepared', async () => {
  for (const number of [0, 1, 2]) {
    const { rows } = await client.query({ name: 'sum', text: 'SELECT $1::int + $2::int AS sum', values: [number, 2] })
    ensure(rows[0].sum === number + 2, 'not the sum')
  }
})

await check('null', async () => {
  const { rows } = await client.query('SELECT $1::text AS value', [null])
  ensure(rows[0].value === null, 'not NULL')
})

await check('binary', async () => {
  const { rows } = await client.query('SELECT $1::bytea AS value', [BYTES])
  ensure(BYTES.equals(rows[0].value), 'other bytes')
  const other = await client.query({ text: 'SELECT $1::int4 AS value', values: [7], binary: true })
  ensure(other.rows[0].value === 7, 'another number')
})

await check('rows', async () => {
  const { rows } = await client.query("SELECT i, repeat('x', 100) FROM generate_series(1, 20000) AS i")
  ensure(rows.length === 20000 && rows.reduce((sum, row) => sum + row.i, 0) === 200010000, 'other rows')
})

await check('value', async () => {
  const { rows } = await client.query("SELECT repeat('0123456789abcdef', 262144) AS value")
  ensure(rows[0].value === VALUE, 'another value')
})

await check('copy-out', async () => {
  const wanted = Number((await client.query('SELECT count(*) FROM order_lines')).rows[0].count)
  let lines = 0
  const counter = new Writable({
    write(chunk, _, done) {
      lines += chunk.toString().split('\n').length - 1
      done()
    },
  })
  await stream(client.query(copy.to('COPY (SELECT * FROM order_lines) TO STDOUT')), counter)
  ensure(lines === wanted, `${lines} lines, not ${wanted}`)
})

await check('refused', () => sqlstate(client.query('DELETE FROM notes'), '42501'))

await check('alive', async () => {
  const { rows } = await client.query("SELECT 'alive' AS it")
  ensure(rows[0].it === 'alive', 'not alive')
})

await check('transaction', async () => {
  await client.query('BEGIN')
  await client.query('SELECT count(*) FROM orders')
  await sqlstate(client.query('DELETE FROM notes'), '42501')
  await sqlstate(client.query("SELECT 'too late'"), '25P02')
  await client.query('ROLLBACK')
  await client.query("SELECT 'after'")
})

await check('cancel', async () => {
  const asked = sqlstate(client.query('SELECT pg_sleep(60)'), '57014')
  let over = false
  asked.then(() => (over = true), () => (over = true))
  while (!over) {
    await pause(200)
    // The package's own `cancel` knows no TLS: the request is sent as the protocol has it.
    if (!over) await cancel()
  }
  await asked
})

async function cancel() {
  const net = await import('node:net')
  const tls = await import('node:tls')
  const raw = net.connect(Number(process.env.PGPORT), process.env.PGHOST)
  await new Promise((resolve, reject) => raw.once('connect', resolve).once('error', reject))
  const ask = Buffer.alloc(8)
  ask.writeInt32BE(8, 0)
  ask.writeInt32BE(80877103, 4)
  raw.write(ask)
  await new Promise((resolve) => raw.once('data', resolve))
  const secure = tls.connect({ socket: raw, ca: settings.ssl.ca, servername: process.env.PGHOST })
  await new Promise((resolve, reject) => secure.once('secureConnect', resolve).once('error', reject))
  const request = Buffer.alloc(16)
  request.writeInt32BE(16, 0)
  request.writeInt32BE(80877102, 4)
  request.writeInt32BE(client.processID, 8)
  request.writeInt32BE(client.secretKey, 12)
  secure.write(request)
  await new Promise((resolve) => secure.once('close', resolve).once('error', resolve))
}

await check('pipeline', async () => {
  // Asked for together: the package queues them, and each answer has to find its question.
  const asked = Array.from({ length: 20 }, (_, at) => client.query('SELECT $1::int * 2 AS it', [at]))
  const answers = (await Promise.all(asked)).map(({ rows }) => rows[0].it)
  ensure(answers.every((answer, at) => answer === at * 2), 'other answers')
})

await client.end()
