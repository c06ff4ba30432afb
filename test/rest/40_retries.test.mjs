// Clients that do not know whether they were heard ask again.  The same request sent five times at once, or again
// after it was given up, has one effect; and requests that meet end with an answer, at READ COMMITTED and where a
// project has made its API roles SERIALIZABLE.
//
// Pitfall: PostgREST repeats by itself what failed with 40001, without end and without a word: its client hears
// nothing, and goes on waiting.  What tells is a number that no rollback takes back: a sequence, moved by the
// pre-request function of a PostgREST of its own.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { anonKey, raw, serviceKey, signUp, sql } from './lib/api.mjs'
import { startPostgrest } from './lib/postgrest.mjs'
import {
  advance, asset, bareJob, booksAreSound, call, claimedJob, course, entries, project, rendering, rpc, run,
  settledJob, studioJob, STAGES, userWith, videoJob,
} from './lib/scenes.mjs'

const TIMES = 5
const IN_FLIGHT = 50
const API_ROLES = ['anon', 'authenticated', 'service_role']
// the name of its sessions, and the schema of its pre-request function
const COUNTED = 'retries'
// Nothing takes so long; who waits longer waits forever.
const PATIENCE = 25_000

// ---- five at once: credits -----------------------------------------------------------------------------------

for (const name of ['purchase_credits', 'subscription_credits']) {
  test(`${name}() five times: one payment, one entry`, async () => {
    const ada = await signUp('Ada')
    const [before] = await entries(ada)
    await sameAnswer(name, { p_user_id: ada.id, p_amount: 25, p_stripe_payment_id: randomUUID() })
    const type = name.split('_')[0]
    assert.deepEqual(await entries(ada), [before, { type, amount: 25, balance_after: before.amount + 25, entry_no: 2 }])
  })
}

test('one payment as two kinds at once: one entry, and conflicts', async () => {
  const ada = await signUp('Ada')
  const args = { p_user_id: ada.id, p_amount: 25, p_stripe_payment_id: randomUUID() }
  const names = Array.from({ length: 6 }, (_, i) => ['purchase_credits', 'subscription_credits'][i % 2])
  const answers = await Promise.all(names.map((name) => rpc(name, args)))
  assert.deepEqual(answers.map((answer) => answer.status).sort(), [200, 200, 200, 409, 409, 409])
  assert.equal(new Set(answers.filter((answer) => answer.status === 200).map((answer) => answer.body)).size, 1)
  assert.equal((await entries(ada)).length, 2)
})

test('one payment for two users at once: one has it', async () => {
  const users = [await signUp('Ada'), await signUp('Ben')]
  const args = { p_amount: 25, p_stripe_payment_id: randomUUID() }
  const answers = await Promise.all([0, 1, 0, 1, 0, 1].map((i) => rpc('purchase_credits', { ...args, p_user_id: users[i].id })))
  assert.deepEqual(answers.map((answer) => answer.status).sort(), [200, 200, 200, 409, 409, 409])
  assert.deepEqual((await Promise.all(users.map(entries))).flat().filter((entry) => entry.type === 'purchase').length, 1)
})

test('grant_credits() five times under one key, and under five keys', async () => {
  const ada = await userWith(50)
  const before = await entries(ada)
  await sameAnswer('grant_credits', { p_user_id: ada.id, p_amount: 5, p_idempotency_key: randomUUID() })
  assert.deepEqual(changes(await entries(ada), before), [['grant', 5]])
  const grants = await times(() => rpc('grant_credits', { p_user_id: ada.id, p_amount: 1, p_idempotency_key: randomUUID() }))
  assert.equal(new Set(grants.map((answer) => answer.body)).size, TIMES)
})

test('reserve_credits(), settle_credits(), refund_credits() five times each', async () => {
  const ada = await userWith(50)
  const before = await entries(ada)
  const job = await bareJob(ada, 'QUEUED')
  assert.equal(await sameAnswer('reserve_credits', { p_user_id: ada.id, p_job_id: job, p_amount: 20 }), true)
  assert.equal(await sameAnswer('settle_credits', { p_job_id: job, p_final_cost: 15 }), 15)
  assert.equal(await sameAnswer('refund_credits', { p_job_id: job, p_amount: 4, p_idempotency_key: randomUUID() }), 4)
  assert.deepEqual(changes(await entries(ada), before), [
    ['reserve', -20], ['reserve', 20], ['usage', -15], ['refund', 4],
  ])
})

test('reserve_credits() of five jobs, where the credits are for two', async () => {
  const ada = await userWith(50)
  const jobs = await times(() => bareJob(ada, 'QUEUED'))
  const answers = await Promise.all(jobs.map((job) => rpc('reserve_credits', {
    p_user_id: ada.id, p_job_id: job, p_amount: 25,
  })))
  assert.deepEqual(answers.map((answer) => answer.body).sort(), [false, false, false, true, true])
  assert.equal(await call('get_credit_balance', { p_user_id: ada.id }), 0)
})

test('release_credits() five times', async () => {
  const ada = await userWith(50)
  const job = await videoJob(ada, 20)
  const before = await entries(ada)
  assert.equal(await sameAnswer('release_credits', { p_job_id: job }), 20)
  assert.deepEqual(changes(await entries(ada), before), [['reserve', 20]])
})

test('settle and release at once: the first decides, the other is a conflict', async () => {
  const ada = await userWith(50)
  const job = await videoJob(ada, 20)
  const before = await entries(ada)
  const answers = await Promise.all(Array.from({ length: 6 }, (_, i) =>
    rpc(['settle_credits', 'release_credits'][i % 2], { p_job_id: job })))
  const codes = answers.map((answer) => answer.body?.code ?? answer.status)
  assert.ok(codes.filter((code) => code === 'PT409').length === 3 && codes.filter((code) => code === 200).length === 3, codes)
  const charged = codes[0] === 200
  assert.deepEqual(changes(await entries(ada), before), [['reserve', 20], ...(charged ? [['usage', -20]] : [])])
})

test('reverse_purchase() and reinstate_purchase() five times', async () => {
  const ada = await userWith(50)
  const payment = { p_stripe_payment_id: randomUUID() }
  await call('purchase_credits', { p_user_id: ada.id, p_amount: 30, ...payment })
  const before = await entries(ada)
  const dispute = { ...payment, p_idempotency_key: randomUUID() }
  assert.equal(await sameAnswer('reverse_purchase', { ...dispute, p_amount: 10 }), 10)
  // without a key: what is left, and then nothing
  assert.deepEqual(await answersOf('reverse_purchase', payment), [0, 0, 0, 0, 20])
  assert.equal(await sameAnswer('reinstate_purchase', dispute), 10)
  assert.deepEqual(await answersOf('reinstate_purchase', payment), [0, 0, 0, 0, 20])
  // a dispute that was won before it came
  const early = { ...payment, p_idempotency_key: randomUUID() }
  assert.equal(await sameAnswer('reinstate_purchase', early), 0)
  assert.equal(await sameAnswer('reverse_purchase', { ...early, p_amount: 10 }), 0)
  const moved = changes(await entries(ada), before).map(([, amount]) => amount)
  assert.deepEqual([moved.slice(0, 2), moved.slice(2).reduce((sum, amount) => sum + amount, 0)], [[-10, -20], 30])
})

test('transfer_credits(), merge_accounts() and void_credits() five times each', async () => {
  const [ada, ben] = [await userWith(50), await signUp('Ben')]
  const [before, had] = [await entries(ada), await call('get_credit_balance', { p_user_id: ben.id })]
  const lot = await call('grant_credits', { p_user_id: ada.id, p_amount: 30, p_priority: -1 })
  const users = { p_from_user_id: ada.id, p_to_user_id: ben.id }
  assert.equal(await sameAnswer('void_credits', { p_entry_id: lot, p_amount: 10, p_idempotency_key: randomUUID() }), 10)
  assert.equal(await sameAnswer('transfer_credits', { ...users, p_amount: 5, p_idempotency_key: randomUUID() }), 5)
  // without a key: what is left of the lot, and then nothing
  assert.deepEqual(await answersOf('void_credits', { p_entry_id: lot }), [0, 0, 0, 0, 15])
  assert.deepEqual(changes(await entries(ada), before), [['grant', 30], ['grant', -10], ['grant', -5], ['grant', -15]])
  const rest = await call('get_credit_balance', { p_user_id: ada.id })
  assert.equal(await sameAnswer('merge_accounts', { ...users, p_idempotency_key: randomUUID() }), rest)
  assert.deepEqual(await answersOf('merge_accounts', users), [0, 0, 0, 0, 0])
  assert.equal(await call('get_credit_balance', { p_user_id: ben.id }), had + 5 + rest)
})

// ---- five at once: jobs --------------------------------------------------------------------------------------

test('complete_job() five times: one charge, one end', async () => {
  const ada = await userWith(50)
  const job = await videoJob(ada, 20)
  await advance(job, STAGES)
  const before = await entries(ada)
  const args = { p_job_id: job, p_output_url: 'https://x/a.mp4', p_manifest: { shots: 3 }, p_final_cost: 18 }
  const row = await sameAnswer('complete_job', args)
  assert.deepEqual([row.status, row.progress, row.cost_credits_final], ['READY', 100, 18])
  assert.deepEqual(changes(await entries(ada), before), [['reserve', 20], ['usage', -18]])
})

test('complete_job() of a worker five times, with its lease', async () => {
  const ada = await userWith(50)
  const { job, lease } = await claimedJob(ada, 20)
  await advance(job, STAGES, lease)
  const row = await sameAnswer('complete_job', { p_job_id: job, p_output_url: 'https://x/a.mp4', p_lease_token: lease })
  assert.equal(row.status, 'READY')
  assert.equal((await call('get_job_attempts', { p_job_id: job })).length, 1)
})

test('complete_job() at two prices at once: one is charged', async () => {
  const ada = await userWith(50)
  const job = await videoJob(ada, 20)
  await advance(job, STAGES)
  const answers = await Promise.all([10, 15, 10, 15].map((price) => rpc('complete_job', { p_job_id: job, p_final_cost: price })))
  assert.deepEqual(answers.map((answer) => answer.body.code ?? answer.status).sort(), [200, 200, 'PT409', 'PT409'])
  await booksAreSound(ada)
})

test('fail_job(), retry_job() and cancel_job() five times each', async () => {
  const ada = await userWith(50)
  const job = await videoJob(ada, 20)
  const before = await entries(ada)
  assert.equal((await sameAnswer('fail_job', { p_job_id: job, p_error_code: 'BROKEN' })).status, 'FAILED')
  assert.equal((await sameAnswer('retry_job', { p_job_id: job }, { token: ada.token })).status, 'QUEUED')
  assert.equal((await sameAnswer('cancel_job', { p_job_id: job }, { token: ada.token })).error_code, 'CANCELLED')
  assert.deepEqual(changes(await entries(ada), before), [['reserve', 20], ['reserve', -20], ['reserve', 20]])
})

test('fail_job() for another try, and snooze_job(), five times each: one attempt', async () => {
  const ada = await userWith(50)
  const failing = await claimedJob(ada, 5)
  await sameAnswer('fail_job', { p_job_id: failing.job, p_retryable: true, p_lease_token: failing.lease })
  const snoozing = await claimedJob(ada, 5)
  await sameAnswer('snooze_job', { p_job_id: snoozing.job, p_for: '1 hour', p_lease_token: snoozing.lease })
  for (const [{ job }, outcome] of [[failing, 'retried'], [snoozing, 'snoozed']]) {
    const attempts = await call('get_job_attempts', { p_job_id: job })
    assert.deepEqual(attempts.map((attempt) => attempt.outcome), [outcome])
  }
})

test('create_job_steps(), record_asset(), advance_job() five times each', async () => {
  const ada = await userWith(50)
  const job = await bareJob(ada, 'QUEUED')
  assert.deepEqual(await answersOf('create_job_steps', { p_job_id: job }), [0, 0, 0, 0, STAGES.length])
  await sameAnswer('record_asset', { p_job_id: job, p_type: 'video', p_url: 'u', p_storage_path: 'a.mp4' })
  assert.equal((await sameAnswer('advance_job', { p_job_id: job, p_status: 'SCRIPTING' })).status, 'SCRIPTING')
  const [rows] = await sql(`SELECT (SELECT count(*)::int FROM job_steps WHERE job_id = $1) AS steps,
                                   (SELECT count(*)::int FROM assets WHERE job_id = $1) AS assets`, [job])
  assert.deepEqual(rows, { steps: STAGES.length, assets: 1 })
})

test('claim_jobs() by five workers: no job goes to two', async () => {
  const ada = await userWith(50)
  const jobs = await Promise.all(Array.from({ length: 3 }, () => videoJob(ada, 1, 2_000_000_000)))
  const worker = `worker-${randomUUID()}`
  const claimed = (await times(() => call('claim_jobs', { p_system: 'jobs', p_worker: worker, p_limit: 50 }))).flat()
  const ids = claimed.map((claim) => claim.job_id)
  assert.equal(new Set(ids).size, ids.length)
  assert.deepEqual(jobs.filter((job) => !ids.includes(job)), [])
  for (const job of jobs) {
    await call('cancel_job', { p_job_id: job })
  }
  assert.equal(await call('release_leases', { p_worker: worker }), ids.length)
})

test('create_job(), create_studio_job(), enqueue_rendering() five times under one key, and under five keys', async () => {
  const ada = await userWith(50)
  const { session } = await course(ada)
  const before = await entries(ada)
  const video = { p_project_id: await project(ada), p_cost_credits: 3 }
  const recording = { p_user_id: ada.id, p_raw_audio_url: 'a.mp3' }
  const under = (args) => ({ ...args, p_idempotency_key: randomUUID() })
  const job = await sameAnswer('create_job', under(video))
  assert.deepEqual(changes(await entries(ada), before), [['reserve', -3]])
  const studio = await sameAnswer('create_studio_job', under(recording), { token: ada.token })
  const render = await sameAnswer('enqueue_rendering', under({ p_session_id: session }))
  assert.equal(new Set([job, studio.job_id, render]).size, 3)
  await call('cancel_job', { p_job_id: job })
  const jobs = await times(() => rpc('create_job', under(video)))
  assert.equal(new Set(jobs.map((answer) => answer.body)).size, TIMES)
})

test('a studio job five times from step to step', async () => {
  const ada = await userWith(10)
  const job = { p_job_id: await studioJob(ada) }
  await sameAnswer('update_studio_job_status', { ...job, p_status: 'TRANSCRIBING' })
  await sameAnswer('store_transcript', { ...job, p_transcript: 'words' })
  await sameAnswer('store_enrichment', { ...job, p_entities: { names: ['Ada'] } })
  const row = await sameAnswer('store_refined_text', { ...job, p_text: 'Words.' })
  assert.deepEqual([row.status, row.refined_text], ['COMPLETE', 'Words.'])
  const other = { p_job_id: await studioJob(ada) }
  await sameAnswer('fail_studio_job', { ...other, p_error: { code: 'BROKEN' } })
  assert.equal((await sameAnswer('retry_studio_job', other, { token: ada.token })).retry_count, 1)
  await sameAnswer('cancel_studio_job', other, { token: ada.token })
})

test('a rendering five times', async () => {
  const ada = await signUp('Ada')
  const { session } = await course(ada)
  const { render, lease } = await rendering(session)
  const args = { p_render_id: render, p_lease_token: lease }
  await call('update_rendering', { ...args, p_status: 'rendering' })
  assert.equal((await sameAnswer('complete_rendering', { ...args, p_asset_id: await asset(session, 'b.mp4') })).status, 'completed')
})

test('a run five times', async () => {
  const ada = await signUp('Ada')
  const pipeline = { schema: 'pipeline' }
  const args = { p_run_id: randomUUID(), p_project_spec: { title: 'Title' } }
  await sameAnswer('create_job', args, { ...pipeline, token: ada.token })
  const id = { p_run_id: args.p_run_id }
  await sameAnswer('set_job_status', { ...id, p_status: 'running' }, pipeline)
  await sameAnswer('register_artifact', { ...id, p_kind: 'zip', p_url: 'u', p_checksum: 'c' }, pipeline)
  await sameAnswer('upsert_prompt', { p_id: args.p_run_id, p_category: 'ui', p_context: 'c', p_prompt_text: 't' }, pipeline)
  await sameAnswer('set_job_status', { ...id, p_status: 'failed', p_error_message: 'broken' }, pipeline)
  await sameAnswer('retry_job', id, { ...pipeline, token: ada.token })
  await sameAnswer('cancel_job', id, { ...pipeline, token: ada.token })
  const events = await sql('SELECT seq::int FROM pipeline.job_events WHERE run_id = $1 ORDER BY seq', [args.p_run_id])
  assert.deepEqual(events.map((event) => event.seq), events.map((_, i) => i + 1))
})

// ---- five at once: sign-up and creation ----------------------------------------------------------------------

test('save_draft_prompt() and claim_draft_prompt() five times', async () => {
  const ada = await signUp('Ada')
  const draft = { p_session_token: randomUUID(), p_prompt_text: 'A film about owls' }
  const id = await sameAnswer('save_draft_prompt', draft, { token: anonKey })
  const claimed = await answersOf('claim_draft_prompt', { p_session_token: draft.p_session_token, p_user_id: ada.id }, ada)
  assert.deepEqual(claimed, [id, null, null, null, null].sort())
})

test('two users claim one draft: one gets it', async () => {
  const users = [await signUp('Ada'), await signUp('Ben')]
  const token = randomUUID()
  const id = await call('save_draft_prompt', { p_session_token: token, p_prompt_text: 'Owls' }, { token: anonKey })
  const answers = await Promise.all([0, 1, 0, 1].map((i) => rpc('claim_draft_prompt', {
    p_session_token: token, p_user_id: users[i].id,
  }, { token: users[i].token })))
  assert.deepEqual(answers.map((answer) => answer.body).filter((body) => body !== null), [id])
})

test('ensure_profile() five times', async () => {
  const ada = await signUp('Ada')
  await sql('DELETE FROM profiles WHERE id = $1', [ada.id])
  await sameAnswer('ensure_profile', { p_user_id: ada.id }, { token: ada.token })
  assert.deepEqual((await entries(ada)).map((entry) => entry.type), ['grant'])
})

test('a job whose id the caller chose is made once', async () => {
  const ada = await userWith(50)
  const row = { id: randomUUID(), project_id: await project(ada), user_id: ada.id, status: 'QUEUED' }
  const twice = { Prefer: 'resolution=ignore-duplicates,return=minimal' }
  const answers = await times(() => raw('POST', '/jobs', { token: serviceKey, body: row, headers: twice }))
  assert.ok(answers.every((answer) => answer.status < 300), answers.map((answer) => answer.text).join())
  assert.equal(await sameAnswer('reserve_credits', { p_user_id: ada.id, p_job_id: row.id, p_amount: 20 }), true)

  const again = await times(() => raw('POST', '/jobs', { token: serviceKey, body: row }))
  assert.deepEqual(again.map((answer) => [answer.status, answer.body.code]), Array(TIMES).fill([409, '23505']))
})

// ---- a client that gives up ----------------------------------------------------------------------------------

test('a client that went away and asks again', async () => {
  const ada = await userWith(50)
  const job = await videoJob(ada, 20)
  await advance(job, STAGES)
  const payment = { p_user_id: ada.id, p_amount: 7, p_stripe_payment_id: randomUUID() }
  const other = await bareJob(ada, 'QUEUED')
  for (const [name, args] of [
    ['purchase_credits', payment],
    ['grant_credits', { p_user_id: ada.id, p_amount: 3, p_idempotency_key: randomUUID() }],
    ['reserve_credits', { p_user_id: ada.id, p_job_id: other, p_amount: 5 }],
    ['settle_credits', { p_job_id: other, p_final_cost: 4 }],
    ['complete_job', { p_job_id: job, p_output_url: 'https://x/a.mp4' }],
  ]) {
    await giveUp(ada, name, args)
    const answer = await call(name, args)
    assert.deepEqual(await call(name, args), answer)
    await untilQuiet(`%"${name}"%`)
    assert.deepEqual(await call(name, args), answer)
  }
  const moves = (await entries(ada)).map((entry) => [entry.type, entry.amount])
  assert.deepEqual(moves.slice(-7), [
    ['purchase', 7], ['grant', 3], ['reserve', -5], ['reserve', 5], ['usage', -4], ['reserve', 20], ['usage', -20],
  ])
  await booksAreSound(ada)
})

// ---- many at once --------------------------------------------------------------------------------------------

test('fifty at once for one user, at READ COMMITTED: no request runs twice', async () => {
  const { asked, ran } = await counted('read committed', load)
  assert.equal(ran, asked)
})

test('fifty at once for one user, at SERIALIZABLE: every request is answered', async (t) => {
  const { asked, ran } = await counted('serializable', load)
  t.diagnostic(`${asked} requests that write ran ${ran} times`)
  assert.ok(ran >= asked, `${asked} ${ran}`)
})

test('fifty at once for one session without an account, at SERIALIZABLE', async (t) => {
  const { asked, ran } = await counted('serializable', draftLoad)
  t.diagnostic(`${asked} requests that write ran ${ran} times`)
  assert.ok(ran >= asked, `${asked} ${ran}`)
})

// What many clients of one user do, whose jobs meet in one account.
async function load(ask) {
  const ada = await userWith(100)
  const jobs = await Promise.all(Array.from({ length: 8 }, () => bareJob(ada, 'QUEUED')))
  const payment = randomUUID()
  const worker = `worker-${payment}`
  const kinds = [
    (job) => ['reserve_credits', { p_user_id: ada.id, p_job_id: job, p_amount: 10 }],
    (job) => ['settle_credits', { p_job_id: job, p_final_cost: 7 }],
    () => ['claim_jobs', { p_system: 'jobs', p_worker: worker }],
    () => ['purchase_credits', { p_user_id: ada.id, p_amount: 9, p_stripe_payment_id: payment }],
    (job) => ['release_credits', { p_job_id: job }],
    () => ['get_credit_summary', { p_user_id: ada.id }],
    (job) => ['refund_credits', { p_job_id: job, p_amount: 2, p_idempotency_key: job }],
    () => ['grant_credits', { p_user_id: ada.id, p_amount: 1 }],
    (job) => ['log_job', { p_job_id: job, p_level: 'info', p_message: 'm' }],
  ]
  const requests = Array.from({ length: 4 * IN_FLIGHT }, (_, i) => kinds[i % kinds.length](jobs[i % jobs.length]))
  await inFlight(requests, ([name, args]) => ask(name, args))
  await call('release_leases', { p_worker: worker })
  await Promise.all(jobs.map((job) => call('cancel_job', { p_job_id: job })))
  await booksAreSound()
  await lastsAreRight(ada, jobs)
}

// Each job holds nothing and was charged once at most; the rest is what the others paid in.
async function lastsAreRight(user, jobs) {
  const sums = await sql(`
    SELECT job_id, sum(amount) FILTER (WHERE type = 'reserve')::int AS held,
           count(*) FILTER (WHERE type = 'usage')::int AS charges, count(*) FILTER (WHERE type = 'refund')::int AS refunds
      FROM credit_ledger WHERE user_id = $1 AND job_id = ANY ($2) GROUP BY job_id`, [user.id, jobs])
  assert.deepEqual(sums.filter(({ held, charges, refunds }) => held !== 0 || charges > 1 || refunds > charges), [])
  const kinds = (await entries(user)).map((entry) => entry.type)
  assert.equal(kinds.filter((type) => type === 'purchase').length, 1)
}

// Functions that must see what others commit at the same time: drafts, and runs with their events.
async function draftLoad(ask) {
  const ada = await signUp('Ada')
  const token = randomUUID()
  const kinds = [
    (i) => ['save_draft_prompt', { p_session_token: token, p_prompt_text: `Text ${i}` }],
    () => ['claim_draft_prompt', { p_session_token: token, p_user_id: ada.id }],
    () => ['get_draft_prompt', { p_session_token: token }],
    () => ['ensure_profile', { p_user_id: ada.id }],
  ]
  await inFlight(Array.from({ length: 2 * IN_FLIGHT }, (_, i) => kinds[i % kinds.length](i)), ([name, args]) => ask(name, args))
  const [{ live }] = await sql(
    'SELECT count(*)::int AS live FROM draft_prompts WHERE session_token = $1 AND user_id IS NULL', [token])
  assert.ok(live <= 1, `${live} live drafts`)
}

// Runs a load against a PostgREST of its own, with API roles of this isolation level.  Returns how many requests
// that write there were, and how often such a one ran.
async function counted(isolation, run) {
  let asked = 0
  await setUpCounting(isolation)
  const postgrest = await startCounting()
  try {
    await run(async (name, args) => {
      asked += name.startsWith('get_') ? 0 : 1
      documented(name, await ask(postgrest.url, name, args))
    })
    await untilIdle()
    const [{ ran }] = await sql(`SELECT last_value::int AS ran FROM ${COUNTED}."${isolation}"`)
    return { asked, ran }
  } finally {
    await postgrest.stop()
    await tearDownCounting()
  }
}

// Role settings as a project may have them, and the function that counts, in a schema that is not exposed.
async function setUpCounting(isolation) {
  await tearDownCounting()
  for (const role of API_ROLES) {
    await sql(`ALTER ROLE ${role} SET default_transaction_isolation = '${isolation}'`)
  }
  await sql(`
    CREATE SCHEMA ${COUNTED};
    GRANT USAGE ON SCHEMA ${COUNTED} TO anon, authenticated, service_role;
    CREATE SEQUENCE ${COUNTED}."${isolation}";
    CREATE FUNCTION ${COUNTED}.count_request() RETURNS bigint LANGUAGE sql VOLATILE SECURITY DEFINER AS $$
      SELECT CASE WHEN current_setting('transaction_read_only') = 'off'
                  THEN nextval(format('${COUNTED}.%I', current_setting('transaction_isolation'))) END
    $$`)
}

async function tearDownCounting() {
  for (const role of API_ROLES) {
    await sql(`ALTER ROLE ${role} RESET default_transaction_isolation`)
  }
  await sql(`DROP SCHEMA IF EXISTS ${COUNTED} CASCADE`)
}

async function startCounting() {
  const settings = {
    PGRST_DB_PRE_REQUEST: `${COUNTED}.count_request`,
    // on a slow machine the last of many wait long for one of ten sessions
    PGRST_DB_POOL_ACQUISITION_TIMEOUT: String(PATIENCE / 1000),
    PGAPPNAME: COUNTED,
  }
  Object.assign(process.env, settings)
  try {
    return await startPostgrest({ jwtSecret: process.env.JWT_SECRET, log: process.env.POSTGREST_LOG })
  } finally {
    for (const name of Object.keys(settings)) {
      delete process.env[name]
    }
  }
}

function sessions() {
  return sql(`SELECT pid, state, state_change::text, query FROM pg_stat_activity
               WHERE application_name = $1 AND datname = current_database() ORDER BY pid`, [COUNTED])
}

// All requests were answered, so nothing is to run any more: not now, and not between two looks.
async function untilIdle() {
  let last = await sessions()
  await until(async () => {
    await pause(200)
    const now = await sessions()
    const same = JSON.stringify(now) === JSON.stringify(last)
    last = now
    return same && now.every((session) => session.state === 'idle')
  }, 'PostgREST goes on')
}

// At most IN_FLIGHT at a time.
async function inFlight(requests, send) {
  const queue = requests.values()
  await Promise.all(Array.from({ length: IN_FLIGHT }, async () => {
    for (const request of queue) {
      await send(request)
    }
  }))
}

function documented(name, { status, body, text }) {
  const fine = status === 200 || status === 204
  assert.ok(fine || ['PT402', 'PT409'].includes(body?.code), `${name}: ${status} ${text}`)
}

// ---- asking --------------------------------------------------------------------------------------------------

// A function of the schema public, of any PostgREST, as a service.
async function ask(url, name, args, signal = AbortSignal.timeout(PATIENCE)) {
  const answer = await fetch(`${url}/rpc/${name}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${serviceKey}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(args),
    signal,
  })
  const text = await answer.text()
  return { status: answer.status, text, body: text === '' ? null : JSON.parse(text) }
}

function times(what) {
  return Promise.all(Array.from({ length: TIMES }, what))
}

// The answer of all five, which are good ones and equal.
async function sameAnswer(name, args, options) {
  const bodies = await times(() => call(name, args, options))
  for (const body of bodies) {
    assert.deepEqual(body, bodies[0])
  }
  return bodies[0]
}

// The five answers, in the order of their text.
async function answersOf(name, args, { token } = {}) {
  return (await times(() => call(name, args, { token }))).sort()
}

// What was entered since.
function changes(now, before) {
  assert.deepEqual(now.slice(0, before.length), before)
  return now.slice(before.length).map((entry) => [entry.type, entry.amount])
}

// Asks, and goes away while the function waits for the account of the user.
async function giveUp(user, name, args) {
  const locker = new pg.Client()
  await locker.connect()
  await locker.query('BEGIN')
  await locker.query('SELECT 1 FROM credit_accounts WHERE user_id = $1 FOR UPDATE', [user.id])
  const controller = new AbortController()
  const answer = ask(`${process.env.SUPABASE_URL}/rest/v1`, name, args, controller.signal)
  await until(async () => (await waiting(`%"${name}"%`)).length > 0, `${name}() does not wait`)
  controller.abort()
  await assert.rejects(answer, { name: 'AbortError' })
  await locker.query('COMMIT')
  await locker.end()
}

function waiting(query) {
  return sql(`SELECT 1 FROM pg_stat_activity WHERE query LIKE $1 AND wait_event_type = 'Lock'`, [query])
}

async function untilQuiet(query) {
  const running = () => sql(`SELECT 1 FROM pg_stat_activity
    WHERE query LIKE $1 AND usename = 'authenticator' AND state <> 'idle'`, [query])
  await until(async () => (await running()).length === 0, `${query} goes on`)
}

async function until(condition, complaint) {
  const end = Date.now() + PATIENCE
  while (!(await condition())) {
    assert.ok(Date.now() < end, complaint)
    await pause(20)
  }
}
