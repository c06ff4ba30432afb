// Prints the types of the database of PGHOST, PGPORT and PGDATABASE, as supabase-js wants them.
//
// Pitfall: @supabase/postgres-meta is a server.  With PG_META_GENERATE_TYPES set it prints types and ends without
// listening; whatever it is not told it takes from the caller's environment, which therefore it does not get.
import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const SCHEMAS = 'public,pipeline'

const library = createRequire(import.meta.url).resolve('@supabase/postgres-meta')
const program = join(dirname(library), '../server/server.js')

export async function generate() {
  const env = { PG_META_DB_URL: address(), PG_META_GENERATE_TYPES: 'typescript', PG_META_GENERATE_TYPES_INCLUDED_SCHEMAS: SCHEMAS }
  const { stdout } = await promisify(execFile)(process.execPath, [program], { env, maxBuffer: 2 ** 24 })
  return stdout
}

// A socket is no host of an address, but may be a parameter of it.
function address() {
  const { PGHOST, PGPORT, PGDATABASE, PGUSER } = process.env
  const path = `${encodeURIComponent(PGUSER)}@localhost:${PGPORT}/${encodeURIComponent(PGDATABASE)}`
  return `postgres://${path}?${new URLSearchParams({ host: PGHOST })}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.stdout.write(await generate())
}
