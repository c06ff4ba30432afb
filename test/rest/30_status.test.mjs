// What a refused request answers: HTTP status, reason phrase, SQLSTATE, message, details and hint, for every row of
// the table of statuses (README, "Errors") and every message under a code of our own; and that it changes nothing.
//
// Three messages are not to be had here, since they need a transaction with one snapshot, or stand in a row of an
// answer; see SNAPSHOT_ONLY and ROWS_ONLY.
// Pitfall: under PTnnn the message is the reason phrase.  One that held a caller's text would let the caller write
// headers of the response, so messages are compared as a whole.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFile, readdir } from 'node:fs/promises'
import { after, test } from 'node:test'
import { anonKey, raw, serviceKey, signUp, sql } from './lib/api.mjs'
import {
  advance, asset, bareJob, booksAreSound, call, claimedJob, course, entries, insert, profile, project, rendering,
  rpc, run, settledJob, studioJob, STAGES, UNKNOWN, userWith, videoJob,
} from './lib/scenes.mjs'

const STATUS = {
  22003: 400, 22004: 400, 22023: 400, 23514: 400, '0A000': 400, PT402: 402, PT404: 404, PT409: 409, PT429: 429,
}
const BIGGEST = 2_147_483_647
// test/isolation and the serializable load of 40_retries.test.mjs have those.
const SNAPSHOT_ONLY = ['draft was saved at the same time', 'something was made from it at the same time',
  'something was added to the job at the same time']
// retry_failed_jobs() answers with it for a job; test/isolation has it.
const ROWS_ONLY = ['job has failed with another error meanwhile']

const NOT_ALLOWED = 'Users may act for themselves only; functions for workers and money need the service role.'
const TRANSITIONS = 'workflow_transitions() lists the legal transitions and the functions that some of them are left to.'
const BUY = 'Buy credits, or wait until a running job releases what it holds.'

const seen = new Set()

// ---- 400: the flows ------------------------------------------------------------------------------------------

test('400 23514: a step that a flow does not have, for every table', async () => {
  const rows = await oneRowOfEachFlow()
  const flows = await sql('SELECT workflow, from_status, to_status, via, condition FROM workflow_transitions()')
  assert.deepEqual(Object.keys(rows).sort(), [...new Set(flows.map((flow) => flow.workflow))].sort())

  for (const [workflow, { key, from, column = 'status', schema }] of Object.entries(rows)) {
    const steps = flows.filter((flow) => flow.workflow === workflow)
    const to = steps.map((step) => step.to_status).findLast((state) =>
      state !== from && !steps.some((step) => step.from_status === from && step.to_status === state))
    assert.ok(to, `${workflow}: ${from} leads everywhere`)
    await refused(() => patch(workflow.split('.').at(-1), key, { [column]: to }, { schema }), {
      code: '23514', message: 'illegal status transition', hint: TRANSITIONS,
      details: `${workflow}: from ${from} to ${to}; allowed: ${following(steps, from)}.`,
    })
  }
})

test('400 23514: the same from functions, as a service and as the owner', async () => {
  const ada = await userWith(100)
  const job = await videoJob(ada, 1)
  const refusal = (details) => ({ code: '23514', message: 'illegal status transition', details, hint: TRANSITIONS })
  await refused(() => rpc('advance_job', { p_job_id: job, p_status: 'READY' }), refusal(
    'jobs: from QUEUED to READY; allowed: SCRIPTING, VOICE_GEN (transcript_mode = manual), FAILED.'))
  await call('advance_job', { p_job_id: job, p_status: 'SCRIPTING' })
  await refused(() => rpc('retry_job', { p_job_id: job }, { token: ada.token }), refusal(
    'jobs: from SCRIPTING to QUEUED; allowed: VOICE_GEN, FAILED.'))
  const recording = await studioJob(ada)
  await refused(() => rpc('store_refined_text', { p_job_id: recording, p_text: 't' }), refusal(
    'studio_jobs: from NEW to COMPLETE; allowed: TRANSCRIBING, FAILED.'))
  await refused(() => patch('studio_jobs', `job_id=eq.${recording}`, { status: 'COMPLETE' }, { token: ada.token }), refusal(
    'studio_jobs: from NEW to COMPLETE; allowed: TRANSCRIBING, FAILED.'))
})

test('400 23514: a row of a user that starts further on', async () => {
  const ada = await signUp('Ada')
  const row = { user_id: ada.id, raw_audio_url: 'a.mp3', status: 'REFINING' }
  const answer = await refused(() => raw('POST', '/studio_jobs', { token: ada.token, body: row }))
  assert.deepEqual([answer.status, answer.body.code, answer.body.message], [400, '23514', 'illegal status transition'])
})

// ---- 400: arguments ------------------------------------------------------------------------------------------

test('400 22004: an amount, an id or a word that is null', async () => {
  const ada = await signUp('Ada')
  const job = await bareJob(ada)
  for (const [name, args, missing] of [
    ['purchase_credits', { p_user_id: ada.id, p_amount: null, p_stripe_payment_id: 'p' }, 'p_amount'],
    ['grant_credits', { p_user_id: null, p_amount: 1 }, 'p_user_id'],
    ['reserve_credits', { p_user_id: ada.id, p_job_id: job, p_amount: null }, 'p_amount'],
    ['reserve_credits', { p_user_id: ada.id, p_job_id: null, p_amount: 1 }, 'p_job_id'],
    ['settle_credits', { p_job_id: null }, 'p_job_id'],
    ['advance_job', { p_job_id: job, p_status: null }, 'p_status'],
    ['claim_draft_prompt', { p_session_token: null, p_user_id: ada.id }, 'p_session_token'],
  ]) {
    await refused(() => rpc(name, args), {
      code: '22004', message: 'argument must not be null', details: `${missing} is null.`,
    })
  }
  await refused(() => book({ user_id: ada.id, type: 'grant', amount: null }), {
    code: '22004', message: 'not a valid ledger entry', details: 'Type and amount must not be null.',
  })
})

test('400 22023: an amount that is not positive', async () => {
  const ada = await userWith(50)
  const job = await bareJob(ada)
  const charged = await settledJob(ada, 5)
  for (const amount of [0, -1, -BIGGEST - 1]) {
    for (const [name, args] of [
      ['purchase_credits', { p_user_id: ada.id, p_stripe_payment_id: 'p', p_amount: amount }],
      ['subscription_credits', { p_user_id: ada.id, p_stripe_payment_id: 'p', p_amount: amount }],
      ['grant_credits', { p_user_id: ada.id, p_amount: amount }],
      ['reserve_credits', { p_user_id: ada.id, p_job_id: job, p_amount: amount }],
      ['refund_credits', { p_job_id: charged, p_amount: amount }],
      ['reverse_purchase', { p_stripe_payment_id: 'p', p_amount: amount }],
      ['transfer_credits', { p_from_user_id: ada.id, p_to_user_id: UNKNOWN, p_amount: amount }],
      ['void_credits', { p_entry_id: UNKNOWN, p_amount: amount }],
    ]) {
      await refused(() => rpc(name, args), {
        code: '22023', message: 'argument is out of bounds', details: 'p_amount must be positive.',
      })
    }
  }
  await refused(() => book({ user_id: ada.id, type: 'grant', amount: 0 }), {
    code: '22023', message: 'not a valid ledger entry', details: 'The amount is zero.',
  })
  await refused(() => book({ user_id: ada.id, type: 'purchase', amount: -5 }), {
    code: '22023', message: 'not a valid ledger entry',
    details: 'The amount of a purchase, subscription, grant or refund must be positive.',
  })
})

test('400 22023: an unknown section, type or status word', async () => {
  const ada = await userWith(50)
  const { content, session } = await course(ada)
  const job = await videoJob(ada, 1)
  const recording = await studioJob(ada)
  const { p_run_id } = await run(ada)
  const sections = 'introduction, core_content, practical_applications, case_studies, assessments'
  for (const [name, args, details, schema] of [
    ['update_module_section', { p_content_id: content, p_section_name: 'nope', p_section_content: 'x' },
      `p_section_name must be one of ${sections}.`],
    ['update_session_status', { p_session_id: session, p_status: 'nope' },
      'p_status must be one of started, processing, completed, failed.'],
    ['register_multimedia_asset', { p_session_id: session, p_content_id: content, p_asset_type: 'nope', p_file_path: 'f' },
      /^p_asset_type must be one of video, audio, slide, script, thumbnail, image, document\.$/],
    ['advance_job', { p_job_id: job, p_status: 'nope' },
      `p_status must be one of PENDING, QUEUED, ${STAGES.join(', ')}, READY, FAILED.`],
    ['update_studio_job_status', { p_job_id: recording, p_status: 'nope' },
      'p_status must be one of NEW, TRANSCRIBING, ENRICHING, REFINING, COMPLETE, FAILED.'],
    ['log_job', { p_job_id: job, p_level: 'nope', p_message: 'm' }, 'p_level must be one of debug, info, warn, error.'],
    ['record_asset', { p_job_id: job, p_type: 'nope', p_url: 'u', p_storage_path: 's' },
      'p_type must be one of video, audio, image, captions, manifest, zip.'],
    ['update_job_step', { p_job_id: job, p_step_name: 'scripting', p_state: 'nope' },
      'p_state must be one of pending, started, succeeded, failed.'],
    ['settle_credits', { p_job_id: job, p_overrun: 'nope' }, 'p_overrun must be one of error, charge, cap, available.'],
    ['claim_jobs', { p_system: 'nope', p_worker: 'w' }, /^p_system must be one of [a-z_, ]+\.$/],
    ['workflow_diagram', { p_workflow: 'nope' }, 'p_workflow must be the name of a workflow, see workflow_transitions().'],
    ['set_job_status', { p_run_id, p_status: 'nope' },
      'p_status must be one of pending, running, completed, failed, cancelled.', 'pipeline'],
  ]) {
    await refused(() => rpc(name, args, { schema }), { code: '22023', message: 'argument is out of bounds', details })
  }
})

test('400 22003: more than an integer holds', async () => {
  const ada = await userWith(10)
  for (const [name, args] of [
    ['grant_credits', {}], ['purchase_credits', { p_stripe_payment_id: randomUUID() }],
    ['subscription_credits', { p_stripe_payment_id: randomUUID() }],
  ]) {
    await refused(() => rpc(name, { p_user_id: ada.id, p_amount: BIGGEST, ...args }), {
      code: '22003', message: 'balance out of range',
      details: `Balance 10 and holds of 0 leave no room for ${BIGGEST} more.`,
    })
    const tooBig = await refused(() => rpc(name, { p_user_id: ada.id, p_amount: BIGGEST + 1, ...args }))
    assert.deepEqual([tooBig.status, tooBig.body.code], [400, '22003'])
  }
  await refused(() => book({ user_id: ada.id, type: 'grant', amount: BIGGEST }), {
    code: '22003', message: 'balance out of range',
    details: `Balance 10 and holds of 0 leave no room for ${BIGGEST} more.`,
  })
})

test('400 22003: a debt, and the price of a job, beyond an integer', async () => {
  const ada = await userWith(0)
  const [{ amount: welcome }] = await entries(ada)
  const much = BIGGEST - welcome
  const job = await settledJob(ada, 1)
  const payments = [randomUUID(), randomUUID()]
  const buy = (payment) => call('purchase_credits', { p_user_id: ada.id, p_amount: much, p_stripe_payment_id: payment })
  const use = (job_id) => book({ user_id: ada.id, type: 'usage', amount: -much, job_id })

  await buy(payments[0])
  assert.equal((await use(null)).status, 201)
  await buy(payments[1])
  await call('refund_credits', { p_job_id: job, p_amount: 1 })
  assert.equal((await use(job)).status, 201)
  assert.equal(await call('reverse_purchase', { p_stripe_payment_id: payments[0] }), much)
  await refused(() => rpc('reverse_purchase', { p_stripe_payment_id: payments[1] }), {
    code: '22003', message: 'balance out of range', details: `Balance ${welcome - much}, reversal -${much}.`,
  })
  for (let i = 0; i < 2; i++) {
    await buy(randomUUID())
  }
  await refused(() => use(job), { code: '22003', message: 'price of the job out of range', details: `Job ${job}.` })
  await booksAreSound(ada)
})

// ---- 401, 403 ------------------------------------------------------------------------------------------------

test('42501: 403 to users, 401 to anon; a foreign id and an unknown one get the same answer', async () => {
  const [ada, ben] = [await userWith(50), await signUp('Ben')]
  const job = await videoJob(ada, 1)
  const recording = await studioJob(ada)
  const { content } = await course(ada)
  const { p_run_id } = await run(ada)
  for (const [name, argument, own, schema] of [
    ['cancel_job', 'p_job_id', job], ['retry_job', 'p_job_id', job], ['get_job_attempts', 'p_job_id', job],
    ['cancel_studio_job', 'p_job_id', recording], ['retry_studio_job', 'p_job_id', recording],
    ['get_credit_balance', 'p_user_id', ada.id], ['get_credit_summary', 'p_user_id', ada.id],
    ['get_credit_lots', 'p_user_id', ada.id],
    ['ensure_profile', 'p_user_id', ada.id], ['get_dashboard', 'p_user_id', ada.id],
    ['get_module_content', 'p_content_id', content], ['get_latest_quality_assessment', 'p_content_id', content],
    ['get_job', 'p_run_id', p_run_id, 'pipeline'], ['cancel_job', 'p_run_id', p_run_id, 'pipeline'],
    ['events_since', 'p_run_id', p_run_id, 'pipeline'],
  ]) {
    for (const id of [own, UNKNOWN]) {
      await refused(() => rpc(name, { [argument]: id }, { token: ben.token, schema }), {
        status: 403, code: '42501', message: 'not allowed', hint: NOT_ALLOWED,
      })
      const nobody = await refused(() => rpc(name, { [argument]: id }, { schema, token: anonKey }))
      assert.deepEqual([nobody.status, nobody.statusText, nobody.body.code], [401, 'Unauthorized', '42501'], name)
    }
  }
})

test('42501: functions for money and workers, to their own user too', async () => {
  const ada = await userWith(50)
  const job = await videoJob(ada, 1)
  for (const [name, args] of [
    ['reserve_credits', { p_user_id: ada.id, p_job_id: job, p_amount: 1 }],
    ['settle_credits', { p_job_id: job }],
    ['purchase_credits', { p_user_id: ada.id, p_amount: 1, p_stripe_payment_id: 'p' }],
    ['transfer_credits', { p_from_user_id: UNKNOWN, p_to_user_id: ada.id, p_amount: 1 }],
    ['create_job', { p_project_id: UNKNOWN, p_cost_credits: 1 }],
    ['claim_jobs', { p_system: 'jobs', p_worker: 'w' }],
  ]) {
    for (const [token, status, phrase] of [[ada.token, 403, 'Forbidden'], [anonKey, 401, 'Unauthorized']]) {
      const answer = await refused(() => rpc(name, args, { token }))
      assert.deepEqual([answer.status, answer.statusText, answer.body], [status, phrase, {
        code: '42501', message: `permission denied for function ${name}`, details: null, hint: null,
      }])
    }
  }
})

test('42501: what users may not write into tables, and nobody into the ledger', async () => {
  const ada = await userWith(50)
  const mine = `user_id=eq.${ada.id}`
  for (const [method, path, body] of [
    ['PATCH', `/profiles?id=eq.${ada.id}`, { stripe_customer_id: 'cus_1' }],
    ['PATCH', `/jobs?${mine}`, { status: 'FAILED' }],
    ['PATCH', `/studio_jobs?${mine}`, { processing_time_ms: 1 }],
    ['POST', '/credit_ledger', { user_id: ada.id, type: 'grant', amount: 1 }],
    ['PATCH', `/credit_accounts?${mine}`, { balance: 1000 }],
    ['PATCH', `/draft_prompts?${mine}`, { prompt_text: 'x' }],
  ]) {
    const answer = await refused(() => raw(method, path, { token: ada.token, body }))
    assert.deepEqual([answer.status, answer.statusText, answer.body.code], [403, 'Forbidden', '42501'], path)
    const nobody = await refused(() => raw(method, path, { body }))
    assert.deepEqual([nobody.status, nobody.statusText, nobody.body.code], [401, 'Unauthorized', '42501'], path)
  }
  for (const [method, path, body] of [
    ['PATCH', `/credit_ledger?${mine}`, { amount: 1000 }],
    ['DELETE', `/credit_ledger?${mine}`, undefined],
    ['PATCH', `/credit_accounts?${mine}`, { balance: 1000 }],
    ['DELETE', `/credit_accounts?${mine}`, undefined],
  ]) {
    const answer = await refused(() => raw(method, path, { token: serviceKey, body }))
    assert.deepEqual([answer.status, answer.body.code], [403, '42501'], path)
  }
})

test('42501: a ledger entry for a job of somebody else', async () => {
  const [ada, ben] = [await userWith(50), await userWith(50)]
  const job = await bareJob(ada)
  const refusal = { status: 403, code: '42501', message: 'not allowed', hint: NOT_ALLOWED }
  await refused(() => rpc('reserve_credits', { p_user_id: ben.id, p_job_id: job, p_amount: 1 }), refusal)
  await refused(() => book({ user_id: ben.id, job_id: job, type: 'reserve', amount: -1 }), refusal)
})

// ---- 404 -----------------------------------------------------------------------------------------------------

test('404 PT404: an unknown id, told to a service', async () => {
  const ada = await userWith(50)
  const job = await videoJob(ada, 1)
  const refusal = (details, hint = null) => ({ code: 'PT404', message: 'not found', details, hint })
  for (const [name, args, what] of [
    ['settle_credits', { p_job_id: UNKNOWN }, 'job'],
    ['release_credits', { p_job_id: UNKNOWN }, 'job'],
    ['refund_credits', { p_job_id: UNKNOWN, p_amount: 1 }, 'job'],
    ['reserve_credits', { p_user_id: ada.id, p_job_id: UNKNOWN, p_amount: 1 }, 'job'],
    ['advance_job', { p_job_id: UNKNOWN, p_status: 'FAILED' }, 'job'],
    ['complete_job', { p_job_id: UNKNOWN }, 'job'],
    ['cancel_job', { p_job_id: UNKNOWN }, 'job'],
    ['retry_job', { p_job_id: UNKNOWN }, 'job'],
    ['grant_credits', { p_user_id: UNKNOWN, p_amount: 1 }, 'user'],
    ['transfer_credits', { p_from_user_id: ada.id, p_to_user_id: UNKNOWN, p_amount: 1 }, 'user'],
    ['merge_accounts', { p_from_user_id: UNKNOWN, p_to_user_id: ada.id }, 'user'],
    ['void_credits', { p_entry_id: UNKNOWN }, 'ledger entry'],
    ['purchase_credits', { p_user_id: UNKNOWN, p_amount: 1, p_stripe_payment_id: 'p' }, 'user'],
    ['ensure_profile', { p_user_id: UNKNOWN }, 'user'],
    ['claim_draft_prompt', { p_session_token: randomUUID(), p_user_id: UNKNOWN }, 'user'],
    ['create_studio_job', { p_user_id: UNKNOWN, p_raw_audio_url: 'a' }, 'user'],
    ['create_job', { p_project_id: UNKNOWN, p_cost_credits: 1 }, 'project'],
  ]) {
    await refused(() => rpc(name, args), refusal(`There is no ${what} ${UNKNOWN}.`))
  }
  await refused(() => rpc('reverse_purchase', { p_stripe_payment_id: 'nope' }), refusal('There is no such payment.'))
  await refused(() => rpc('get_job', { p_run_id: 'nope' }, { schema: 'pipeline' }), refusal('There is no run nope.'))
  await refused(() => rpc('update_job_step', { p_job_id: job, p_step_name: 'nope', p_state: 'started' }), refusal(
    `Job ${job} has no such step.`, 'create_job_steps() adds steps.'))
})

// ---- 402 -----------------------------------------------------------------------------------------------------

test('402 PT402: not enough credits, and no job, no hold, no charge', async () => {
  const ada = await userWith(20)
  const refusal = (balance, needed) => ({
    code: 'PT402', message: 'not enough credits', details: `Balance ${balance}, needed ${needed}.`, hint: BUY,
  })
  const args = { p_project_id: await project(ada), p_cost_credits: 21 }
  await refused(() => rpc('create_job', args), refusal(20, 21))
  await refused(() => book({ user_id: ada.id, type: 'usage', amount: -21 }), refusal(20, 21))

  const job = await videoJob(ada, 15)
  await refused(() => rpc('settle_credits', { p_job_id: job, p_final_cost: 21, p_overrun: 'charge' }), refusal(5, 6))
  await call('cancel_job', { p_job_id: job })
  await book({ user_id: ada.id, type: 'usage', amount: -6 })
  await refused(() => rpc('retry_job', { p_job_id: job }, { token: ada.token }), refusal(14, 15))
  await booksAreSound(ada)
})

test('200: reserve_credits() says false instead, and writes nothing', async () => {
  const ada = await userWith(20)
  const args = { p_user_id: ada.id, p_job_id: await bareJob(ada), p_amount: 21 }
  const before = await everything()
  const answer = await rpc('reserve_credits', args)
  assert.deepEqual([answer.status, answer.body], [200, false])
  assert.deepEqual(await everything(), before)
})

// ---- 429 -----------------------------------------------------------------------------------------------------

test('429 PT429: too many active jobs or runs', async () => {
  const ada = await userWith(100)
  const refusal = (what) => ({
    code: 'PT429', message: `too many active ${what}s`, details: 'The limit is 5.',
    hint: `Wait until a ${what} has ended, or cancel one.`,
  })
  const cancelled = await videoJob(ada, 1)
  await call('cancel_job', { p_job_id: cancelled })
  for (let i = 0; i < 5; i++) {
    await videoJob(ada, 1)
    await studioJob(ada)
    await run(ada)
  }
  const args = { p_project_id: await project(ada), p_cost_credits: 1 }
  await refused(() => rpc('create_job', args), refusal('job'))
  await refused(() => rpc('retry_job', { p_job_id: cancelled }, { token: ada.token }), refusal('job'))
  const recording = { p_user_id: ada.id, p_raw_audio_url: 'a.mp3' }
  await refused(() => rpc('create_studio_job', recording), refusal('job'))
  await refused(() => rpc('create_studio_job', recording, { token: ada.token }), refusal('job'))
  const row = { user_id: ada.id, raw_audio_url: 'a.mp3' }
  await refused(() => raw('POST', '/studio_jobs', { token: ada.token, body: row }), refusal('job'))
  const next = { p_run_id: randomUUID(), p_project_spec: {} }
  await refused(() => rpc('create_job', next, { token: ada.token, schema: 'pipeline' }), refusal('run'))
})

// ---- 409 -----------------------------------------------------------------------------------------------------

test('409 PT409: the lease of a worker', async () => {
  const ada = await userWith(100)
  const { job, lease } = await claimedJob(ada, 5)
  const lost = {
    message: 'lease was lost or has expired', details: `Job ${job}.`,
    hint: 'Drop the work: another worker has the job, or will have it.',
  }
  const foreign = { p_job_id: job, p_lease_token: randomUUID() }
  for (const [name, args] of leasedCalls) {
    await conflict(() => rpc(name, { ...foreign, ...args }), lost)
  }
  await conflict(() => rpc('advance_job', { p_job_id: job, p_status: 'SCRIPTING' }), {
    message: 'a worker has this job', details: `Job ${job}.`, hint: 'Pass the p_lease_token that claim_jobs() gave.',
  })
  await call('cancel_job', { p_job_id: job })
  await conflict(() => rpc('advance_job', { p_job_id: job, p_status: 'SCRIPTING', p_lease_token: lease }), {
    message: 'job is to be cancelled', details: `Job ${job}.`, hint: 'Fail the job to confirm it.',
  })
})

test('409 PT409: a lease that has expired', async () => {
  const ada = await userWith(100)
  const { job, lease } = await claimedJob(ada, 5)
  await sql(`UPDATE studio_engine.attempts SET expires_at = clock_timestamp() - interval '1 second',
                    due_at = clock_timestamp() - interval '1 second' WHERE job_id = $1`, [job])
  for (const [name, args] of leasedCalls) {
    await conflict(() => rpc(name, { p_job_id: job, p_lease_token: lease, ...args }), {
      message: 'lease was lost or has expired', details: `Job ${job}.`,
      hint: 'Drop the work: another worker has the job, or will have it.',
    })
  }
})

test('409 PT409: the same key or payment with other content', async () => {
  const [ada, ben] = [await userWith(100), await signUp('Ben')]
  const [key, payment] = [randomUUID(), randomUUID()]
  const grant = { p_user_id: ada.id, p_amount: 5, p_idempotency_key: key }
  const purchase = { p_user_id: ada.id, p_amount: 5, p_stripe_payment_id: payment }
  const granted = await call('grant_credits', grant)
  const purchased = await call('purchase_credits', purchase)
  const used = (details) => ({ message: 'key was used for something else', details })

  await conflict(() => rpc('grant_credits', { ...grant, p_amount: 6 }), used(`Entry ${granted}.`))
  await conflict(() => rpc('purchase_credits', { ...purchase, p_amount: 6 }), used(`Entry ${purchased}.`))
  await conflict(() => rpc('subscription_credits', purchase), used(`Entry ${purchased}.`))
  await conflict(() => rpc('purchase_credits', { ...purchase, p_user_id: ben.id }), used(`Entry ${purchased}.`))
  const job = await settledJob(ada, 10)
  await conflict(() => rpc('refund_credits', { p_job_id: job, p_amount: 5, p_idempotency_key: key }), used(
    `Entry ${granted}.`))
  await conflict(() => rpc('reverse_purchase', { p_stripe_payment_id: payment, p_idempotency_key: key }), used(
    `Entry ${granted}.`))
})

test('409 PT409: a project is deleted while a worker has its job', async () => {
  const ada = await userWith(100)
  const { job, lease } = await claimedJob(ada, 10)
  const remove = () => raw('DELETE', `/projects?user_id=eq.${ada.id}`, { token: ada.token })
  const refusal = {
    message: 'a worker has this job', details: `Job ${job} of jobs.`,
    hint: 'Cancel the job, and delete it when the worker has stopped.',
  }
  await conflict(remove, refusal)
  await call('cancel_job', { p_job_id: job }, { token: ada.token })
  await conflict(remove, refusal)
  await call('fail_job', { p_job_id: job, p_lease_token: lease })
  const { status } = await remove()
  assert.equal(status, 204)
  await booksAreSound(ada)
})

test('409 PT409: holds', async () => {
  const ada = await userWith(100)
  const job = await bareJob(ada, 'QUEUED')
  const reserve = (amount) => () => rpc('reserve_credits', { p_user_id: ada.id, p_job_id: job, p_amount: amount })
  const settle = (cost) => () => rpc('settle_credits', { p_job_id: job, p_final_cost: cost })
  await conflict(settle(3), { message: 'job has no hold to settle', details: `Job ${job}, price 3.` })

  await call('reserve_credits', { p_user_id: ada.id, p_job_id: job, p_amount: 10 })
  await conflict(reserve(11), { message: 'credits are held differently', details: `Job ${job} holds 10, not 11.` })
  await conflict(() => book({ user_id: ada.id, job_id: job, type: 'reserve', amount: -10 }), {
    message: 'credits are held differently', details: `Job ${job} holds 10 already.`,
  })
  await conflict(() => book({ user_id: ada.id, job_id: job, type: 'reserve', amount: 4 }), {
    message: 'credits are held differently', details: `Job ${job} holds 10, not 4.`,
  })
  await conflict(() => book({ user_id: ada.id, job_id: job, type: 'usage', amount: -4 }), {
    message: 'credits are held for this usage', details: `Job ${job} holds 10; close the hold first.`,
  })
  const ben = await signUp('Ben')
  await conflict(() => patch('jobs', `id=eq.${job}`, { user_id: ben.id }), {
    message: 'job holds credits of its user', details: `Job ${job} holds 10.`,
  })
  await conflict(settle(12), { message: 'price exceeds the hold', details: 'Price 12, held 10.' })

  await call('settle_credits', { p_job_id: job, p_final_cost: 7 })
  await conflict(settle(8), { message: 'hold was closed differently', details: `Job ${job} was charged 7, not 8.` })
  await conflict(() => rpc('release_credits', { p_job_id: job }), {
    message: 'hold was closed differently', details: `Job ${job} was charged 7.`,
  })
  await conflict(reserve(11), { message: 'job was charged already', details: `Job ${job} held 10 and was charged 7.` })
  await call('cancel_job', { p_job_id: job })
  await conflict(reserve(10), { message: 'job has ended', details: `Job ${job}.` })
  await conflict(() => book({ user_id: ada.id, job_id: job, type: 'reserve', amount: -1 }), {
    message: 'job has ended', details: `Job ${job}.`,
  })
  await booksAreSound(ada)
})

test('409 PT409: more is given back than was taken', async () => {
  const ada = await userWith(100)
  const job = await settledJob(ada, 10)
  const payment = randomUUID()
  await call('purchase_credits', { p_user_id: ada.id, p_amount: 20, p_stripe_payment_id: payment })
  await call('refund_credits', { p_job_id: job, p_amount: 4 })
  const exceeds = { message: 'refund exceeds the charge', details: `Job ${job} was charged 6 more than was refunded, not 7.` }
  await conflict(() => rpc('refund_credits', { p_job_id: job, p_amount: 7 }), exceeds)
  await conflict(() => book({ user_id: ada.id, job_id: job, type: 'refund', amount: 7 }), exceeds)

  const reverse = (args) => () => rpc('reverse_purchase', { p_stripe_payment_id: payment, ...args })
  await call('reverse_purchase', { p_stripe_payment_id: payment, p_amount: 15 })
  await conflict(reverse({ p_amount: 6 }), { message: 'reversal exceeds the payment', details: '5 of 20 are not reversed yet.' })
  await call('reverse_purchase', { p_stripe_payment_id: payment })
  await conflict(reverse({ p_idempotency_key: randomUUID() }), {
    message: 'payment is reversed already', details: 'Nothing is left that could be reversed under this key.',
  })
  await conflict(() => rpc('reinstate_purchase', { p_stripe_payment_id: payment }), {
    message: 'payment has several reversals', details: 'More than one of them stands.',
    hint: 'Name the reversal by p_idempotency_key, the key under which it was made.',
  })
  await booksAreSound(ada)
})

test('409 PT409: a hold of another kind, or that has expired', async () => {
  const ada = await userWith(100)
  await videoJob(ada, 5)
  const [{ id: held }] = await sql(`SELECT id FROM credit_ledger WHERE user_id = $1 AND type = 'reserve'`, [ada.id])
  await conflict(() => rpc('release_hold', { p_hold_id: held }), {
    message: 'hold belongs to a job', details: `Hold ${held}.`,
    hint: 'settle_credits() and release_credits() close the hold of a job.',
  })
  const brief = { p_user_id: ada.id, p_amount: 5, p_reference: 'chats:1', p_expires: '1 second' }
  const hold = await call('hold_credits', brief)
  await new Promise((resolve) => setTimeout(resolve, 1100))
  await conflict(() => rpc('capture_hold', { p_hold_id: hold }), {
    message: 'hold has expired', details: `Hold ${hold}.`,
    hint: 'charge_credits() charges what the balance covers; p_expires of hold_credits() holds longer.',
  })
  await call('release_hold', { p_hold_id: hold })
  await booksAreSound(ada)
})

test('409 PT409: a merge of what is held or owed, a void of what is spent', async () => {
  const [ada, ben] = [await userWith(100), await signUp('Ben')]
  const merge = () => rpc('merge_accounts', { p_from_user_id: ben.id, p_to_user_id: ada.id })
  const hold = await call('hold_credits', { p_user_id: ben.id, p_amount: 5, p_reference: 'chats:1' })
  await conflict(merge, { message: 'account has open holds', details: `User ${ben.id} holds 5.` })
  await call('release_hold', { p_hold_id: hold })
  const payment = randomUUID()
  const bought = await call('purchase_credits', { p_user_id: ben.id, p_amount: 20, p_stripe_payment_id: payment })
  const balance = await call('charge_credits', { p_user_id: ben.id, p_amount: 15 })
  const left = Math.min(balance, 20)
  await conflict(() => rpc('void_credits', { p_entry_id: bought, p_amount: 20 }), {
    message: 'void exceeds what is left', details: `Entry ${bought} has ${left} left.`,
  })
  await call('charge_credits', { p_user_id: ben.id, p_amount: balance })
  await call('reverse_purchase', { p_stripe_payment_id: payment })
  await conflict(merge, { message: 'account has a deficit', details: `User ${ben.id} has a balance of -20.` })
  await booksAreSound(ada)
})

test('409 PT409: events of Stripe that contradict each other', async () => {
  const [ada, bob] = [await userWith(100), await userWith(100)]
  const payment = `pi_${randomUUID()}`
  const event = (metadata, more = {}) => ({
    id: `evt_${randomUUID()}`, type: 'payment_intent.succeeded', created: 1, data: {
      object: { id: payment, object: 'payment_intent', created: 1, amount_received: 100, currency: 'eur', metadata, ...more },
    },
  })
  const apply = (p_event) => () => rpc('apply_stripe_event', { p_event })
  const bought = event({ credits: '5', user_id: ada.id })
  await call('apply_stripe_event', { p_event: bought })
  await conflict(apply(event({ credits: '6', user_id: ada.id })), {
    message: 'events of a payment contradict each other', details: 'They name different numbers of credits.',
  })
  await conflict(apply({ ...bought, data: { object: { ...bought.data.object, id: `pi_${randomUUID()}` } } }), {
    message: 'event is known with other content', details: `Event ${bought.id}.`,
  })
  const customer = `cus_${randomUUID()}`
  await sql('UPDATE profiles SET stripe_customer_id = $1 WHERE id IN ($2, $3)', [customer, ada.id, bob.id])
  await conflict(apply(event({ credits: '5' }, { id: `pi_${randomUUID()}`, customer })), {
    message: 'customer is not unique', details: 'Several profiles have the customer in stripe_customer_id.',
  })
  await booksAreSound(ada)
})

test('409 PT409: completed with another result', async () => {
  const ada = await userWith(100)
  const differently = (job) => ({ message: 'job was completed differently', details: `Job ${job}.` })
  const job = await videoJob(ada, 5)
  await advance(job, STAGES)
  await call('complete_job', { p_job_id: job, p_output_url: 'a.mp4' })
  await conflict(() => rpc('complete_job', { p_job_id: job, p_output_url: 'b.mp4' }), differently(job))

  const recording = await studioJob(ada)
  await call('update_studio_job_status', { p_job_id: recording, p_status: 'TRANSCRIBING' })
  await call('store_transcript', { p_job_id: recording, p_transcript: 't' })
  await call('store_refined_text', { p_job_id: recording, p_text: 'a' })
  await conflict(() => rpc('store_refined_text', { p_job_id: recording, p_text: 'b' }), differently(recording))

  const { session, asset: first } = await course(ada)
  const second = await asset(session, 'b.mp4')
  const { render, lease } = await rendering(session)
  await call('update_rendering', { p_render_id: render, p_status: 'rendering', p_lease_token: lease })
  await call('complete_rendering', { p_render_id: render, p_asset_id: first, p_lease_token: lease })
  await conflict(() => rpc('complete_rendering', { p_render_id: render, p_asset_id: second }), differently(render))
})

test('409 PT409: a run of the same id with other content', async () => {
  const ada = await signUp('Ada')
  const args = await run(ada)
  await conflict(() => rpc('create_job', { ...args, p_project_spec: { title: 'other' } }, { schema: 'pipeline' }), {
    message: 'run is there already with other content', details: `Run ${args.p_run_id}.`,
    hint: 'Take another id, or NULL for a random one.',
  })
})

test('409 PT409: a service gets no run of another owner than it asks for', async () => {
  const [ada, bob] = [await signUp('Ada'), await signUp('Bob')]
  const args = { p_run_id: randomUUID(), p_project_spec: { title: 'Vasa' } }
  await rpc('create_job', args, { token: ada.token, schema: 'pipeline' })
  for (const owner of [null, bob.id]) {
    await conflict(() => rpc('create_job', { ...args, p_owner_id: owner }, { schema: 'pipeline' }), {
      message: 'run is there already with other content', details: `Run ${args.p_run_id}.`,
      hint: 'Take another id, or NULL for a random one.',
    })
  }
})

test('409 PT409: a row that contradicts its parent', async () => {
  const ada = await signUp('Ada')
  const [mine, other] = [await course(ada), await course(ada)]
  const row = { session_id: mine.session, asset_type: 'video', asset_name: 'a', file_path: 'f', storage_path: 's' }
  for (const [columns, what] of [[{ content_id: other.content }, 'content'], [{ company_id: other.company }, 'company']]) {
    await conflict(() => raw('POST', '/mm_multimedia_assets', { token: serviceKey, body: { ...row, ...columns } }), {
      message: 'row contradicts what it belongs to', hint: 'Leave the column out: it is filled in.',
      details: `Table mm_multimedia_assets: the ${what} is not that of the session.`,
    })
  }
  const assessment = await call('store_quality_assessment', { p_content_id: other.content, p_overall_score: 5 })
  await conflict(() => rpc('start_enhancement_session', {
    p_content_id: mine.content, p_quality_assessment_id: assessment,
  }), { message: 'assessment is of other content', details: `It is of content ${other.content}.` })
})

// ---- not supported -------------------------------------------------------------------------------------------

test('400 0A000: an event of one run cannot become one of another', async () => {
  const ada = await signUp('Ada')
  const [from, to] = [await run(ada), await run(ada)]
  await call('record_event', { p_run_id: from.p_run_id, p_bot_name: 'b', p_event_type: 'e' }, { schema: 'pipeline' })
  const where = `run_id=eq.${from.p_run_id}`
  const answer = await refused(() => patch('job_events', where, { run_id: to.p_run_id }, { schema: 'pipeline' }))
  assert.deepEqual([answer.status, answer.body.code, answer.body.message], [
    400, '0A000', 'a row cannot be moved to another place in its run or to another run',
  ])
})

// ---- all of them ---------------------------------------------------------------------------------------------

test('every message under a code of our own was seen', async () => {
  const messages = await messagesInSource()
  assert.ok(messages.length > 20, messages.join(', '))
  assert.deepEqual(messages.filter((message) => !seen.has(message) && ![...SNAPSHOT_ONLY, ...ROWS_ONLY].includes(message)), [])
})

after(() => booksAreSound())

// The constant texts that stand with the codes PTnnn in src/.
async function messagesInSource() {
  const folder = new URL('../../src/', import.meta.url)
  const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.c'))
  const sources = await Promise.all(files.map((name) => readFile(new URL(name, folder), 'utf8')))
  const raised = /refuse_conflict\("([^"]+)"|ERRCODE_STUDIO_\w+\),\s*errmsg\("([^"%]+)"/g
  return [...new Set(sources.flatMap((text) => [...text.matchAll(raised)].map((match) => match[1] ?? match[2])))]
}

const leasedCalls = [
  ['heartbeat_job', {}],
  ['advance_job', { p_status: 'SCRIPTING' }],
  ['complete_job', {}],
  ['fail_job', { p_retryable: true }],
  ['snooze_job', { p_for: '1 minute' }],
  ['record_asset', { p_type: 'video', p_url: 'u', p_storage_path: 's' }],
  ['log_job', { p_level: 'info', p_message: 'm' }],
  ['create_job_steps', {}],
  ['update_job_step', { p_step_name: 'scripting', p_state: 'started' }],
]

// A row of each table that has a flow, in a state from which not every other can follow.
async function oneRowOfEachFlow() {
  const ada = await userWith(100)
  const { employee, company, content, session, asset: file } = await course(ada)
  const plan = await call('create_course_plan', { p_employee_id: employee })
  const job = await bareJob(ada)
  await call('create_job_steps', { p_job_id: job })
  const research = await insert('cm_research_results', { plan_id: plan, status: 'completed' })
  const enhancement = await call('start_enhancement_session', { p_content_id: content })
  await call('complete_enhancement_session', { p_session_id: enhancement })
  return {
    jobs: { key: `id=eq.${job}`, from: 'PENDING' },
    job_steps: { key: `job_id=eq.${job}&step_order=eq.1`, from: 'pending', column: 'state' },
    studio_jobs: { key: `job_id=eq.${await studioJob(ada)}`, from: 'NEW' },
    'pipeline.jobs': { key: `run_id=eq.${(await run(ada)).p_run_id}`, from: 'pending', schema: 'pipeline' },
    cm_module_content: {
      key: `content_id=eq.${await call('create_module_content', { p_module_name: 'm', p_company_id: company })}`, from: 'draft',
    },
    cm_course_plans: { key: `plan_id=eq.${plan}`, from: 'draft' },
    // these may go anywhere from where they begin
    cm_research_results: { key: `research_id=eq.${research.research_id}`, from: 'completed' },
    cm_enhancement_sessions: { key: `session_id=eq.${enhancement}`, from: 'completed' },
    mm_multimedia_sessions: { key: `session_id=eq.${await ended(session)}`, from: 'completed' },
    mm_multimedia_assets: { key: `asset_id=eq.${await processed(file)}`, from: 'processed' },
    mm_audio_narrations: { ...await completed('audio_narration', 'narration_id', session) },
    mm_slide_presentations: { ...await completed('slide_presentation', 'presentation_id', session) },
    mm_script_generations: { ...await completed('script_generation', 'script_id', session) },
    mm_rendering_queue: {
      key: `render_id=eq.${await call('enqueue_rendering', { p_session_id: session })}`, from: 'queued',
    },
  }
}

async function ended(session) {
  await call('update_session_status', { p_session_id: session, p_status: 'completed' })
  return session
}

async function processed(id) {
  await patch('mm_multimedia_assets', `asset_id=eq.${id}`, { status: 'processed' })
  return id
}

async function completed(what, column, session) {
  const id = await call(`create_${what}`, { p_session_id: session })
  await call(`update_${what}`, { [`p_${column}`]: id, p_status: 'completed' })
  return { key: `${column}=eq.${id}`, from: 'completed' }
}

// How DETAIL lists what may follow a state.
function following(steps, from) {
  const next = steps.filter((step) => step.from_status === from).map(({ to_status, via, condition }) =>
    condition ?? via ? `${to_status} (${condition ?? `by ${via}()`})` : to_status)
  return next.length > 0 ? next.join(', ') : 'none'
}

function patch(table, where, body, { token = serviceKey, schema = 'public' } = {}) {
  return raw('PATCH', `/${table}?${where}`, { token, body, headers: profile(schema) })
}

// A plain entry in the ledger, as the seeds make them.
function book(entry) {
  return raw('POST', '/credit_ledger', { token: serviceKey, body: entry })
}

function conflict(ask, expected) {
  return refused(ask, { code: 'PT409', ...expected })
}

// Asks, and expects this answer and that no row of any table is another one.
async function refused(ask, expected) {
  const before = await everything()
  const answer = await ask()
  assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status} ${answer.text}`)
  if (expected) {
    compare(answer, { details: null, hint: null, ...expected })
  }
  assert.deepEqual(await everything(), before)
  return answer
}

function compare(answer, { code, status = STATUS[code], message, details, hint }) {
  const { details: said, ...rest } = answer.body
  assert.deepEqual([answer.status, answer.statusText, rest], [status, phrase(status, code, message), { code, message, hint }])
  if (details instanceof RegExp) {
    assert.match(said, details)
  } else {
    assert.equal(said, details)
  }
  seen.add(message)
}

function phrase(status, code, message) {
  return code.startsWith('PT') ? message : { 400: 'Bad Request', 403: 'Forbidden' }[status]
}

// What tells whether a row of any table was written: how many there are, and by which transaction the newest.
let tables
async function everything() {
  tables ??= (await sql(`
    SELECT string_agg(format('SELECT %L AS name, count(*) AS rows, max(xmin::text::bigint) AS newest FROM %s',
                             c.oid::regclass, c.oid::regclass), ' UNION ALL ') AS query
      FROM pg_class c
     WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
       AND (c.relnamespace IN ('public'::regnamespace, 'pipeline'::regnamespace, 'studio_engine'::regnamespace)
            OR c.oid = 'auth.users'::regclass)`))[0].query
  return sql(tables)
}
