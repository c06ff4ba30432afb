// The OpenAPI document of PostgREST, which Swagger UI and client generators read: of a comment in the database the
// first line is the summary, the rest the description.
//
// Pitfall: it has what the caller may do, so the service is asked.  Without a rest, there is a summary alone.
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { anonKey, raw, serviceKey, sql } from './lib/api.mjs'

const documents = {}

before(async () => {
  for (const schema of ['public', 'pipeline']) {
    const answer = await raw('GET', '/', { token: serviceKey, headers: { 'Accept-Profile': schema } })
    assert.equal(answer.status, 200)
    documents[schema] = answer.body
  }
})

test('a function has a short summary, and a description with its arguments', () => {
  const { summary, description } = documents.public.paths['/rpc/complete_job'].post
  assert.equal(summary, 'Move a video job from PACKAGING to READY and charge its price.')
  assert.match(description, /^- p_job_id: the job\.\n- p_output_url: /)
  assert.match(description, /\nCallers: services only\.\nErrors: 22004 /)
})

test('a table has a short summary, and a description', () => {
  const { summary, description } = documents.pipeline.paths['/prompts'].get
  assert.equal(summary, 'Prompts and copy that the bots use.')
  assert.equal(description, 'pipeline.upsert_prompt() writes them. Every signed-in user may read them.')
})

test('so has every function that a service may call', async () => {
  const functions = await sql(`
    SELECT n.nspname AS schema, '/rpc/' || p.proname AS path, obj_description(p.oid, 'pg_proc') AS comment
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE n.nspname IN ('public', 'pipeline') AND p.prorettype <> 'trigger'::regtype
       AND has_function_privilege('service_role', p.oid, 'EXECUTE')`)
  assert.ok(functions.length > 80, `${functions.length} functions`)
  compare(functions, 'post')
})

test('so has every table', async () => {
  const tables = await sql(`
    SELECT n.nspname AS schema, '/' || c.relname AS path, obj_description(c.oid, 'pg_class') AS comment
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname IN ('public', 'pipeline') AND c.relkind IN ('r', 'p')`)
  assert.ok(tables.length > 25, `${tables.length} tables`)
  compare(tables, 'get')
})

test('anon is shown nothing but what anon may call', async () => {
  const { body } = await raw('GET', '/', { token: anonKey })
  assert.deepEqual(Object.keys(body.paths).filter((path) => path !== '/').sort(), [
    '/rpc/get_draft_prompt', '/rpc/save_draft_prompt', '/rpc/workflow_diagram', '/rpc/workflow_transitions',
  ])
})

function compare(objects, method) {
  for (const { schema, path, comment } of objects) {
    const { summary, description } = documents[schema].paths[path][method]
    const [first, ...rest] = comment.split('\n')
    assert.deepEqual([path, summary, description ?? ''], [path, first, rest.join('\n').replace(/^\n+/, '')])
    assert.ok(summary.length <= 80, path)
  }
}
