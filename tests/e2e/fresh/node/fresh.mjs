// node-postgres: two connections of one pool, each with a token of its own.

import { execFile } from 'node:child_process'
import fs from 'node:fs'
import { promisify } from 'node:util'
import pg from 'pg'

const run = promisify(execFile)
const ca = fs.readFileSync(process.env.PGSSLROOTCERT, 'utf8')
delete process.env.PGSSLMODE // `ssl` below checks the chain and the host's name
delete process.env.PGPASSWORD
const pool = new pg.Pool({
  max: 2,
  ssl: { ca },
  password: async () => (await run(process.env.PYTHON, ['-m', 'pgjit', 'token'])).stdout.trim(),
})
const clients = [await pool.connect(), await pool.connect()]
for (const client of clients) {
  const { rows } = await client.query('SHOW pgjit.policy')
  console.log(rows[0]['pgjit.policy'])
  client.release()
}
await pool.end()
