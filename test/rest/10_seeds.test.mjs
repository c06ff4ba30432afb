// The clients in the seed documents, as they are written there, as anon, as user A, as user B and as a service.
//
//   000, 001  frontend (TypeScript): own jobs, one job's refined text                          word for word
//             orchestrator (Python): insert, updates; recent failures; LIMIT 1                 as supabase-py sends them
//             StudioJobsClient (Python): its methods are functions here                        rpc
//             channel(...).on('postgres_changes')    needs a Realtime server; test/tap/080_realtime.pl shows what one gets
//             curl .../v1/jobs/new                   asks the orchestrator, which is no part of this; what that then
//                                                    asks of the database is the Python above
//             COUNT ... GROUP BY, AVG                PostgREST aggregates nothing on Supabase; get_job_statistics()
//   002       a bot's run: it has tables and no client; inserts and reads in schema pipeline
//   003       createClient with the service key                                                word for word
//             LEFT JOIN LATERAL of the dashboard: by embedding and by get_dashboard()
//             get_credit_balance, reserve_credits, claim_draft_prompt, sign-up                 rpc
//             pg_dump, psql, pnpm                    no API; test/tap/020_dump_restore.pl
//   004       content_manager, multimedia_manager (Python): arguments with p_                  rpc
//             .table('mm_multimedia_assets').select('*')                                       as supabase-py sends it
//             uploads to Storage                     another service
//
// Pitfall: an UPDATE of rows that the caller cannot see is no error.  It answers 200 with no rows, so each one is
// followed by a look at what is there.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { createClient } from '@supabase/supabase-js'
import { anon, anonKey, raw, service, serviceKey, signUp, sql, user } from './lib/api.mjs'

// The names that the seeds' programs have in their environment.
process.env.NEXT_PUBLIC_SUPABASE_URL = process.env.SUPABASE_URL
process.env.NEXT_PUBLIC_SUPABASE_ANON_KEY = process.env.SUPABASE_ANON_KEY

const UNKNOWN = '00000000-0000-4000-8000-000000000000'

// ---- 000 and 001: refinement ---------------------------------------------------------------------------------

test('001 frontend: own jobs, newest first; another user gets none of them', async () => {
  const [a, b] = await twoUsers()
  const ids = []
  for (const [age, text] of [[3, 'oldest'], [1, 'newest'], [2, 'between']]) {
    ids.push(await studioJob(a, { text, age }))
  }
  const foreign = await studioJob(b, { text: "B's" })

  const mine = await frontend(a, a, ids[1])
  assert.equal(mine.jobs.status, 200)
  assert.deepEqual(mine.jobs.data.map((job) => job.refined_text), ['newest', 'between', 'oldest'])
  assert.deepEqual(Object.keys(mine.jobs.data[0]).slice(0, 10), [
    'job_id', 'created_at', 'status', 'user_id', 'raw_audio_url', 'raw_transcript', 'refined_text',
    'system_prompt_used', 'processing_time_ms', 'error_details',
  ])
  assert.deepEqual(mine.job.data, { refined_text: 'newest', status: 'COMPLETE' })

  const theirs = await frontend(b, a, ids[1])
  assert.deepEqual([theirs.jobs.status, theirs.jobs.data], [200, []])
  assert.deepEqual([theirs.job.status, theirs.job.data, theirs.job.error.code], [406, null, 'PGRST116'])
  const own = await frontend(b, b, foreign)
  assert.deepEqual(own.jobs.data.map((job) => job.job_id), [foreign])
})

test('001 frontend: without a session, and without the filter', async () => {
  const [a, b] = await twoUsers()
  const id = await studioJob(a, { text: 'secret' })
  const nobody = await frontend(null, a, id)
  refused(nobody.jobs, 401, '42501')
  refused(nobody.job, 401, '42501')

  const everything = await user(b).from('studio_jobs').select('*')
  assert.deepEqual([everything.status, everything.data], [200, []])
})

test('000 orchestrator as a service: from NEW to COMPLETE', async () => {
  const [a] = await twoUsers()
  const statuses = []
  const job = await orchestrate(serviceKey, a.id, (answer) => {
    statuses.push([answer.status, answer.body.length, answer.body[0]?.status])
  })
  assert.deepEqual(statuses, [[201, 1, 'NEW'], [200, 1, 'TRANSCRIBING'], [200, 1, 'ENRICHING'], [200, 1, 'COMPLETE']])
  const [row] = await sql('SELECT * FROM studio_jobs WHERE job_id = $1', [job.job_id])
  assert.equal(row.user_id, a.id)
  assert.equal(row.raw_transcript, 'transcript')
  assert.equal(row.refined_text, 'final output')
  assert.equal(row.system_prompt_used, 'Brand Bible prompt')
  assert.ok(Number.isInteger(row.processing_time_ms) && row.processing_time_ms >= 0)
})

test('000 orchestrator as the user themselves, with the anon key of its .env', async () => {
  const [a] = await twoUsers()
  const job = await orchestrate(a.token, a.id, () => {})
  const [row] = await sql('SELECT status, refined_text FROM studio_jobs WHERE job_id = $1', [job.job_id])
  assert.deepEqual(row, { status: 'COMPLETE', refined_text: 'final output' })
})

test('000 orchestrator as anon, or for somebody else: nothing is written', async () => {
  const [a, b] = await twoUsers()
  const insert = { user_id: a.id, status: 'NEW', raw_audio_url: 'a.mp3', system_prompt_used: 'p' }
  for (const [token, status] of [[anonKey, 401], [b.token, 403]]) {
    const answer = await python('POST', '/studio_jobs', token, insert)
    assert.deepEqual([answer.status, answer.body.code], [status, '42501'])
  }
  assert.deepEqual(await jobsOf(a), [])
})

test("000 orchestrator: B's updates leave A's job as it is", async () => {
  const [a, b] = await twoUsers()
  const id = await studioJob(a, { status: 'NEW' })
  const before = await jobsOf(a)
  for (const change of orchestratorUpdates) {
    const blind = await python('PATCH', `/studio_jobs?job_id=eq.${id}`, b.token, change)
    assert.deepEqual([blind.status, blind.body], [200, []])
    const nobody = await python('PATCH', `/studio_jobs?job_id=eq.${id}`, anonKey, change)
    assert.deepEqual([nobody.status, nobody.body.code], [401, '42501'])
  }
  assert.deepEqual(await jobsOf(a), before)
  const deleted = await python('DELETE', `/studio_jobs?job_id=eq.${id}`, b.token)
  assert.equal(deleted.body.code, '42501')
  assert.deepEqual(await jobsOf(a), before)
})

test('an UPDATE or DELETE that forgot its filter is refused, and one whose filter fits all changes own rows only', async () => {
  const [a, b] = await twoUsers()
  await studioJob(a, { status: 'NEW' })
  await project(a, 'p')
  await project(b, 'p')
  const rows = (user) => Promise.all([jobsOf(user), displayName(user), sql('SELECT title FROM projects WHERE user_id = $1', [user.id])])
  const [before, own] = [await rows(a), await rows(b)]
  const changes = [
    ['/studio_jobs', 'job_id', { raw_audio_url: 'x' }], ['/profiles', 'id', { display_name: 'x' }], ['/projects', 'id', { title: 'x' }],
  ]
  const headers = { Prefer: 'return=minimal' }
  for (const [path, , change] of changes) {
    const { status, body } = await raw('PATCH', path, { token: b.token, body: change, headers })
    assert.deepEqual([status, body.code], [400, '21000'])
  }
  const { status, body } = await raw('DELETE', '/projects', { token: b.token, headers })
  assert.deepEqual([status, body.code], [400, '21000'])
  assert.deepEqual(await rows(b), own)
  for (const [path, key, change] of changes) {
    assert.equal((await raw('PATCH', `${path}?${key}=not.is.null`, { token: b.token, body: change, headers })).status, 204)
  }
  assert.equal(await displayName(b), 'x')
  assert.deepEqual(await rows(a), before)
})

test('000 orchestrator: a job of one user cannot be passed to another', async () => {
  const [a, b] = await twoUsers()
  const id = await studioJob(a, { status: 'NEW' })
  const answer = await python('PATCH', `/studio_jobs?job_id=eq.${id}`, a.token, { user_id: b.id })
  assert.deepEqual([answer.status, answer.body.code], [403, '42501'])
  assert.deepEqual(await jobsOf(b), [])
})

test('000 status flow over HTTP: what is not in it is refused', async () => {
  const [a] = await twoUsers()
  const id = await studioJob(a, { status: 'NEW' })
  for (const token of [a.token, serviceKey]) {
    const jump = await python('PATCH', `/studio_jobs?job_id=eq.${id}`, token, { status: 'COMPLETE' })
    assert.deepEqual([jump.status, jump.body.code], [400, '23514'])
    const unknown = await python('PATCH', `/studio_jobs?job_id=eq.${id}`, token, { status: 'DONE' })
    assert.equal(unknown.status, 400)
  }
  const started = await python('POST', '/studio_jobs', a.token, {
    user_id: a.id, status: 'REFINING', raw_audio_url: 'a.mp3', system_prompt_used: 'p',
  })
  assert.deepEqual([started.status, started.body.code], [400, '23514'])
  assert.deepEqual((await jobsOf(a)).map((job) => job.status), ['NEW'])
})

test('000 without a prompt the job has the default one', async () => {
  const [a] = await twoUsers()
  const { status, body } = await python('POST', '/studio_jobs', a.token, { user_id: a.id, raw_audio_url: 'a.mp3' })
  const [setting] = await sql(`SELECT value FROM studio_engine.settings WHERE name = 'default_system_prompt'`)
  assert.deepEqual([status, body[0].status, body[0].system_prompt_used], [201, 'NEW', setting.value])
})

test('001 a user_id that nobody has is a foreign key violation', async () => {
  const { status, body } = await python('POST', '/studio_jobs', serviceKey, { user_id: UNKNOWN, raw_audio_url: 'a' })
  assert.deepEqual([status, body.code], [409, '23503'])
})

test('001 StudioJobsClient: its methods as functions, by the roles that may', async () => {
  const [a, b] = await twoUsers()
  const db = service()
  const job = fine(await db.rpc('create_studio_job', {
    p_user_id: a.id,
    p_raw_audio_url: 'https://storage.supabase.co/...',
    p_system_prompt: 'Brand Bible prompt...',
  }))
  assert.deepEqual([job.user_id, job.status], [a.id, 'NEW'])
  const steps = [
    ['update_studio_job_status', { p_status: 'TRANSCRIBING' }, 'TRANSCRIBING'],
    ['store_transcript', { p_transcript: 'Raw transcript text...' }, 'ENRICHING'],
    ['store_refined_text', { p_text: 'Brand-compliant refined text...' }, 'COMPLETE'],
  ]
  for (const [method, args, status] of steps) {
    const call = { p_job_id: job.job_id, ...args }
    refused(await anon().rpc(method, call), 401, '42501')
    refused(await user(b).rpc(method, call), 403, '42501')
    assert.equal(fine(await db.rpc(method, call)).status, status)
  }
  assert.equal((await jobsOf(a))[0].refined_text, 'Brand-compliant refined text...')

  const asked = { p_user_id: a.id, p_raw_audio_url: 'b.mp3' }
  refused(await anon().rpc('create_studio_job', asked), 401, '42501')
  refused(await user(b).rpc('create_studio_job', asked), 403, '42501')
  assert.equal(fine(await user(a).rpc('create_studio_job', asked)).user_id, a.id)
})

test('001 monitoring: recent failures and statistics', async () => {
  const [a, b] = await twoUsers()
  await studioJob(a, { text: 'done' })
  for (const age of [2, 1]) {
    await studioJob(a, { status: 'FAILED', error: { age }, age })
  }
  const recent = (client) => client.from('studio_jobs').select('job_id, error_details, created_at')
    .eq('status', 'FAILED').order('created_at', { ascending: false }).limit(10)
  assert.deepEqual(fine(await recent(user(a))).map((job) => job.error_details.age), [1, 2])
  assert.deepEqual(fine(await recent(user(b))), [])
  assert.ok(fine(await recent(service())).length >= 2)
  assert.equal(fine(await service().from('studio_jobs').select('*').limit(1)).length, 1)

  const asked = { p_system: 'studio_jobs', p_user_id: a.id }
  for (const client of [user(a), service()]) {
    const statistics = fine(await client.rpc('get_job_statistics', asked))
    assert.deepEqual([statistics.count_by_status.COMPLETE, statistics.count_by_status.FAILED], [1, 2])
  }
  refused(await user(b).rpc('get_job_statistics', asked), 403, '42501')
  refused(await anon().rpc('get_job_statistics', asked), 401, '42501')
})

// ---- 002: pipeline -------------------------------------------------------------------------------------------

test('002 a run of bots: the owner reads along, nobody else does', async () => {
  const [a, b] = await twoUsers()
  const run = `run-${randomUUID()}`
  const db = service({ db: { schema: 'pipeline' } })
  await playRun(db, run, a)

  const shown = await readRun(user(a, { db: { schema: 'pipeline' } }), run)
  assert.deepEqual(shown.jobs.map((job) => [job.status, job.error_message]), [['completed', null]])
  assert.ok(shown.jobs[0].started_at <= shown.jobs[0].completed_at)
  assert.deepEqual(shown.job_events.filter((event) => event.bot_name === 'script_bot'), [
    { run_id: run, bot_name: 'script_bot', event_type: 'started', payload: { step: 1 }, owner_id: a.id },
  ])
  assert.deepEqual(shown.artifacts, [
    { run_id: run, kind: 'zip', url: 'https://x/a.zip', file_size: 5_000_000_000, checksum: 'abc', owner_id: a.id },
  ])
  assert.deepEqual(await readRun(db, run), shown)
  assert.deepEqual(await readRun(user(b, { db: { schema: 'pipeline' } }), run), { jobs: [], job_events: [], artifacts: [] })
})

test('002 what only a service may, and what anon may not even see', async () => {
  const [a, b] = await twoUsers()
  const run = `run-${randomUUID()}`
  await playRun(service({ db: { schema: 'pipeline' } }), run, a)
  const before = await sql('SELECT * FROM pipeline.jobs WHERE run_id = $1', [run])
  const options = { db: { schema: 'pipeline' } }
  for (const [client, status] of [[anon(options), 401], [user(a, options), 403], [user(b, options), 403]]) {
    refused(await client.from('jobs').update({ status: 'failed' }).eq('run_id', run), status, '42501')
    refused(await client.from('jobs').insert({ run_id: `${run}-2`, project_spec: {}, owner_id: a.id }), status, '42501')
    refused(await client.from('job_events').insert({ run_id: run, bot_name: 'b', event_type: 'e' }), status, '42501')
    refused(await client.from('artifacts').insert({ run_id: run, kind: 'zip' }), status, '42501')
    refused(await client.from('prompts').insert(prompt('x')), status, '42501')
  }
  for (const table of ['jobs', 'job_events', 'artifacts', 'prompts']) {
    refused(await anon(options).from(table).select('*'), 401, '42501')
  }
  assert.deepEqual(await sql('SELECT * FROM pipeline.jobs WHERE run_id = $1', [run]), before)
})

test('002 prompts: every user reads them, a service writes them', async () => {
  const [a] = await twoUsers()
  const options = { db: { schema: 'pipeline' } }
  const row = prompt(`p-${randomUUID()}`)
  fine(await service(options).from('prompts').insert(row))
  const read = (client) => client.from('prompts').select('id, category, context, prompt_text').eq('id', row.id)
  assert.deepEqual(fine(await read(user(a, options))), [row])
  assert.deepEqual(fine(await read(service(options))), [row])
})

// ---- 003: video and credits ----------------------------------------------------------------------------------

test('003 sign-up: a profile and ten credits', async () => {
  const [a, b] = await twoUsers()
  const ledger = (client) => client.from('credit_ledger').select('type, amount, balance_after, note').eq('user_id', a.id)
  const welcome = [{ type: 'grant', amount: 10, balance_after: 10, note: 'Welcome bonus: 1 free video trial' }]
  for (const client of [user(a), service()]) {
    assert.equal(fine(await client.from('profiles').select('display_name').eq('id', a.id).single()).display_name, 'A')
    assert.deepEqual(fine(await ledger(client)), welcome)
  }
  assert.deepEqual(fine(await ledger(user(b))), [])
  assert.deepEqual(fine(await user(b).from('profiles').select('*').eq('id', a.id)), [])
  refused(await ledger(anon()), 401, '42501')
})

test('003 a user changes their profile, and only theirs', async () => {
  const [a, b] = await twoUsers()
  const change = (client) => client.from('profiles').update({ display_name: 'New' }).eq('id', a.id).select('display_name')
  assert.deepEqual(fine(await change(user(b))), [])
  refused(await change(anon()), 401, '42501')
  assert.equal(await displayName(a), 'A')
  assert.deepEqual(fine(await change(user(a))), [{ display_name: 'New' }])
  refused(await user(a).from('profiles').update({ stripe_customer_id: 'cus_1' }).eq('id', a.id), 403, '42501')
  assert.equal(await displayName(a), 'New')
})

test('003 projects: their owner has all rights, nobody else any', async () => {
  const [a, b] = await twoUsers()
  const row = { user_id: a.id, title: 'First', prompt_text: 'p', niche_preset: 'history' }
  refused(await anon().from('projects').insert(row), 401, '42501')
  refused(await user(b).from('projects').insert(row), 403, '42501')
  const made = await user(a).from('projects').insert(row).select().single()
  assert.deepEqual([made.status, made.data.target_minutes, made.data.transcript_mode], [201, 1, 'auto'])

  const own = (client) => client.from('projects').update({ title: 'Renamed' }).eq('id', made.data.id).select('title')
  const gone = (client) => client.from('projects').delete().eq('id', made.data.id).select('id')
  assert.deepEqual([fine(await own(user(b))), fine(await gone(user(b)))], [[], []])
  assert.deepEqual(fine(await user(b).from('projects').select('*')), [])
  assert.deepEqual(fine(await own(user(a))), [{ title: 'Renamed' }])
  assert.deepEqual(fine(await gone(user(a))), [{ id: made.data.id }])
})

test('003 dashboard: newest job of each project, by embedding and by get_dashboard', async () => {
  const [a, b] = await twoUsers()
  const [older, newer, empty] = [await project(a, 'older', 3), await project(a, 'newer', 2), await project(a, 'empty', 1)]
  await videoJob(older, a, { status: 'FAILED', age: 5 })
  await videoJob(older, a, { status: 'RENDERING', age: 4 })
  await videoJob(newer, a, { status: 'QUEUED', age: 3 })
  const expected = [
    [empty, undefined, undefined], [newer, 'QUEUED', 0], [older, 'RENDERING', 75],
  ]

  for (const client of [user(a), service()]) {
    const { status, data } = await dashboard(client, a)
    assert.equal(status, 200)
    assert.deepEqual(data.map((row) => [row.id, row.jobs[0]?.status, row.jobs[0]?.progress]), expected)
    assert.ok(data.every((row) => row.jobs.length <= 1 && row.prompt_text === 'p'))
    const rows = fine(await client.rpc('get_dashboard', { p_user_id: a.id, p_limit: 20 }))
    assert.deepEqual(rows.map((row) => [row.id, row.status ?? undefined, row.progress ?? undefined]), expected)
  }
  assert.deepEqual(fine(await dashboard(user(b), a)), [])
  refused(await user(b).rpc('get_dashboard', { p_user_id: a.id }), 403, '42501')
  refused(await dashboard(anon(), a), 401, '42501')
  refused(await anon().rpc('get_dashboard', { p_user_id: a.id }), 401, '42501')
  assert.equal(fine(await user(a).rpc('get_dashboard', { p_user_id: a.id, p_limit: 2 })).length, 2)
})

test('003 rpc get_credit_balance', async () => {
  const [a, b] = await twoUsers()
  const asked = { p_user_id: a.id }
  assert.equal(fine(await user(a).rpc('get_credit_balance', asked)), 10)
  assert.equal(fine(await serverClient().rpc('get_credit_balance', asked)), 10)
  refused(await user(b).rpc('get_credit_balance', asked), 403, '42501')
  refused(await anon().rpc('get_credit_balance', asked), 401, '42501')
})

test('003 rpc reserve_credits', async () => {
  const [a, b] = await twoUsers()
  const job = await videoJob(await project(a, 'p'), a)
  const other = await videoJob(await project(a, 'q'), a)
  const asked = { p_user_id: a.id, p_job_id: job, p_amount: 6 }
  refused(await anon().rpc('reserve_credits', asked), 401, '42501')
  refused(await user(a).rpc('reserve_credits', asked), 403, '42501')
  refused(await user(b).rpc('reserve_credits', asked), 403, '42501')

  const supabase = serverClient()
  assert.equal(fine(await supabase.rpc('reserve_credits', asked)), true)
  assert.equal(fine(await supabase.rpc('reserve_credits', asked)), true)
  assert.equal(fine(await supabase.rpc('reserve_credits', { ...asked, p_job_id: other })), false)
  assert.equal(fine(await supabase.rpc('get_credit_balance', { p_user_id: a.id })), 4)
  assert.deepEqual(
    await sql('SELECT type, amount, balance_after, job_id FROM credit_ledger WHERE user_id = $1 ORDER BY entry_no', [a.id]),
    [
      { type: 'grant', amount: 10, balance_after: 10, job_id: null },
      { type: 'reserve', amount: -6, balance_after: 4, job_id: job },
    ],
  )
})

test('003 rpc claim_draft_prompt, after a visitor without an account wrote it', async () => {
  const [a, b] = await twoUsers()
  const token = `session-${randomUUID()}`
  const draft = fine(await anon().rpc('save_draft_prompt', { p_session_token: token, p_prompt_text: 'A film about Rome' }))
  refused(await anon().from('draft_prompts').select('*'), 401, '42501')
  assert.deepEqual(fine(await user(b).from('draft_prompts').select('id, prompt_text')), [])

  const claim = { p_session_token: token, p_user_id: a.id }
  refused(await anon().rpc('claim_draft_prompt', claim), 401, '42501')
  refused(await user(b).rpc('claim_draft_prompt', claim), 403, '42501')
  assert.equal(fine(await user(a).rpc('claim_draft_prompt', claim)), draft)
  assert.equal(fine(await user(a).rpc('claim_draft_prompt', claim)), null)
  assert.equal(fine(await user(b).rpc('claim_draft_prompt', { ...claim, p_user_id: b.id })), null)

  const read = (client) => client.from('draft_prompts').select('prompt_text').eq('id', draft)
  assert.deepEqual(fine(await read(user(a))), [{ prompt_text: 'A film about Rome' }])
  assert.deepEqual(fine(await read(user(b))), [])
  assert.deepEqual(fine(await user(a).from('draft_prompts').select('*')).map((row) => row.session_token), [token])
  assert.deepEqual(fine(await user(b).from('draft_prompts').select('*').eq('session_token', token)), [])
})

test('003 a service claims for the user it just signed up', async () => {
  const [a] = await twoUsers()
  const token = `session-${randomUUID()}`
  const draft = fine(await anon().rpc('save_draft_prompt', { p_session_token: token, p_prompt_text: 'p' }))
  assert.equal(fine(await serverClient().rpc('claim_draft_prompt', { p_session_token: token, p_user_id: a.id })), draft)
})

test('003 the worker updates a job, its owner watches, others do not', async () => {
  const [a, b] = await twoUsers()
  const id = await videoJob(await project(a, 'p'), a, { status: 'QUEUED' })
  const supabase = serverClient()
  const move = (client, status) => client.from('jobs').update({ status }).eq('id', id).select('status, progress')
  const watch = (client) => client.from('jobs').select('status, progress').eq('id', id)

  assert.deepEqual(fine(await move(supabase, 'SCRIPTING')), [{ status: 'SCRIPTING', progress: 5 }])
  assert.deepEqual(fine(await watch(user(a))), [{ status: 'SCRIPTING', progress: 5 }])
  assert.deepEqual(fine(await watch(user(b))), [])
  refused(await watch(anon()), 401, '42501')
  refused(await move(user(a), 'FAILED'), 403, '42501')
  refused(await move(user(b), 'FAILED'), 403, '42501')
  refused(await move(anon(), 'FAILED'), 401, '42501')
  refused(await move(supabase, 'READY'), 400, '23514')
  assert.deepEqual(fine(await watch(supabase)), [{ status: 'SCRIPTING', progress: 5 }])
})

test('003 the ledger takes no change from anybody', async () => {
  const [a, b] = await twoUsers()
  const before = await sql('SELECT * FROM credit_ledger WHERE user_id = $1', [a.id])
  for (const [client, status] of [[anon(), 401], [user(a), 403], [user(b), 403], [service(), 403]]) {
    for (const request of [
      client.from('credit_ledger').update({ amount: 1000 }).eq('user_id', a.id),
      client.from('credit_ledger').delete().eq('user_id', a.id),
      client.from('credit_accounts').update({ balance: 1000 }).eq('user_id', a.id),
    ]) {
      refused(await request, status, '42501')
    }
  }
  for (const client of [user(a), user(b)]) {
    refused(await client.from('credit_ledger').insert({ user_id: a.id, type: 'grant', amount: 99 }), 403, '42501')
  }
  assert.deepEqual(await sql('SELECT * FROM credit_ledger WHERE user_id = $1', [a.id]), before)
})

test("003 the seed's own INSERT into the ledger works for a service", async () => {
  const [a] = await twoUsers()
  const inserted = await service().from('credit_ledger')
    .insert({ user_id: a.id, type: 'grant', amount: 5, note: 'by hand' }).select('amount, balance_after, entry_no').single()
  assert.deepEqual([inserted.status, inserted.data], [201, { amount: 5, balance_after: 15, entry_no: 2 }])
  assert.equal(fine(await user(a).rpc('get_credit_balance', { p_user_id: a.id })), 15)
})

// ---- 004: content --------------------------------------------------------------------------------------------

test('004 content creation workflow, and its retrieval', async () => {
  const { a, b, company } = await twoCompanies()
  const content = await createContent(company)

  for (const client of [service(), user(a)]) {
    const module = fine(await client.rpc('get_module_content', { p_content_id: content }))
    assert.deepEqual(
      [module.module_name, module.employee_name, module.session_id, module.status, module.total_word_count],
      ['Financial Analysis Fundamentals', 'John Doe', 'session_123', 'approved', 4],
    )
    const sections = fine(await client.rpc('get_content_sections', { p_content_id: content }))
    assert.deepEqual(sections, {
      introduction: 'Welcome to Financial Analysis...',
      core_content: null, practical_applications: null, case_studies: null, assessments: null,
    })
    const assessment = fine(await client.rpc('get_latest_quality_assessment', { p_content_id: content }))
    assert.deepEqual([assessment.overall_score, assessment.passed], [8.5, true])
  }
  for (const method of ['get_module_content', 'get_content_sections', 'get_latest_quality_assessment']) {
    refused(await user(b).rpc(method, { p_content_id: content }), 403, '42501')
    refused(await anon().rpc(method, { p_content_id: content }), 401, '42501')
  }
  for (const table of ['cm_module_content', 'cm_quality_assessments']) {
    const read = (client) => client.from(table).select('content_id').eq('content_id', content)
    assert.equal(fine(await read(user(a))).length, 1)
    assert.deepEqual(fine(await read(user(b))), [])
    refused(await read(anon()), 401, '42501')
  }
})

test('004 multimedia generation workflow, and its retrieval', async () => {
  const { a, b, company } = await twoCompanies()
  const content = await createContent(company)
  const { session, video } = await createMultimedia(content)
  const assets = (token) => python('GET', `/mm_multimedia_assets?select=%2A&session_id=eq.${session}`, token)

  for (const token of [a.token, serviceKey]) {
    const { status, body } = await assets(token)
    assert.equal(status, 200)
    assert.deepEqual(
      body.map((asset) => [asset.asset_id, asset.asset_type, asset.file_path, asset.duration_seconds, asset.storage_bucket]),
      [[video, 'video', '/path/to/video.mp4', 600, 'multimedia-assets']],
    )
    assert.match(body[0].storage_path, /^video\/[^/]+\/[^/]+_video\.mp4$/)
  }
  assert.deepEqual([(await assets(b.token)).status, (await assets(b.token)).body], [200, []])
  assert.deepEqual([(await assets(anonKey)).status, (await assets(anonKey)).body.code], [401, '42501'])

  const read = (client) => client.from('mm_multimedia_sessions').select('status, progress_percentage, video_files_generated')
    .eq('session_id', session)
  assert.deepEqual(fine(await read(user(a))), [{ status: 'completed', progress_percentage: 100, video_files_generated: 1 }])
  assert.deepEqual(fine(await read(user(b))), [])
})

test('004 the managers are services: nobody else creates or changes', async () => {
  const { a, b, company } = await twoCompanies()
  const content = await createContent(company)
  const { session } = await createMultimedia(content)
  const before = await sql('SELECT * FROM cm_module_content WHERE content_id = $1', [content])
  for (const [client, status] of [[anon(), 401], [user(a), 403], [user(b), 403]]) {
    for (const [method, args] of managerCalls(company, content, session)) {
      refused(await client.rpc(method, args), status, '42501')
    }
    refused(await client.from('cm_module_content').update({ introduction: 'x' }).eq('content_id', content), status, '42501')
    refused(await client.from('mm_multimedia_assets').delete().eq('session_id', session), status, '42501')
  }
  assert.deepEqual(await sql('SELECT * FROM cm_module_content WHERE content_id = $1', [content]), before)
})

// ---- the seeds' programs ---------------------------------------------------------------------------------------

// 001, word for word but for the type marks; a session as signing in leaves it.
async function frontend(signedIn, user, jobId) {
  const supabase = createClient(
    process.env.NEXT_PUBLIC_SUPABASE_URL,
    process.env.NEXT_PUBLIC_SUPABASE_ANON_KEY
  )
  if (signedIn !== null) {
    const { error } = await supabase.auth.setSession({ access_token: signedIn.token, refresh_token: 'none' })
    assert.equal(error, null)
  }

  // Get user's jobs
  const jobs = await supabase
    .from('studio_jobs')
    .select('*')
    .eq('user_id', user.id)
    .order('created_at', { ascending: false })

  // Get specific job's refined text
  const job = await supabase
    .from('studio_jobs')
    .select('refined_text, status')
    .eq('job_id', jobId)
    .single()

  await supabase.auth.stopAutoRefresh()
  return { jobs, job }
}

// 003, word for word.
function serverClient() {
  const supabase = createClient(
    process.env.SUPABASE_URL,
    process.env.SUPABASE_SERVICE_KEY,
    {
      db: {
        schema: 'public',
      },
      auth: {
        persistSession: false,
      },
    }
  )
  return supabase
}

const orchestratorUpdates = [
  { status: 'TRANSCRIBING' },
  { status: 'ENRICHING', raw_transcript: 'transcript' },
  { status: 'COMPLETE', refined_text: 'final output' },
]

// 000: create, update the status, store the transcript, complete.  Each answer is shown to `look`.
async function orchestrate(token, userId, look) {
  const inserted = await python('POST', '/studio_jobs', token, {
    user_id: userId,
    status: 'NEW',
    raw_audio_url: 'https://storage.supabase.co/audio.mp3',
    system_prompt_used: 'Brand Bible prompt',
  })
  look(inserted)
  const [job] = inserted.body
  for (const change of orchestratorUpdates) {
    const updated = await python('PATCH', `/studio_jobs?job_id=eq.${job.job_id}`, token, change)
    assert.equal(updated.status, 200, updated.text)
    look(updated)
  }
  return job
}

// A request as supabase-py makes it for .insert(), .update(), .delete() and .select().
function python(method, path, token, body) {
  const writes = method !== 'GET'
  return raw(method, path, {
    token,
    body,
    headers: {
      Accept: 'application/json',
      [writes ? 'Content-Profile' : 'Accept-Profile']: 'public',
      ...(writes ? { Prefer: 'return=representation' } : {}),
    },
  })
}

// 003: LEFT JOIN LATERAL (... ORDER BY created_at DESC LIMIT 1) ... ORDER BY p.created_at DESC LIMIT 20
function dashboard(client, { id }) {
  return client
    .from('projects')
    .select('*, jobs(status, progress)')
    .eq('user_id', id)
    .order('created_at', { referencedTable: 'jobs', ascending: false })
    .limit(1, { referencedTable: 'jobs' })
    .order('created_at', { ascending: false })
    .limit(20)
}

async function playRun(db, run, owner) {
  fine(await db.from('jobs').insert({ run_id: run, project_spec: { title: 't' }, owner_id: owner.id }))
  fine(await db.from('jobs').update({ status: 'running' }).eq('run_id', run))
  fine(await db.from('job_events').insert({
    run_id: run, bot_name: 'script_bot', event_type: 'started', payload: { step: 1 },
  }))
  fine(await db.from('artifacts').insert({
    run_id: run, kind: 'zip', url: 'https://x/a.zip', file_size: 5_000_000_000, content_type: 'application/zip', checksum: 'abc',
  }))
  fine(await db.from('jobs').update({ status: 'completed' }).eq('run_id', run))
}

async function readRun(client, run) {
  const read = async (table, columns) => fine(await client.from(table).select(columns).eq('run_id', run))
  return {
    jobs: await read('jobs', 'status, error_message, started_at, completed_at'),
    job_events: await read('job_events', 'run_id, bot_name, event_type, payload, owner_id'),
    artifacts: await read('artifacts', 'run_id, kind, url, file_size, checksum, owner_id'),
  }
}

function prompt(id) {
  return { id, category: 'ui', context: 'landing', prompt_text: 'Say what you want to see' }
}

// 004, "Content Creation Workflow"
async function createContent(company) {
  const manager = service()
  const content = fine(await manager.rpc('create_module_content', {
    p_module_name: 'Financial Analysis Fundamentals',
    p_employee_name: 'John Doe',
    p_session_id: 'session_123',
    p_module_spec: {},
    p_company_id: company,
  }))
  fine(await manager.rpc('update_module_section', {
    p_content_id: content,
    p_section_name: 'introduction',
    p_section_content: 'Welcome to Financial Analysis...',
  }))
  fine(await manager.rpc('store_quality_assessment', {
    p_content_id: content,
    p_overall_score: 8.5,
    p_section_scores: {},
    p_passed: true,
  }))
  return content
}

// 004, "Multimedia Generation Workflow"
async function createMultimedia(content) {
  const manager = service()
  const session = fine(await manager.rpc('create_multimedia_session', {
    p_content_id: content,
    p_module_name: 'Financial Analysis',
    p_employee_name: 'John Doe',
    p_session_type: 'full_generation',
  }))
  const video = fine(await manager.rpc('register_multimedia_asset', {
    p_session_id: session,
    p_content_id: content,
    p_asset_type: 'video',
    p_file_path: '/path/to/video.mp4',
    p_duration_seconds: 600,
    p_storage_bucket: 'multimedia-assets',
  }))
  fine(await manager.rpc('update_session_status', {
    p_session_id: session,
    p_status: 'completed',
    p_progress_percentage: 100,
  }))
  return { session, video }
}

function managerCalls(company, content, session) {
  return [
    ['create_module_content', { p_module_name: 'm', p_company_id: company }],
    ['update_module_section', { p_content_id: content, p_section_name: 'introduction', p_section_content: 'x' }],
    ['update_module_sections', { p_content_id: content, p_sections: { introduction: 'x' } }],
    ['store_quality_assessment', { p_content_id: content, p_overall_score: 1 }],
    ['create_multimedia_session', { p_content_id: content }],
    ['register_multimedia_asset', { p_session_id: session, p_content_id: content, p_asset_type: 'video', p_file_path: 'f' }],
    ['register_multimedia_assets', { p_session_id: session, p_assets: [{ asset_type: 'video', file_path: 'f' }] }],
    ['update_session_status', { p_session_id: session, p_status: 'failed' }],
  ]
}

// ---- what they start from --------------------------------------------------------------------------------------

async function twoUsers() {
  return [await signUp('A'), await signUp('B')]
}

// A works for the company that it returns, B for another.
async function twoCompanies() {
  const [a, b] = await twoUsers()
  const [mine] = await sql(`INSERT INTO companies (name) VALUES ('Mine') RETURNING id`)
  const [other] = await sql(`INSERT INTO companies (name) VALUES ('Other') RETURNING id`)
  await sql(`INSERT INTO employees (company_id, user_id, name) VALUES ($1, $2, 'A'), ($3, $4, 'B')`, [
    mine.id, a.id, other.id, b.id,
  ])
  return { a, b, company: mine.id }
}

// age: hours ago
async function studioJob({ id }, { status = 'COMPLETE', text = null, error = null, age = 0 } = {}) {
  const [row] = await sql(
    `INSERT INTO studio_jobs (user_id, status, raw_audio_url, refined_text, error_details, created_at)
     VALUES ($1, $2, 'a.mp3', $3, $4, now() - make_interval(hours => $5)) RETURNING job_id`,
    [id, status, text, error, age],
  )
  return row.job_id
}

async function project({ id }, title, age = 0) {
  const [row] = await sql(
    `INSERT INTO projects (user_id, title, prompt_text, niche_preset, created_at)
     VALUES ($1, $2, 'p', 'history', now() - make_interval(hours => $3)) RETURNING id`,
    [id, title, age],
  )
  return row.id
}

async function videoJob(projectId, { id }, { status = 'PENDING', age = 0 } = {}) {
  const [row] = await sql(
    `INSERT INTO jobs (project_id, user_id, status, created_at)
     VALUES ($1, $2, $3, now() - make_interval(hours => $4)) RETURNING id`,
    [projectId, id, status, age],
  )
  return row.id
}

function jobsOf({ id }) {
  return sql('SELECT * FROM studio_jobs WHERE user_id = $1 ORDER BY created_at', [id])
}

async function displayName({ id }) {
  const [row] = await sql('SELECT display_name FROM profiles WHERE id = $1', [id])
  return row.display_name
}

// ---- answers ---------------------------------------------------------------------------------------------------

function fine({ data, error, status }) {
  assert.equal(error, null, `${status} ${JSON.stringify(error)}`)
  return data
}

function refused({ data, error, status }, expectedStatus, code) {
  assert.deepEqual([status, error?.code, data], [expectedStatus, code, null])
}
