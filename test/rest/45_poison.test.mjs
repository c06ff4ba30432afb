// One user's row stops nobody else, over HTTP: what is too large is refused with 400 and our words; the largest row that
// a user may write is claimed, parsed and cancelled like any other; and beside a row that nobody can show, the jobs of
// others are claimed.
//
// Pitfall: claims take from one queue, so what other tests left in it is cancelled first.
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { raw, signUp, sql } from './lib/api.mjs'
import { call, insert, rpc, userWith, videoJob } from './lib/scenes.mjs'

const MIB = 1024 * 1024
const nested = (levels) => '['.repeat(levels) + ']'.repeat(levels)

before(async () => {
  await sql('DELETE FROM studio_jobs')
  await sql('DELETE FROM jobs')
})

function write(user, row, { method = 'POST', path = '/studio_jobs' } = {}) {
  return raw(method, path, { token: user.token, body: row, headers: { Prefer: 'return=representation' } })
}

function refused(answer, detail) {
  assert.equal(answer.status, 400)
  assert.equal(answer.body.code, '22023')
  assert.equal(answer.body.message, 'value is too large')
  assert.match(answer.body.details, detail)
  assert.match(answer.body.hint, /object storage/)
}

const job = (user, columns) => ({ user_id: user.id, raw_audio_url: 'x', ...columns })

test('a value that is too large: 400, with what is allowed', async () => {
  const eve = await signUp('Eve')
  refused(await write(eve, job(eve, { raw_transcript: 'x'.repeat(MIB + 1) })),
    /^Column raw_transcript of table public\.studio_jobs: 1048577 bytes, where 1048576 are allowed\.$/)
  refused(await write(eve, job(eve, { raw_transcript: 'x'.repeat(20 * MIB) })), /20971520 bytes/)
  refused(await write(eve, `{"user_id": "${eve.id}", "raw_audio_url": "x", "enrichment_entities": {"n": 1e131071}}`), /131072 digits in a number/)
  refused(await write(eve, `{"user_id": "${eve.id}", "raw_audio_url": "x", "enrichment_entities": ${nested(65)}}`), /65 levels of nesting/)
  refused(await write(eve, { display_name: 'x'.repeat(8193) }, { method: 'PATCH', path: `/profiles?id=eq.${eve.id}` }), /display_name/)
  refused(await write(eve, { user_id: eve.id, title: 't', prompt_text: 'x'.repeat(65537), niche_preset: 'facts' }, { path: '/projects' }), /prompt_text/)
  const [{ count }] = await sql('SELECT count(*)::integer FROM studio_jobs')
  assert.equal(count, 0)
})

test('functions for workers refuse it too', async () => {
  const ada = await userWith(50)
  const mine = await videoJob(ada, 5)
  refused(await rpc('advance_job', { p_job_id: mine, p_status: 'SCRIPTING', p_status_message: 'x'.repeat(8193) }), /status_message/)
  const own = await insert('studio_jobs', job(ada, { status: 'TRANSCRIBING' }))
  refused(await rpc('store_transcript', { p_job_id: own.job_id, p_transcript: 'x'.repeat(MIB + 1) }), /raw_transcript/)
  await sql('DELETE FROM studio_jobs')
  await sql('DELETE FROM jobs')
})

test('the largest row of a user is claimed, read and cancelled', async () => {
  const [eve, ada] = [await signUp('Eve'), await signUp('Ada')]
  const largest = job(eve, {
    raw_transcript: '\u0001'.repeat(MIB),
    refined_text: '"'.repeat(MIB),
    system_prompt_used: '\n'.repeat(2_000_000),
    error_details: JSON.parse(nested(64)),
    priority: 100,
  })
  for (let i = 0; i < 3; i++) {
    assert.equal((await write(eve, largest)).status, 201)
  }
  assert.equal((await write(ada, job(ada))).status, 201)
  const claims = []
  for (let last = null; last === null || last.length > 0; claims.push(...last)) {
    last = await call('claim_jobs', { p_system: 'studio_jobs', p_worker: 'w', p_limit: 100 })
    assert.ok(JSON.stringify(last).length < 70 * MIB)
  }
  assert.deepEqual(claims.map((claim) => claim.job.user_id), [eve.id, eve.id, eve.id, ada.id])
  assert.equal(claims[0].job.raw_transcript, largest.raw_transcript)
  for (const claim of claims) {
    const body = await call('fail_studio_job', { p_job_id: claim.job_id, p_error: { code: 'c' }, p_retryable: false, p_lease_token: claim.lease_token })
    assert.equal(body.status, 'FAILED')
  }
  await sql('DELETE FROM studio_jobs')
})

test('a row that nobody can show fails alone', async () => {
  const [eve, ada] = [await userWith(50), await userWith(50)]
  const [theirs, mine] = [await videoJob(eve, 5, 100), await videoJob(ada, 5)]
  await sql(`WITH off AS MATERIALIZED (SELECT set_config('session_replication_role', 'replica', true))
    UPDATE jobs SET manifest_json = '{"n": 1e131071}' FROM off WHERE id = $1`, [theirs])
  const claims = await call('claim_jobs', { p_system: 'jobs', p_worker: 'w', p_limit: 10 })
  assert.deepEqual(claims.map((claim) => claim.job_id), [mine])
  const attempts = await call('get_job_attempts', { p_job_id: theirs })
  assert.deepEqual(attempts.map((attempt) => [attempt.outcome, attempt.error.code]), [['failed', 'UNREADABLE_JOB']])
  assert.equal(await call('get_credit_balance', { p_user_id: eve.id }), await call('get_credit_balance', { p_user_id: ada.id }) + 5)
  const shown = await rpc('cancel_job', { p_job_id: theirs }, { token: eve.token })
  assert.equal(shown.status, 200)
  assert.deepEqual(shown.body.truncated, ['manifest_json'])
  const figures = await call('get_job_statistics', { p_system: 'jobs' })
  assert.equal(figures.recent_failures[0].error.code, 'UNREADABLE_JOB')
  await sql('DELETE FROM jobs')
})
