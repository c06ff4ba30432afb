// Starts PostgREST and the gateway over the database of PGHOST, PGPORT and PGDATABASE, runs the test files that
// are named, one process after the other, and stops what it started:
//
//     node test/rest/lib/stage.mjs test/rest/10_seeds.test.mjs ...
//
// The database has the extension; PGUSER is a superuser.  POSTGREST_LOG names a file for PostgREST's messages.
// Pitfall: the settings of the API roles are those of the whole cluster, since PostgREST reads no others; the library
// safeupdate is test/safeupdate.  The server logs as little as a self-hosted Supabase.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import pg from 'pg'
import { startGateway } from './gateway.mjs'
import { sign } from './jwt.mjs'
import { startPostgrest } from './postgrest.mjs'

// A file that takes longer hangs: PostgREST repeats what fails with 40001 without end.
const FILE_LIMIT = 15 * 60 * 1000
const ENDING = ['SIGHUP', 'SIGINT', 'SIGTERM']

// What Supabase sets for its roles.
const ROLES = `
  ALTER ROLE anon SET statement_timeout = '3s';
  ALTER ROLE authenticated SET statement_timeout = '8s';
  ALTER ROLE authenticator SET statement_timeout = '8s';
  ALTER ROLE authenticator SET lock_timeout = '8s';
  ALTER ROLE authenticator SET session_preload_libraries = 'safeupdate';`

let child
let ended = ''
for (const signal of ENDING) {
  process.on(signal, () => {
    ended ||= signal
    child?.kill(signal)
  })
}

const files = process.argv.slice(2)
if (files.length === 0) {
  throw new Error('no test file is named')
}
await prepareRoles()
const jwtSecret = randomBytes(32).toString('hex')
const postgrest = await startPostgrest({ jwtSecret, log: process.env.POSTGREST_LOG })
const gateway = await startGateway(postgrest.url)
let failed = []
try {
  failed = await runAll()
} finally {
  gateway.stop()
  await postgrest.stop()
}
if (failed.length > 0) {
  console.log(`failed: ${failed.join(', ')}`)
  process.exitCode = 1
}

async function prepareRoles() {
  const client = new pg.Client()
  await client.connect()
  await client.query(ROLES)
  await client.query(`ALTER DATABASE ${client.escapeIdentifier(client.database)} SET log_min_messages = fatal`)
  await client.end()
}

async function runAll() {
  const failures = []
  for (const file of files) {
    console.log(`\n-- ${file}`)
    if (ended !== '' || !(await run(file))) {
      failures.push(file)
    }
  }
  return failures
}

async function run(file) {
  child = spawn(process.execPath, ['--test', '--test-reporter=spec', file], {
    env: { ...process.env, ...environment() },
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: FILE_LIMIT,
  })
  const [code] = await once(child, 'exit')
  return code === 0
}

function environment() {
  return {
    SUPABASE_URL: gateway.url,
    SUPABASE_ANON_KEY: sign({ role: 'anon' }, jwtSecret),
    SUPABASE_SERVICE_KEY: sign({ role: 'service_role' }, jwtSecret),
    POSTGREST_URL: postgrest.url,
    POSTGREST_PID: String(postgrest.pid),
    JWT_SECRET: jwtSecret,
  }
}
