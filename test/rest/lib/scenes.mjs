// What the tests about refusals, retries and embedding start from, made over HTTP by those who may make it.
//
// Pitfall: claim_jobs() gives a worker the first job of anybody.  A job that is to be claimed gets the highest
// priority there is.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { raw, serviceKey, signUp, sql } from './api.mjs'

export const UNKNOWN = '00000000-0000-4000-8000-000000000000'
export const STAGES = ['SCRIPTING', 'VOICE_GEN', 'ALIGNMENT', 'VISUAL_PLAN', 'IMAGE_GEN', 'TIMELINE', 'RENDERING', 'PACKAGING']

const HIGHEST = 2_147_483_647

// Any function, as a service unless there is another token.
export function rpc(name, args, { token = serviceKey, schema = 'public' } = {}) {
  return raw('POST', `/rpc/${name}`, { token, body: args, headers: profile(schema) })
}

// The header that names the schema of a request; as Accept-Profile for those that read.
export function profile(schema, header = 'Content-Profile') {
  return schema === 'public' ? {} : { [header]: schema }
}

// The body of an answer that must be a good one.
export function done(answer) {
  assert.ok(answer.status < 300, `${answer.status} ${answer.text}`)
  return answer.body
}

export async function call(name, args, options) {
  return done(await rpc(name, args, options))
}

export async function insert(table, row, { token = serviceKey, schema = 'public' } = {}) {
  const headers = { Prefer: 'return=representation', ...profile(schema) }
  return done(await raw('POST', `/${table}`, { token, body: row, headers }))[0]
}

// A user with so many credits.
export async function userWith(credits, name = 'Ada') {
  const user = await signUp(name)
  const welcome = await call('get_credit_balance', { p_user_id: user.id })
  if (credits > welcome) {
    await call('grant_credits', { p_user_id: user.id, p_amount: credits - welcome })
  }
  return user
}

export async function project(user, columns = {}) {
  const row = { user_id: user.id, title: 'Title', prompt_text: 'Prompt', niche_preset: 'history', ...columns }
  return (await insert('projects', row, { token: user.token })).id
}

// A queued job that holds so many credits.
export async function videoJob(user, cost, priority = 0) {
  const args = { p_project_id: await project(user), p_cost_credits: cost, p_priority: priority }
  return call('create_job', args)
}

// A job that holds nothing, as an orchestrator inserts it.
export async function bareJob(user, status = 'PENDING') {
  return (await insert('jobs', { project_id: await project(user), user_id: user.id, status })).id
}

export async function advance(job, stages, lease = null) {
  for (const status of stages) {
    await call('advance_job', { p_job_id: job, p_status: status, p_lease_token: lease })
  }
}

// A job that was charged so many credits.
export async function settledJob(user, cost) {
  const job = await bareJob(user, 'QUEUED')
  await call('reserve_credits', { p_user_id: user.id, p_job_id: job, p_amount: cost })
  await call('settle_credits', { p_job_id: job })
  return job
}

// A job that a worker has, with its lease.
export async function claimedJob(user, cost) {
  const job = await videoJob(user, cost, HIGHEST)
  return { job, lease: await claim('jobs', job) }
}

// Gets a worker this job; what other tests left before it in the queue is put off.
async function claim(system, job) {
  for (;;) {
    const [claimed] = await call('claim_jobs', { p_system: system, p_worker: 'worker' })
    assert.ok(claimed, `job ${job} is not in the queue`)
    const { job_id: got, lease_token: lease } = claimed
    if (got === job) {
      return lease
    }
    await call('snooze_job', { p_job_id: got, p_lease_token: lease, p_for: '1 day' })
  }
}

export async function studioJob(user, columns = {}) {
  return (await insert('studio_jobs', { user_id: user.id, raw_audio_url: 'a.mp3', ...columns })).job_id
}

export async function run(user, spec = { title: 'Title' }) {
  const args = { p_run_id: `run-${randomUUID()}`, p_project_spec: spec, p_owner_id: user?.id ?? null }
  await call('create_job', args, { schema: 'pipeline' })
  return args
}

// A company in which the user works, with a module, a session of it and an asset of that.
export async function course(user) {
  const company = (await insert('companies', { name: `Company ${randomUUID()}` })).id
  const employee = (await insert('employees', { company_id: company, user_id: user.id, name: 'Ada' })).id
  const content = await call('create_module_content', { p_module_name: 'Module', p_company_id: company })
  const session = await call('create_multimedia_session', { p_content_id: content })
  return { company, employee, content, session, asset: await asset(session) }
}

export function asset(session, name = 'a.mp4') {
  return call('register_multimedia_asset', {
    p_session_id: session, p_content_id: null, p_asset_type: 'video', p_file_path: `files/${name}`,
  })
}

export async function rendering(session) {
  const render = await call('enqueue_rendering', { p_session_id: session, p_priority: HIGHEST })
  return { render, lease: await claim('mm_rendering_queue', render) }
}

export function entries(user) {
  return sql(
    'SELECT type, amount, balance_after, entry_no::int FROM credit_ledger WHERE user_id = $1 ORDER BY entry_no', [user.id],
  )
}

// Nothing is wrong with the books, of this user or of anybody.
export async function booksAreSound(user = null) {
  const problems = await sql('SELECT * FROM verify_credit_ledger($1)', [user?.id ?? null])
  assert.deepEqual(problems, [])
}
