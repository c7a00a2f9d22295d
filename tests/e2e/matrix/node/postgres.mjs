// postgres.js: one JSON line per check. It sends several statements without waiting for their answers.

import fs from 'node:fs'
import postgres from 'postgres'
import { BYTES, VALUE, check, ensure, pause, sqlstate } from './report.mjs'

const ca = fs.readFileSync(process.env.PGSSLROOTCERT, 'utf8')
const sql = postgres({ max: 1, ssl: { ca, servername: process.env.PGHOST }, onnotice: () => {} })

await check('login', () => sql`SELECT 'in'`)

await check('simple', async () => {
  const [row] = await sql.unsafe('SELECT 40 + 2')
  ensure(row['?column?'] === 42, 'not 42')
})

await check('prepared', async () => {
  for (const number of [0, 1, 2]) {
    const [row] = await sql`SELECT ${number}::int + ${2}::int AS sum`
    ensure(row.sum === number + 2, 'not the sum')
  }
})

await check('null', async () => {
  const [row] = await sql`SELECT ${null}::text AS value`
  ensure(row.value === null, 'not NULL')
})

await check('binary', async () => {
  const [row] = await sql`SELECT ${BYTES}::bytea AS value`
  ensure(BYTES.equals(row.value), 'other bytes')
})

await check('rows', async () => {
  const rows = await sql`SELECT i, repeat('x', 100) FROM generate_series(1, 20000) AS i`
  ensure(rows.length === 20000 && rows.reduce((sum, row) => sum + row.i, 0) === 200010000, 'other rows')
})

await check('cursor', async () => {
  let seen = 0
  await sql`SELECT i FROM generate_series(1, 5000) AS i`.cursor(500, (rows) => {
    seen += rows.length
  })
  ensure(seen === 5000, `${seen} rows`)
})

await check('value', async () => {
  const [row] = await sql`SELECT repeat('0123456789abcdef', 262144) AS value`
  ensure(row.value === VALUE, 'another value')
})

await check('copy-out', async () => {
  const [{ count }] = await sql`SELECT count(*)::int FROM order_lines`
  let lines = 0
  for await (const chunk of await sql`COPY (SELECT * FROM order_lines) TO STDOUT`.readable()) {
    lines += chunk.toString().split('\n').length - 1
  }
  ensure(lines === count, `${lines} lines, not ${count}`)
})

await check('refused', () => sqlstate(sql`DELETE FROM notes`, '42501'))

await check('alive', async () => {
  const [row] = await sql`SELECT 'alive' AS it`
  ensure(row.it === 'alive', 'not alive')
})

await check('transaction', async () => {
  await sqlstate(
    sql.begin(async (work) => {
      await work`SELECT count(*) FROM orders`
      await sqlstate(work`DELETE FROM notes`, '42501')
      await sqlstate(work`SELECT 'too late'`, '25P02')
      throw Object.assign(new Error('roll back'), { code: 'mine' })
    }),
    'mine',
  )
  const [row] = await sql`SELECT 'after' AS it`
  ensure(row.it === 'after', 'not rolled back')
})

await check('cancel', async () => {
  const query = sql`SELECT pg_sleep(60)`
  const asked = sqlstate(query.execute(), '57014')
  await pause(500)
  query.cancel()
  await asked
})

await check('pipeline', async () => {
  const asked = Array.from({ length: 20 }, (_, at) => sql`SELECT ${at}::int * 2 AS it`)
  const answers = (await Promise.all(asked)).map(([row]) => row.it)
  ensure(answers.every((answer, at) => answer === at * 2), 'other answers')
})

await sql.end({ timeout: 5 })
