// The rows that calls start from, each made anew: what a call does to its own, no other call sees.
//
// Pitfall: workers take the job of the highest priority.  Every job here gets a higher one than those before it, so
// that leased() gets the job that was made last, as long as nothing else makes jobs at the same time.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { signUp, sql } from './api.mjs'
import { MARK } from './rpc_arguments.mjs'

let priority = 1000

export const unique = () => `${MARK}-${randomUUID()}`
export const inAYear = () => new Date(Date.now() + 365 * 86_400_000).toISOString()

async function value(text, params) {
  const [row] = await sql(text, params)
  return Object.values(row)[0]
}

// Signed up, with the ten credits of the welcome grant.
export const person = () => signUp('caller')

// A payment of this user, as Stripe tells of it.
export const stripeEvent = ({ id }) => ({
  id: unique(), object: 'event', type: 'payment_intent.succeeded', created: 1, data: {
    object: { id: unique(), object: 'payment_intent', created: 1, amount_received: 100, currency: 'eur', metadata: { credits: '5', user_id: id } },
  },
})

// 100 credits, and the name of the payment.
export async function purchase({ id }) {
  const payment = unique()
  await sql('SELECT purchase_credits($1, 100, $2)', [id, payment])
  return payment
}

// A payment for so many credits; a job took all that there were.
export async function spentPurchase(user, amount) {
  const payment = unique()
  await sql('SELECT purchase_credits($1, $2, $3)', [user.id, amount, payment])
  const job = await videoJob(user, 'SCRIPTING')
  await sql('SELECT reserve_credits($1, $2, get_credit_balance($1))', [user.id, job])
  await sql('SELECT settle_credits($1)', [job])
  return payment
}

export const project = ({ id }) =>
  value(
    `INSERT INTO projects (user_id, title, prompt_text, niche_preset) VALUES ($1, 'P', 'p', 'history') RETURNING id`,
    [id],
  )

// Queued, with its steps and a hold of 5 credits.
export async function queuedJob(user) {
  return value('SELECT create_job($1, 5, $2)', [await project(user), ++priority])
}

// In any status, without a hold.
export async function videoJob(user, status) {
  return value('INSERT INTO jobs (project_id, user_id, status, priority) VALUES ($1, $2, $3, $4) RETURNING id', [
    await project(user),
    user.id,
    status,
    ++priority,
  ])
}

export async function heldJob(user, status) {
  const job = await videoJob(user, status)
  await sql('SELECT reserve_credits($1, $2, 5)', [user.id, job])
  return job
}

export async function failedJob(user) {
  const job = await queuedJob(user)
  await sql(`SELECT fail_job($1, 'BROKEN')`, [job])
  return job
}

// Of 5 credits, for work that is no job.
export const hold = ({ id }) => value(`SELECT hold_credits($1, 5, 'chats:1')`, [id])

// Of 7 credits.
export const lot = ({ id }) => value('SELECT grant_credits($1, 7)', [id])

// Who gets credits of somebody else, and has 10.
export const receiver = () => value('INSERT INTO auth.users (id) VALUES (gen_random_uuid()) RETURNING id')

// It was charged 5 credits.
export async function settledJob(user) {
  const job = await heldJob(user, 'SCRIPTING')
  await sql('SELECT settle_credits($1)', [job])
  return job
}

// The job ended while the triggers were off.
export async function staleHold(user) {
  const job = await heldJob(user, 'SCRIPTING')
  await sql(`BEGIN;
             SET LOCAL session_replication_role = replica;
             UPDATE jobs SET status = 'FAILED' WHERE id = '${job}';
             COMMIT`)
}

export const studioJob = ({ id }, status = 'NEW') =>
  value(
    `INSERT INTO studio_jobs (user_id, status, raw_audio_url, priority) VALUES ($1, $2, 'a.mp3', $3) RETURNING job_id`,
    [id, status, ++priority],
  )

// The lease of a worker on the job that was made last.  Another case may pause the renderings meanwhile.
export async function leased(system, job, worker = unique()) {
  let claim
  for (let tries = 0; claim === undefined && tries < 20; tries++) {
    await sql('DELETE FROM studio_engine.queue_stages')
    ;[claim] = await sql(`SELECT job_id, lease_token FROM claim_jobs($1, $2, 1, '1 day')`, [system, worker])
  }
  assert.equal(claim.job_id, job, 'the job that was made last is claimed first')
  return claim.lease_token
}

// A company in which the user works.
export async function company({ id }) {
  const made = await value(`INSERT INTO companies (name) VALUES ('C') RETURNING id`)
  await sql(`INSERT INTO employees (company_id, user_id, name) VALUES ($1, $2, 'E')`, [made, id])
  return made
}

export const employee = async (user) => value('SELECT id FROM employees WHERE company_id = $1', [await company(user)])

export const coursePlan = async (user) => value('SELECT create_course_plan($1)', [await employee(user)])

export async function content(user, status = 'draft') {
  return value(
    `INSERT INTO cm_module_content (module_name, company_id, status, introduction)
                VALUES ('Accounts receivable', $1, $2, 'Invoices are due.') RETURNING content_id`,
    [await company(user), status],
  )
}

export async function assessment(module) {
  return value('SELECT store_quality_assessment($1, 5)', [module])
}

export async function session(user) {
  return value('SELECT create_multimedia_session($1)', [await content(user)])
}

export const contentOf = (made) => value('SELECT content_id FROM mm_multimedia_sessions WHERE session_id = $1', [made])

export const asset = (made, type) => value(`SELECT register_multimedia_asset($1, NULL, $2, 'f.bin')`, [made, type])

export const narration = (made) => value('SELECT create_audio_narration($1)', [made])
export const slides = (made) => value('SELECT create_slide_presentation($1)', [made])
export const script = (made) => value('SELECT create_script_generation($1)', [made])

export async function rendering(made, status = 'queued') {
  return value(
    'INSERT INTO mm_rendering_queue (session_id, status, priority) VALUES ($1, $2, $3) RETURNING render_id',
    [made, status, ++priority],
  )
}

export async function enhancement(user) {
  return value('SELECT start_enhancement_session($1)', [await content(user)])
}

export async function run({ id }, status = 'pending') {
  const made = unique()
  await sql('INSERT INTO pipeline.jobs (run_id, project_spec, owner_id, status) VALUES ($1, $2, $3, $4)', [
    made,
    {},
    id,
    status,
  ])
  return made
}

export async function prompt() {
  const made = unique()
  await sql(`SELECT pipeline.upsert_prompt($1, 'c', 'x', 't')`, [made])
  return made
}

// The token of a session with a draft.
export async function draft() {
  const token = unique()
  await sql(`SELECT save_draft_prompt($1, 'make a film')`, [token])
  return token
}

// What was granted has expired, and nobody has swept it yet.
export async function expiredCredit({ id }) {
  await sql('SELECT grant_credits($1, 5, p_expires_at => $2)', [id, inAYear()])
  await sql(`BEGIN;
             SET LOCAL studio_engine.maintenance = on;
             UPDATE credit_ledger SET expires_at = '2001-01-01' WHERE user_id = '${id}' AND expires_at IS NOT NULL;
             UPDATE studio_engine.expiring_credits SET expires_at = '2001-01-01' WHERE user_id = '${id}';
             COMMIT`)
}

// The worker has been silent for an hour.
export async function silent(job) {
  await sql(
    `UPDATE studio_engine.attempts SET started_at = started_at - INTERVAL '2 days', expires_at = now() - INTERVAL '1 hour',
                    due_at = now() - INTERVAL '1 hour' WHERE job_id = $1 AND ended_at IS NULL`,
    [job],
  )
}

// Jobs of high priority, credit that lapsed and holds that are stale would meet whoever looks at everything next.
export async function removeAll() {
  await sql(`DELETE FROM auth.users WHERE email LIKE 'caller.%'`)
  await sql(`DELETE FROM companies WHERE name = 'C'`)
  await sql('DELETE FROM studio_engine.queue_stages')
}
