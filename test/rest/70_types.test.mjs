// The types that clients compile against: generated from the installed extension, and with them the examples of
// test/rest/types in strict mode, those that must not compile among them.
//
// Pitfall: the compiler is what asserts, by types/same.ts and @ts-expect-error; a file that types/tsconfig.json
// does not name asserts nothing.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { sql } from './lib/api.mjs'
import { generate } from './types/generate.mjs'

const directory = new URL('types/', import.meta.url)
const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc')
let types

before(async () => {
  types = await generate()
  await writeFile(new URL('database.types.ts', directory), types)
})

test('the same installation gives the same types', async () => {
  assert.equal(await generate(), types)
})

test('every function that an API role may call is in the types', async () => {
  const callable = await sql(`
    SELECT DISTINCT n.nspname || '.' || p.proname AS name
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace, pg_roles r
     WHERE n.nspname IN ('public', 'pipeline') AND r.rolname IN ('anon', 'authenticated', 'service_role')
       AND has_function_privilege(r.oid, p.oid, 'EXECUTE')`)
  const typed = [...members('public', 'Functions'), ...members('pipeline', 'Functions')]
  assert.ok(callable.length > 80, `${callable.length} functions`)
  assert.deepEqual(callable.map(({ name }) => name).filter((name) => !typed.includes(name)), [])
})

test('every column that a user may read is in the types', async () => {
  const readable = await sql(`
    SELECT n.nspname AS schema, c.relname AS name, array_agg(a.attname::text) AS columns
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname IN ('public', 'pipeline') AND a.attnum > 0 AND NOT a.attisdropped
       AND has_column_privilege('authenticated', c.oid, a.attnum, 'SELECT')
     GROUP BY 1, 2`)
  assert.ok(readable.length > 20, `${readable.length} tables`)
  for (const { schema, name, columns } of readable) {
    const typed = members(schema, 'Tables', name, 'Row')
    assert.deepEqual(columns.map((column) => `${schema}.${column}`).filter((column) => !typed.includes(column)), [], name)
  }
})

test('the examples compile in strict mode, and what must not compile does not', async () => {
  const { files } = JSON.parse(await readFile(new URL('tsconfig.json', directory)))
  assert.deepEqual(files.sort(), (await readdir(directory)).filter((name) => name.endsWith('.ts')).sort())
  assert.equal(await compile(), '')
})

// What the type Database has under these names, each with the schema in front.
function members(schema, ...path) {
  const file = ts.createSourceFile('database.types.ts', types, ts.ScriptTarget.Latest)
  const database = file.statements.find((s) => ts.isTypeAliasDeclaration(s) && s.name.text === 'Database')
  const found = [schema, ...path].reduce((type, name) => type.members.find((m) => m.name.text === name).type, database.type)
  return found.members.map((member) => `${schema}.${member.name.text}`)
}

// What the compiler complains of.
function compile() {
  return new Promise((resolve) => {
    execFile(process.execPath, [compiler, '--pretty', 'false', '-p', fileURLToPath(directory)], (error, stdout, stderr) => {
      resolve(error === null ? '' : stdout + stderr || String(error))
    })
  })
}
