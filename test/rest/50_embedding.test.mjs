// What clients build with the tables themselves: embedding along every foreign key, pages, Prefer, the schema
// pipeline, and what the root says is there.  That embedding is unambiguous and named well is generated from
// pg_constraint, so that a new foreign key is looked at too.
//
// Pitfall: PostgREST embeds by the foreign keys between two tables, and where there are two of them it answers 300
// to everybody who did not name one, in both directions.  A second foreign key between two tables therefore breaks
// clients that worked before; AMBIGUOUS lists the pairs that always had more than one.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { before, test } from 'node:test'
import { anonKey, raw, service, serviceKey, signUp, sql, user } from './lib/api.mjs'
import {
  asset, booksAreSound, call, course, done, entries, insert, profile, rendering, rpc, run, settledJob, studioJob, userWith,
} from './lib/scenes.mjs'

const AMBIGUOUS = [
  'mm_slide_presentations > mm_multimedia_assets: mm_slide_presentations_html_asset_id_fkey, ' +
    'mm_slide_presentations_pdf_asset_id_fkey, mm_slide_presentations_pptx_asset_id_fkey',
]
const MAX_ROWS = 1000
// These have no p_limit: what they return is few rows, none where all is well, or what they were given.
const UNLIMITED = ['cancel_jobs', 'complete_jobs', 'fail_jobs', 'get_credit_lots', 'get_job_attempts', 'get_queue_stages',
  'get_settings', 'verify_credit_ledger', 'verify_setup', 'workflow_transitions']

let ada, ben, theirs, links

before(async () => {
  [ada, ben] = [await userWith(100, 'Ada'), await userWith(50, 'Ben')]
  theirs = await everythingOf(ada)
  links = await foreignKeys()
})

// ---- embedding -----------------------------------------------------------------------------------------------

test('every foreign key is named after its table and column', () => {
  assert.ok(links.length > 30, `${links.length} foreign keys`)
  assert.deepEqual(links.filter((link) => link.name !== `${link.child}_${link.column}_fkey`), [])
})

test('two tables are linked once, but for those that are known', () => {
  const pairs = [...grouped(links, pairOf)]
  const several = pairs.filter(([, members]) => members.length > 1)
  assert.deepEqual(several.map(([pair, members]) => `${pair}: ${members.map((link) => link.name).sort().join(', ')}`), AMBIGUOUS)
})

test('each foreign key embeds the row that it refers to, for its user and for a service', async () => {
  for (const link of links) {
    for (const token of [ada.token, serviceKey]) {
      const select = `*,linked:${target(link.parent, link)}(*)`
      const rows = await read(link.schema, `/${link.child}?select=${select}&${link.column}=not.is.null&limit=20`, token)
      assert.ok(rows.length > 0, `${link.name}: no row to look at`)
      for (const row of rows) {
        assert.equal(row.linked?.[link.key], row[link.column], link.name)
      }
    }
  }
})

test('each foreign key embeds the rows that refer to a row', async () => {
  for (const link of links) {
    for (const token of [ada.token, serviceKey]) {
      const select = `*,linked:${target(link.child, link)}!inner(*)`
      const rows = await read(link.schema, `/${link.parent}?select=${select}&limit=20`, token)
      assert.ok(rows.length > 0, `${link.name}: no row to look at`)
      for (const row of rows) {
        assert.ok(Array.isArray(row.linked) && row.linked.every((child) => child[link.column] === row[link.key]), link.name)
      }
    }
  }
})

test('the plain form is refused where there are several, and names them all', async () => {
  for (const line of AMBIGUOUS) {
    const [, child, parent, names] = /^(\w+) > (\w+): (.*)$/.exec(line)
    for (const [from, to] of [[child, parent], [parent, child]]) {
      const answer = await raw('GET', `/${from}?select=*,${to}(*)`, { token: ada.token })
      assert.deepEqual([answer.status, answer.body.code], [300, 'PGRST201'])
      for (const name of names.split(', ')) {
        assert.ok(JSON.stringify(answer.body.details).includes(name), `${name} is not named`)
      }
    }
  }
})

test('the files of a slide deck by foreign key and by column', async () => {
  const { presentation } = theirs
  const byName = ['pdf', 'pptx', 'html'].map((format) =>
    `${format}:mm_multimedia_assets!mm_slide_presentations_${format}_asset_id_fkey(asset_name)`)
  const byColumn = ['pdf', 'pptx', 'html'].map((format) => `${format}:${format}_asset_id(asset_name)`)
  for (const select of [byName, byColumn]) {
    const path = `/mm_slide_presentations?presentation_id=eq.${presentation}&select=${select.join()}`
    assert.deepEqual(await read('public', path, ada.token), [
      { pdf: { asset_name: 'a.pdf' }, pptx: { asset_name: 'a.pptx' }, html: { asset_name: 'a.html' } },
    ])
  }
})

test('what belongs to a project, three tables deep, the newest job only', async () => {
  const { data, error } = await user(ada).from('projects')
    .select('title, jobs(status, job_steps(step_name), assets(type), logs(level), credit_ledger(type, amount))')
    .eq('id', theirs.project)
    .order('created_at', { referencedTable: 'jobs', ascending: false })
    .limit(1, { referencedTable: 'jobs' })
    .order('step_order', { referencedTable: 'jobs.job_steps' })
    .order('entry_no', { referencedTable: 'jobs.credit_ledger' })
  assert.equal(error, null)
  const [{ title, jobs: [job, ...others] }] = data
  assert.deepEqual([title, others, job.status], ['Title', [], 'QUEUED'])
  assert.equal(job.job_steps[0].step_name, 'scripting')
  assert.deepEqual([job.assets, job.logs], [[{ type: 'video' }], [{ level: 'info' }]])
  assert.deepEqual(job.credit_ledger.map(({ type, amount }) => [type, amount]), [
    ['reserve', -10], ['reserve', 10], ['usage', -10],
  ])
})

test('embedding shows nobody what is not theirs', async () => {
  for (const link of links) {
    for (const [from, to] of [[link.child, link.parent], [link.parent, link.child]]) {
      const path = `/${from}?select=*,linked:${target(to, link)}(*)`
      const answer = await ask('GET', link.schema, path, ben.token)
      assert.equal(answer.status, 200, `${path} ${answer.text}`)
      for (const secret of [ada.id, theirs.company, theirs.job, theirs.run]) {
        assert.ok(!answer.text.includes(secret), path)
      }
      const nobody = await ask('GET', link.schema, path, anonKey)
      assert.deepEqual([nobody.status, nobody.body.code], [401, '42501'], path)
    }
  }
})

test('there are neither views nor computed columns that would be embedded', async () => {
  const views = await sql(`
    SELECT oid::regclass FROM pg_class
     WHERE relkind IN ('v', 'm', 'f') AND relnamespace IN ('public'::regnamespace, 'pipeline'::regnamespace)`)
  const computed = await sql(`
    SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_type t ON t.oid = ANY (p.proargtypes::oid[]) AND t.typrelid <> 0
     WHERE p.pronamespace IN ('public'::regnamespace, 'pipeline'::regnamespace)`)
  assert.deepEqual([views, computed], [[], []])
})

// ---- pages ---------------------------------------------------------------------------------------------------

test('pages by limit and offset, by Range, and how many there are', async () => {
  const cleo = await signUp('Cleo')
  await sql(`INSERT INTO projects (user_id, title, prompt_text, niche_preset)
             SELECT $1, to_char(n, 'FM00'), 'p', 'history' FROM generate_series(1, 25) n`, [cleo.id])
  const page = (query, headers) => raw('GET', `/projects?select=title&order=title.desc${query}`, { token: cleo.token, headers })
  const titles = (answer) => answer.body.map((row) => Number(row.title))
  const exact = { Prefer: 'count=exact' }

  const byLimit = await page('&limit=10&offset=20', exact)
  assert.deepEqual([byLimit.status, byLimit.headers.get('content-range')], [206, '20-24/25'])
  assert.deepEqual(titles(byLimit), [5, 4, 3, 2, 1])
  const byRange = await page('', { Range: '10-12', 'Range-Unit': 'items' })
  assert.deepEqual([byRange.status, byRange.headers.get('content-range'), titles(byRange)], [200, '10-12/*', [15, 14, 13]])
  const all = await page('', exact)
  assert.deepEqual([all.status, all.headers.get('content-range'), all.body.length], [200, '0-24/25', 25])
  const beyond = await page('&offset=30', exact)
  assert.deepEqual([beyond.status, beyond.body.code], [416, 'PGRST103'])
  const none = await page('&limit=0')
  assert.deepEqual([none.status, none.body], [200, []])

  const { data, count } = await user(cleo).from('projects').select('title', { count: 'exact' }).order('title').range(3, 5)
  assert.deepEqual([data.map((row) => row.title), count], [['04', '05', '06'], 25])
})

test('no answer has more rows than the server allows, which the count tells', async () => {
  const cleo = await signUp('Cleo')
  await sql(`INSERT INTO studio_jobs (user_id, status, raw_audio_url, refined_text)
             SELECT $1, 'COMPLETE', 'a.mp3', n::text FROM generate_series(1, $2) n`, [cleo.id, MAX_ROWS + 5])
  const page = (query) => raw('GET', `/studio_jobs?select=job_id&order=job_id${query}`, {
    token: cleo.token, headers: { Prefer: 'count=exact' },
  })
  const [first, second] = [await page(''), await page(`&offset=${MAX_ROWS}`)]
  assert.deepEqual([first.status, first.headers.get('content-range')], [206, `0-${MAX_ROWS - 1}/${MAX_ROWS + 5}`])
  assert.equal(second.headers.get('content-range'), `${MAX_ROWS}-${MAX_ROWS + 4}/${MAX_ROWS + 5}`)
  assert.equal(new Set([...first.body, ...second.body].map((row) => row.job_id)).size, MAX_ROWS + 5)
})

test('functions that return a set return at most what is not cut off', async () => {
  const sets = await sql(`
    SELECT p.proname AS name, p.pronamespace::regnamespace::text AS schema, 'p_limit' = ANY (p.proargnames) AS limited
      FROM pg_proc p
     WHERE p.proretset AND p.pronamespace IN ('public'::regnamespace, 'pipeline'::regnamespace)
       AND has_function_privilege('service_role', p.oid, 'EXECUTE') ORDER BY 1`)
  assert.deepEqual(sets.filter((set) => !set.limited).map((set) => set.name), UNLIMITED)
  const args = {
    claim_jobs: { p_system: 'jobs', p_worker: 'w' },
    events_since: { p_run_id: theirs.run },
    finish_and_claim: { p_system: 'jobs', p_worker: 'w', p_job_id: null, p_lease_token: null },
    retry_failed_jobs: { p_system: 'jobs' },
    search_module_content: { p_query: 'x' },
  }
  for (const { name, schema } of sets.filter((set) => set.limited)) {
    const answer = await rpc(name, { ...args[name], p_limit: MAX_ROWS + 1 }, { schema })
    assert.deepEqual([answer.status, answer.body.code, answer.body.details], [
      400, '22023', `p_limit must be between ${name === 'finish_and_claim' ? 0 : 1} and ${MAX_ROWS}.`,
    ], name)
  }
})

test('all events of a long run, page by page', async () => {
  const { p_run_id } = await run(ada)
  await sql(`INSERT INTO pipeline.job_events (run_id, bot_name, event_type)
             SELECT $1, 'bot', 'tick' FROM generate_series(1, $2)`, [p_run_id, MAX_ROWS + 50])
  const numbers = []
  for (let page = [{ seq: 0 }]; page.length > 0;) {
    const args = { p_run_id, p_after: page.at(-1).seq, p_limit: MAX_ROWS }
    page = await call('events_since', args, { schema: 'pipeline', token: ada.token })
    numbers.push(...page.map((event) => event.seq))
  }
  const [{ count }] = await sql('SELECT count(*)::int FROM pipeline.job_events WHERE run_id = $1', [p_run_id])
  assert.ok(count >= MAX_ROWS + 50)
  assert.deepEqual(numbers, Array.from({ length: count }, (_, i) => i + 1))
})

// What is filtered by must be selected, as PostgREST has it before 13 (PostgREST/postgrest#3965).
test('the rows of a function are filtered, ordered, cut and selected', async () => {
  const query = 'select=workflow,from_status,to_status&workflow=eq.studio_jobs&from_status=eq.ENRICHING&order=to_status.desc&limit=2'
  assert.deepEqual(await read('public', `/rpc/workflow_transitions?${query}`, anonKey), [
    { workflow: 'studio_jobs', from_status: 'ENRICHING', to_status: 'REFINING' },
    { workflow: 'studio_jobs', from_status: 'ENRICHING', to_status: 'FAILED' },
  ])
  const all = await read('public', '/rpc/workflow_transitions', anonKey)
  assert.equal(all.length, Number((await sql('SELECT count(*) FROM workflow_transitions()'))[0].count))
})

// ---- Prefer --------------------------------------------------------------------------------------------------

test('Prefer: return', async () => {
  const post = (how) => write('POST', '/projects', projectOf(ada), ada.token, { Prefer: `return=${how}` })
  const full = await post('representation')
  assert.deepEqual([full.status, full.body.length, full.body[0].target_minutes, full.body[0].user_id], [201, 1, 1, ada.id])
  const minimal = await post('minimal')
  assert.deepEqual([minimal.status, minimal.text], [201, ''])
  const headers = await post('headers-only')
  assert.match(headers.headers.get('location'), /^\/projects\?id=eq\.[0-9a-f-]{36}$/)

  const path = `/projects?id=eq.${full.body[0].id}`
  const changed = await write('PATCH', `${path}&select=title`, { title: 'New' }, ada.token, { Prefer: 'return=representation' })
  assert.deepEqual([changed.status, changed.body], [200, [{ title: 'New' }]])
  const foreign = await write('PATCH', path, { title: 'Mine' }, ben.token, { Prefer: 'return=representation' })
  assert.deepEqual([foreign.status, foreign.body], [200, []])
  const one = { Accept: 'application/vnd.pgrst.object+json', Prefer: 'return=representation' }
  const nothing = await write('DELETE', path, undefined, ben.token, one)
  assert.deepEqual([nothing.status, nothing.body.code], [406, 'PGRST116'])
  const gone = await write('DELETE', path, undefined, ada.token, one)
  assert.deepEqual([gone.status, gone.body.title], [200, 'New'])
})

test('Prefer: missing=default fills in what some rows of many leave out', async () => {
  const rows = [{ ...projectOf(ada), target_minutes: 7 }, projectOf(ada)]
  const columns = 'columns=user_id,title,prompt_text,niche_preset,target_minutes'
  const nulls = await write('POST', `/projects?${columns}`, rows, ada.token)
  assert.deepEqual([nulls.status, nulls.body.code], [400, '23502'])
  const filled = await write('POST', `/projects?${columns}&select=target_minutes`, rows, ada.token, {
    Prefer: 'missing=default,return=representation',
  })
  assert.deepEqual([filled.status, filled.body], [201, [{ target_minutes: 7 }, { target_minutes: 1 }]])
  const { data } = await user(ada).from('projects').insert(rows, { defaultToNull: false }).select('target_minutes')
  assert.deepEqual(data, [{ target_minutes: 7 }, { target_minutes: 1 }])
})

test('many rows of which one is wrong: none is there', async () => {
  const rows = [projectOf(ada, 'right'), { ...projectOf(ada, 'wrong'), niche_preset: 'cooking' }]
  const answer = await write('POST', '/projects', rows, ada.token)
  assert.deepEqual([answer.status, answer.body.code], [400, '23514'])
  assert.deepEqual(await read('public', '/projects?title=in.(right,wrong)', ada.token), [])
})

test('Prefer: resolution, where a service brings keys', async () => {
  const id = randomUUID()
  const prompt = (text) => ({ id, category: 'ui', context: 'c', prompt_text: text })
  const upsert = (text, how) => write('POST', '/prompts?select=prompt_text', prompt(text), serviceKey, {
    Prefer: `resolution=${how}-duplicates,return=representation`, ...profile('pipeline'),
  })
  assert.deepEqual((await upsert('first', 'merge')).body, [{ prompt_text: 'first' }])
  assert.deepEqual((await upsert('second', 'merge')).body, [{ prompt_text: 'second' }])
  assert.deepEqual((await upsert('third', 'ignore')).body, [])
  assert.equal((await call('get_prompt', { p_id: id }, { schema: 'pipeline' })).prompt_text, 'second')

  const views = (count) => service().from('mm_video_analytics')
    .upsert({ asset_id: theirs.asset, view_date: '2026-01-01', view_count: count }, { onConflict: 'asset_id,view_date' })
    .select('view_count')
  for (const count of [1, 2]) {
    const { data, error } = await views(count)
    assert.deepEqual([error, data], [null, [{ view_count: count }]])
  }
})

test('users cannot upsert what they may not write', async () => {
  const [mine] = await read('public', '/projects?limit=1', ada.token)
  // as Ben's, by Ada; then what PostgreSQL makes of Ada's identifier in a row of Ben's: an update that is refused, or nothing
  for (const [how, token, status] of [['merge', ada.token, 403], ['ignore', ada.token, 403], ['merge', ben.token, 403], ['ignore', ben.token, 201]]) {
    const headers = { Prefer: `resolution=${how}-duplicates,return=representation` }
    const answer = await write('POST', '/projects', { ...projectOf(ben), id: mine.id }, token, headers)
    assert.equal(answer.status, status, answer.text)
    assert.deepEqual(status === 201 ? answer.body : answer.body.code, status === 201 ? [] : '42501')
  }
  assert.deepEqual(await read('public', `/projects?id=eq.${mine.id}`, ada.token), [mine])
})

test('the ledger takes no upsert', async () => {
  const before = await entries(ada)
  const [entry] = await sql('SELECT id FROM credit_ledger WHERE user_id = $1 ORDER BY entry_no LIMIT 1', [ada.id])
  const row = { id: entry.id, user_id: ada.id, type: 'grant', amount: 1000 }
  for (const [how, status, code] of [['merge', 403, '42501'], ['ignore', 400, '0A000']]) {
    const answer = await write('POST', '/credit_ledger', row, serviceKey, { Prefer: `resolution=${how}-duplicates` })
    assert.deepEqual([answer.status, answer.body.code], [status, code], how)
  }
  const again = await write('POST', '/credit_ledger', row, serviceKey)
  assert.deepEqual([again.status, again.body.code], [409, '23505'])
  assert.deepEqual(await entries(ada), before)
  await booksAreSound()
})

// ---- schemas -------------------------------------------------------------------------------------------------

test('schema pipeline by Accept-Profile and Content-Profile; the same names mean other tables', async () => {
  const path = '/jobs?limit=1'
  const [here] = await read('public', path, ada.token)
  const [there] = await read('pipeline', path, ada.token)
  assert.deepEqual([Object.keys(here)[0], Object.keys(there)[0]], ['id', 'run_id'])
  const made = await user(ada, { db: { schema: 'pipeline' } }).rpc('create_job', { p_run_id: randomUUID(), p_project_spec: {} })
  assert.equal(made.data?.status, 'pending', JSON.stringify(made.error))
  const profileOf = (answer) => answer.headers.get('content-profile')
  assert.equal(profileOf(await ask('GET', 'pipeline', path, ada.token)), 'pipeline')
  assert.equal(profileOf(await raw('GET', path, { token: ada.token })), 'public')
})

test('no other schema can be asked for', async () => {
  for (const schema of ['studio_engine', 'auth', 'extensions', 'pg_catalog', 'information_schema', 'Public', '']) {
    for (const token of [anonKey, ada.token, serviceKey]) {
      const read = await raw('GET', '/settings', { token, headers: { 'Accept-Profile': schema } })
      const written = await raw('POST', '/settings', { token, body: {}, headers: { 'Content-Profile': schema } })
      for (const answer of [read, written]) {
        assert.deepEqual([answer.status, answer.body.code], [406, 'PGRST106'], `${schema} ${answer.text}`)
      }
    }
  }
  const beside = await raw('GET', '/settings', { token: serviceKey })
  assert.deepEqual([beside.status, beside.body.code], [404, '42P01'])
})

// ---- what is said to be there --------------------------------------------------------------------------------

test('HEAD and OPTIONS', async () => {
  const head = await raw('HEAD', `/projects?user_id=eq.${ada.id}`, { token: ada.token, headers: { Prefer: 'count=exact' } })
  const [{ count }] = await sql('SELECT count(*)::int FROM projects WHERE user_id = $1', [ada.id])
  assert.deepEqual([head.status, head.text, head.headers.get('content-range')], [200, '', `0-${count - 1}/${count}`])
  const none = await raw('HEAD', `/projects?user_id=eq.${ada.id}`, { token: ben.token, headers: { Prefer: 'count=exact' } })
  assert.equal(none.headers.get('content-range'), '*/0')
  const options = await raw('OPTIONS', '/projects', { token: anonKey })
  assert.deepEqual([options.status, options.text], [200, ''])
})

test('the root lists what each role may use, and nothing else', async () => {
  for (const [role, token] of [['anon', anonKey], ['authenticated', ada.token], ['service_role', serviceKey]]) {
    for (const schema of ['public', 'pipeline']) {
      const answer = await ask('GET', schema, '/', token)
      assert.equal(answer.status, 200)
      const paths = Object.keys(answer.body.paths ?? {}).filter((path) => path !== '/').sort()
      assert.deepEqual(paths, (await usable(role, schema)).sort(), `${role}, ${schema}`)
      assert.doesNotMatch(answer.text, /studio_engine\.\w/, `${role}, ${schema}`)
    }
  }
})

// The paths that a role has by the grants of the catalogue.
async function usable(role, schema) {
  const rows = await sql(`
    SELECT '/' || c.relname AS path FROM pg_class c
     WHERE c.relnamespace = $2::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
       AND has_any_column_privilege($1, c.oid, 'SELECT, INSERT, UPDATE') AND has_schema_privilege($1, $2, 'USAGE')
    UNION ALL
    SELECT '/rpc/' || p.proname FROM pg_proc p
     WHERE p.pronamespace = $2::regnamespace AND has_function_privilege($1, p.oid, 'EXECUTE')
       AND has_schema_privilege($1, $2, 'USAGE')`, [role, schema])
  return rows.map((row) => row.path)
}

// ---- searching, and what a search gives away -----------------------------------------------------------------

test('full-text search by function and by filter, in the own companies only', async () => {
  const word = 'quetzalcoatlus'
  await call('update_module_section', {
    p_content_id: theirs.content, p_section_name: 'introduction', p_section_content: `A ${word} flies.`,
  })
  const asked = { p_query: word }
  const found = await call('search_module_content', asked, { token: ada.token })
  assert.deepEqual(found.map((hit) => [hit.content_id, hit.section]), [[theirs.content, 'introduction']])
  assert.deepEqual(await call('search_module_content', asked, { token: ben.token }), [])
  const filter = `/cm_module_content?select=content_id&introduction=wfts(english).${word}`
  assert.deepEqual(await read('public', filter, ada.token), [{ content_id: theirs.content }])
  assert.deepEqual(await read('public', filter, ben.token), [])
})

test('filters, casts and errors show nothing of the rows of others', async () => {
  const secret = `secret ${randomUUID()}`
  await studioJob(ada, { raw_transcript: secret, error_details: { word: secret, list: [1] } })
  await insert('projects', { ...projectOf(ada), title: secret, settings: { word: secret } }, { token: ada.token })
  const some = encodeURIComponent(secret)
  for (const path of [
    `/studio_jobs?raw_transcript=eq.${some}`, `/studio_jobs?raw_transcript=like.secret*`, '/studio_jobs?raw_transcript=match.^s',
    '/studio_jobs?raw_transcript=gte.a', '/studio_jobs?raw_transcript=fts.secret', `/studio_jobs?or=(raw_transcript.eq.${some})`,
    '/studio_jobs?select=raw_transcript::integer', '/studio_jobs?select=raw_transcript::jsonb',
    '/studio_jobs?select=error_details->>word::integer', '/studio_jobs?select=error_details->list->>0::uuid',
    '/studio_jobs?order=error_details->word', `/studio_jobs?error_details->>word=eq.${some}`,
    '/studio_jobs?select=raw_transcript::timestamptz', `/studio_jobs?error_details=cs.{"word":"${some}"}`,
    '/projects?select=title::numeric', '/projects?select=settings->>word::boolean,jobs(output_url::integer)',
    '/projects?select=title,jobs!inner(status)&jobs.manifest_json->>x=is.null',
    '/jobs?select=id,projects!inner(title::integer)', `/jobs?select=id,projects!inner(title)&projects.title=eq.${some}`,
    '/credit_ledger?select=note::integer&amount=gt.0&type=eq.usage', '/cm_module_content?select=module_name::integer',
  ]) {
    const answer = await raw('GET', path, { token: ben.token })
    assert.deepEqual([answer.status, answer.body], [200, []], `${path} ${answer.text}`)
  }
  // the same is an error where there are rows, so the casts above are ones that would tell
  const own = await raw('GET', '/studio_jobs?select=raw_transcript::integer&raw_transcript=not.is.null', { token: ada.token })
  assert.deepEqual([own.status, own.body.code], [400, '22P02'])
})

test('what cannot be asked says nothing of the rows either', async () => {
  for (const [path, status] of [
    ['/studio_jobs?raw_transcript=match.(', 400], ['/studio_jobs?select=nope', 400], ['/studio_jobs?nope=eq.1', 400],
    ['/studio_jobs?select=raw_transcript.max()', 400], ['/studio_jobs?job_id=eq.nope', 400], ['/studio_jobs?created_at=gt.nope', 400],
    ['/studio_jobs?raw_transcript=cs.{a}', 404], ['/studio_jobs?select=*,profiles(*)', 400], ['/draft_prompts', 200],
  ]) {
    const answer = await raw('GET', path, { token: ben.token })
    assert.equal(answer.status, status, `${path} ${answer.text}`)
    assert.ok(!answer.text.includes(ada.id))
  }
  const plan = await raw('GET', '/studio_jobs', { token: ben.token, headers: { Accept: 'application/vnd.pgrst.plan+json' } })
  assert.deepEqual([plan.status, plan.body.code], [415, 'PGRST107'])
})

// ---- what they start from ------------------------------------------------------------------------------------

// A row in every table that has a foreign key, with all of them set.
async function everythingOf(owner) {
  const work = await videoOf(owner)
  const { company, employee, content, session, asset: file } = await course(owner)
  const plan = await call('create_course_plan', { p_employee_id: employee })
  await call('store_research_results', { p_plan_id: plan })
  const assessment = await call('store_quality_assessment', { p_content_id: content, p_overall_score: 5 })
  await call('start_enhancement_session', { p_content_id: content, p_quality_assessment_id: assessment })
  const presentation = await deckOf(session)
  await call('create_script_generation', { p_session_id: session })
  const narration = await call('create_audio_narration', { p_session_id: session })
  const audio = await call('register_multimedia_asset', {
    p_session_id: session, p_content_id: null, p_asset_type: 'audio', p_file_path: 'a.mp3',
  })
  await call('update_audio_narration', { p_narration_id: narration, p_master_audio_id: audio })
  await call('record_video_view', { p_asset_id: file })
  const { render, lease } = await rendering(session)
  await call('update_rendering', { p_render_id: render, p_status: 'rendering', p_lease_token: lease })
  await call('complete_rendering', { p_render_id: render, p_asset_id: file, p_lease_token: lease })
  return { ...work, company, content, asset: file, presentation }
}

async function videoOf(owner) {
  const job = await settledJob(owner, 10)
  await call('create_job_steps', { p_job_id: job })
  await call('record_asset', { p_job_id: job, p_type: 'video', p_url: 'u', p_storage_path: 'a.mp4' })
  await call('log_job', { p_job_id: job, p_level: 'info', p_message: 'm' })
  const [{ project_id: project }] = await sql('SELECT project_id FROM jobs WHERE id = $1', [job])
  const { p_run_id } = await run(owner)
  const pipeline = { schema: 'pipeline' }
  await call('record_event', { p_run_id, p_bot_name: 'bot', p_event_type: 'started' }, pipeline)
  await call('register_artifact', { p_run_id, p_kind: 'zip', p_url: 'u' }, pipeline)
  return { job, project, run: p_run_id }
}

async function deckOf(session) {
  const presentation = await call('create_slide_presentation', { p_session_id: session })
  const files = {}
  for (const format of ['pdf', 'pptx', 'html']) {
    files[`p_${format}_asset_id`] = await asset(session, `a.${format}`)
  }
  await call('update_slide_presentation', { p_presentation_id: presentation, ...files })
  return presentation
}

function projectOf({ id }, title = 'Title') {
  return { user_id: id, title, prompt_text: 'Prompt', niche_preset: 'history' }
}

// The foreign keys of one column between tables that the API has.
function foreignKeys() {
  return sql(`
    SELECT c.conname AS name, n.nspname AS schema, child.relname AS child, parent.relname AS parent,
           a.attname AS column, k.attname AS key
      FROM pg_constraint c
      JOIN pg_class child ON child.oid = c.conrelid
      JOIN pg_class parent ON parent.oid = c.confrelid
      JOIN pg_namespace n ON n.oid = child.relnamespace
      JOIN pg_attribute a ON a.attrelid = child.oid AND a.attnum = c.conkey[1]
      JOIN pg_attribute k ON k.attrelid = parent.oid AND k.attnum = c.confkey[1]
     WHERE c.contype = 'f' AND n.nspname IN ('public', 'pipeline') AND NOT child.relispartition
       AND parent.relnamespace = child.relnamespace AND cardinality(c.conkey) = 1
     ORDER BY c.conname`)
}

function pairOf({ schema, child, parent }) {
  return `${schema === 'public' ? '' : `${schema}.`}${child} > ${parent}`
}

// How the other table of a link is embedded: plainly, or by the name where there are several links.
function target(table, link) {
  return links.filter((other) => pairOf(other) === pairOf(link)).length > 1 ? `${table}!${link.name}` : table
}

function grouped(rows, key) {
  const groups = new Map()
  for (const row of rows) {
    groups.set(key(row), [...(groups.get(key(row)) ?? []), row])
  }
  return groups
}

function ask(method, schema, path, token) {
  return raw(method, path, { token, headers: profile(schema, 'Accept-Profile') })
}

async function read(schema, path, token) {
  return done(await ask('GET', schema, path, token))
}

function write(method, path, body, token, headers = {}) {
  return raw(method, path, { token, body, headers })
}
