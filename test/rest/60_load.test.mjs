// Two hundred clients at a time: users who look at what is theirs, shops that sell and make jobs, bookkeepers who
// hold and charge credits, workers who share the jobs.  Every answer is one that the functions document, and the
// books, the queue and what clients were told agree when all are done.
//
// REST_LOAD_SECONDS  how long, 60 without it; in less than 20 neither everything happens nor are caches warm
//
// Pitfall: what a client knows is exact only as long as nobody else may change it.  So users leave PENDING jobs to
// their bookkeepers, and leases are longer than the test.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { signUp, sql } from './lib/api.mjs'
import { Load, privateMemory } from './lib/load.mjs'

const SECONDS = Number(process.env.REST_LOAD_SECONDS || 60)
const SHORT = SECONDS < 20 && `${SECONDS} s are too short for this`
const IN_FLIGHT = 200
const USERS = 100
const [SHOPS, BOOKKEEPERS, WORKERS] = [30, 35, 35]
const STAGES = [
  'QUEUED', 'SCRIPTING', 'VOICE_GEN', 'ALIGNMENT', 'VISUAL_PLAN', 'IMAGE_GEN', 'TIMELINE', 'RENDERING', 'PACKAGING',
]

// What may be answered.  PostgREST's own 504 (PGRST003, no connection for 10 seconds) is not among it: its queue
// must move.
const ANSWERS = {
  'get_credit_balance': ['200'],
  'get_credit_balance, of another': ['403 42501'],
  'get_dashboard': ['200'],
  'own jobs': ['200'],
  'own ledger': ['200'],
  'jobs of another': ['200'],
  'every account': ['200'],
  'insert a project': ['201'],
  // READY is the end of it
  'cancel_job': ['200', '400 23514'],
  'cancel_job, of another': ['403 42501'],
  // somebody was faster: it is QUEUED, which is fine, or goes on
  'retry_job': ['200', '400 23514', '402 PT402', '429 PT429'],

  'purchase_credits': ['200'],
  'purchase_credits, other amount': ['409 PT409'],
  'create_job': ['200', '402 PT402', '429 PT429'],
  'create_job, for nothing': ['400 22023'],
  'create_job, without a project': ['404 PT404'],

  'insert a job': ['201'],
  'reserve_credits': ['200'],
  'reserve_credits, again': ['200'],
  'reserve_credits, other amount': ['409 PT409'],
  'reserve_credits, of another': ['403 42501'],
  'reserve_credits, by a user': ['403 42501'],
  'settle_credits': ['200'],
  'settle_credits, other price': ['409 PT409'],
  'release_credits': ['200'],
  'release_credits, charged': ['409 PT409'],
  'advance_job, to FAILED': ['200'],

  'claim_jobs': ['200'],
  'heartbeat_job': ['200'],
  'heartbeat_job, lease lost': ['409 PT409'],
  // the job is to be cancelled
  'advance_job': ['200', '409 PT409'],
  'complete_job': ['200'],
  'complete_job, other price': ['409 PT409'],
  'fail_job': ['200'],
  'fail_job, without the lease': ['409 PT409'],
  'release_leases': ['200'],
  'reap_expired_leases': ['200'],
}

const load = new Load(ANSWERS, IN_FLIGHT)
const users = []
// What clients were told, to be found in the books: credits by user, jobs by id.
const told = { purchased: new Map(), charged: new Map(), made: new Map(), ready: new Map() }
// Who has which job.
const holders = new Map()
// Of the backends of PostgREST, at each third of the time.
const memory = []
let end

before(async () => {
  for (let i = 0; i < USERS; i++) {
    // every fifth has the welcome credits only, and soon none
    const user = { ...(await signUp(`Load${i}`)), rich: i % 5 !== 0 }
    const [project] = await sql(`
      INSERT INTO projects (user_id, title, prompt_text, niche_preset) VALUES ($1, 'P', 'p', 'facts') RETURNING id`, [user.id])
    users.push({ ...user, project: project.id, jobs: [] })
  }
})
after(() => load.close())

// ---- clients -------------------------------------------------------------------------------------------------

const below = (limit) => Math.floor(Math.random() * limit)
const pick = (list) => list[below(list.length)]
const other = (user) => pick(users.filter(({ id }) => id !== user.id))
const add = (map, key, amount) => map.set(key, amount + (map.get(key) ?? 0))

function expect(condition, what) {
  if (!condition) {
    load.complain(what)
  }
}

// Does the same again and again; what was begun is finished.
async function goOn(client) {
  try {
    while (performance.now() < end && load.wrong.length === 0) {
      await client()
    }
  } catch (error) {
    load.complain(error.stack)
  }
}

// Two of the same, at the same time: their answers.
function twice(send) {
  return Promise.all([send(), send()])
}

const VISITS = [
  [5, balance], [5, ownJobs], [3, ownLedger], [3, dashboard], [3, cancelOne], [6, retryOne], [1, strangersJobs],
  [1, strangersBalance], [1, strangersJob], [1, newProject], [1, everyAccount],
].flatMap(([weight, visit]) => Array(weight).fill(visit))

async function visit(user) {
  await pick(VISITS)(user)
}

async function balance(user) {
  const { body } = await load.rpc('get_credit_balance', { p_user_id: user.id }, user)
  expect(Number.isInteger(body) && body >= 0, `get_credit_balance: ${body}`)
}

async function strangersBalance(user) {
  await load.rpc('get_credit_balance', { p_user_id: other(user).id }, { token: user.token, how: 'of another' })
}

async function ownJobs(user) {
  const path = '/jobs?select=id,user_id,status,progress,projects(user_id,title),job_steps(step_name,state)' +
    '&order=created_at.desc&limit=20'
  const { ok, body } = await load.call('own jobs', 'GET', path, user)
  if (ok) {
    user.jobs = body
    expect(body.every((job) => job.user_id === user.id && job.projects.user_id === user.id), 'own jobs: a job of another')
  }
}

async function ownLedger(user) {
  const path = '/credit_ledger?select=user_id,entry_no,amount,balance_after,jobs(user_id)&order=entry_no.desc&limit=20'
  const { ok, body } = await load.call('own ledger', 'GET', path, user)
  if (ok) {
    expect(body.every((entry) => entry.user_id === user.id), 'own ledger: an entry of another')
    const steps = body.slice(1).map((entry, i) => [body[i].balance_after - body[i].amount, entry.balance_after])
    expect(steps.every(([from, to]) => from === to), `own ledger: balances do not follow: ${JSON.stringify(body)}`)
  }
}

async function dashboard(user) {
  const { ok, body } = await load.rpc('get_dashboard', { p_limit: 5 }, user)
  expect(!ok || body.length > 0, 'get_dashboard: no project')
}

async function strangersJobs(user) {
  const { ok, body } = await load.call('jobs of another', 'GET', `/jobs?user_id=eq.${other(user).id}`, user)
  expect(!ok || body.length === 0, 'jobs of another: there are some')
}

async function newProject(user) {
  const body = { user_id: user.id, title: 'Another', prompt_text: 'p', niche_preset: 'history' }
  await load.call('insert a project', 'POST', '/projects', { body, token: user.token, prefer: 'return=minimal' })
}

async function everyAccount() {
  const { ok, body } = await load.call('every account', 'GET', `/credit_accounts?user_id=in.(${users.map(({ id }) => id)})`)
  expect(!ok || body.length === USERS, `every account: ${body?.length}`)
  expect(!ok || body.every((account) => account.balance >= 0 && account.reserved >= 0), 'every account: one below zero')
}

async function cancelOne(user) {
  const job = pick(user.jobs.filter(({ status }) => status !== 'PENDING'))
  if (job) {
    await load.rpc('cancel_job', { p_job_id: job.id, p_reason: 'load' }, user)
  }
}

async function strangersJob(user) {
  const job = pick(other(user).jobs)
  if (job) {
    await load.rpc('cancel_job', { p_job_id: job.id }, { token: user.token, how: 'of another' })
  }
}

async function retryOne(user) {
  const job = pick(user.jobs.filter(({ status }) => status === 'FAILED' || status === 'READY'))
  if (job) {
    await load.rpc('retry_job', { p_job_id: job.id }, user)
  }
}

async function keepShop() {
  const user = pick(users)
  await pick(user.rich ? [sell, orderJob, orderJob, orderMany] : [orderJob])(user)
}

// More than a user may have at a time.
async function orderMany(user) {
  for (let i = 0; i < 7; i++) {
    await orderJob(user)
  }
}

// The payment service says it twice.
async function sell(user) {
  const args = { p_user_id: user.id, p_amount: 5 + below(20), p_stripe_payment_id: `load ${randomUUID()}` }
  const [one, two] = await twice(() => load.rpc('purchase_credits', args))
  if (one.ok && two.ok) {
    expect(one.body === two.body, 'purchase_credits: two entries for one payment')
    add(told.purchased, user.id, args.p_amount)
    await load.rpc('purchase_credits', { ...args, p_amount: args.p_amount + 1 }, { how: 'other amount' })
  }
}

async function orderJob(user) {
  const args = { p_project_id: user.project, p_cost_credits: 1 + below(4), p_priority: below(3) }
  const { ok, body } = await load.rpc('create_job', args)
  if (ok) {
    told.made.set(body, user.id)
  }
  if (below(20) === 0) {
    await load.rpc('create_job', { ...args, p_cost_credits: 0 }, { how: 'for nothing' })
    await load.rpc('create_job', { ...args, p_project_id: randomUUID() }, { how: 'without a project' })
  }
}

async function keepBooks() {
  const user = pick(users)
  const { ok, body } = await load.call('insert a job', 'POST', '/jobs?select=id', {
    body: { project_id: user.project, user_id: user.id },
    prefer: 'return=representation',
  })
  if (!ok) {
    return
  }
  const job = body[0].id
  told.made.set(job, user.id)
  if (await hold(user, job)) {
    await pick([charge, charge, giveBack, leave])(user, job)
  }
  await load.rpc('advance_job', { p_job_id: job, p_status: 'FAILED' }, { how: 'to FAILED' })
}

const HELD = 4

// Both answers may differ where a payment comes between them.
async function hold(user, job) {
  const args = { p_user_id: user.id, p_job_id: job, p_amount: HELD }
  const answers = await twice(() => load.rpc('reserve_credits', args))
  expect(answers.every(({ body }) => typeof body === 'boolean'), 'reserve_credits: not a boolean')
  if (!answers.some(({ body }) => body === true)) {
    return false
  }
  const again = await load.rpc('reserve_credits', args, { how: 'again' })
  expect(again.body === true, 'reserve_credits, again: not held')
  await load.rpc('reserve_credits', { ...args, p_amount: HELD - 1 }, { how: 'other amount' })
  if (below(10) === 0) {
    await load.rpc('reserve_credits', { ...args, p_user_id: other(user).id }, { how: 'of another' })
    await load.rpc('reserve_credits', args, { how: 'by a user', token: user.token })
  }
  return true
}

async function charge(user, job) {
  const price = below(HELD + 1)
  const answers = await twice(() => load.rpc('settle_credits', { p_job_id: job, p_final_cost: price }))
  expect(answers.every(({ body }) => body === price), `settle_credits: not ${price}`)
  add(told.charged, user.id, price)
  await load.rpc('settle_credits', { p_job_id: job, p_final_cost: price + 1 }, { how: 'other price' })
  if (price > 0) {
    await load.rpc('release_credits', { p_job_id: job }, { how: 'charged' })
  }
}

async function giveBack(user, job) {
  const answers = await twice(() => load.rpc('release_credits', { p_job_id: job, p_note: 'load' }))
  expect(answers.every(({ body }) => body === HELD), `release_credits: not ${HELD}`)
  await load.rpc('settle_credits', { p_job_id: job, p_final_cost: 1 }, { how: 'other price' })
}

// The end of the job gives it back.
async function leave() {}

async function work(worker) {
  const { ok, body } = await load.rpc('claim_jobs', {
    p_system: 'jobs', p_worker: worker, p_limit: 1 + below(4), p_lease: '12 hours',
  })
  for (const lease of ok ? body : []) {
    expect(!holders.has(lease.job_id), `claim_jobs: ${worker} got what ${holders.get(lease.job_id)} has`)
    holders.set(lease.job_id, worker)
  }
  if (ok && below(10) === 0) {
    await shutDown(worker, body)
  } else {
    for (const lease of ok ? body : []) {
      await workOn(lease)
    }
  }
  if (below(4) === 0) {
    await load.rpc('reap_expired_leases', {})
  }
}

// From here on others may have the jobs.  What somebody has locked is not given back.
async function shutDown(worker, leases) {
  leases.forEach((lease) => holders.delete(lease.job_id))
  const { body } = await load.rpc('release_leases', { p_worker: worker })
  expect(body >= 0 && body <= leases.length, `release_leases: ${body} of ${leases.length}`)
}

async function workOn({ job_id, lease_token, job }) {
  const lease = { p_job_id: job_id, p_lease_token: lease_token }
  const beat = await heartbeat(lease, { p_progress: below(100), p_status_message: 'Working' })
  const mine = told.made.has(job_id)
  if (!mine || beat.body?.cancel || below(5) === 0) {
    // what other tests left behind is ended
    await giveUp(lease, mine && below(2) === 0)
  } else if (await advance(lease, job.status)) {
    await complete(lease, job)
  } else {
    expect((await heartbeat(lease)).body?.cancel === true, 'advance_job: refused, though nobody cancelled')
    await giveUp(lease, false)
  }
}

async function heartbeat(lease, more = {}) {
  const answer = await load.rpc('heartbeat_job', { ...lease, ...more })
  expect(typeof answer.body?.cancel === 'boolean', 'heartbeat_job: does not say whether to cancel')
  return answer
}

async function advance(lease, from) {
  for (const stage of STAGES.slice(1 + STAGES.indexOf(from))) {
    const { ok, body } = await load.rpc('advance_job', { ...lease, p_status: stage })
    if (!ok) {
      return false
    }
    expect(body.status === stage, `advance_job: ${body.status}, not ${stage}`)
  }
  return true
}

async function giveUp(lease, again) {
  const error = { p_job_id: lease.p_job_id, p_error_code: 'LOAD', p_error_message: 'It broke.' }
  await load.rpc('fail_job', error, { how: 'without the lease' })
  // from here on others may have it
  holders.delete(lease.p_job_id)
  await load.rpc('fail_job', { ...error, p_retryable: again, p_lease_token: lease.p_lease_token })
  await load.rpc('heartbeat_job', lease, { how: 'lease lost' })
}

async function complete(lease, job) {
  const price = below(job.cost_credits_reserved + 1)
  const args = { ...lease, p_output_url: `by ${lease.p_lease_token}`, p_final_cost: price }
  const [one, two] = await twice(() => load.rpc('complete_job', args))
  if (one.ok && two.ok) {
    expect(one.text === two.text && one.body.status === 'READY', 'complete_job: two answers to one question')
    expect(!told.ready.has(lease.p_job_id), 'complete_job: the job was ready already')
    told.ready.set(lease.p_job_id, price)
    add(told.charged, job.user_id, price)
    await load.rpc('complete_job', { ...args, p_final_cost: price + 1 }, { how: 'other price' })
    await load.rpc('heartbeat_job', lease, { how: 'lease lost' })
  }
}

// ---- what must be true afterwards ----------------------------------------------------------------------------

// Each finds nothing.  $1 is what clients were told, as JSON.
const AUDITS = {
  'the books are sound': 'SELECT * FROM verify_credit_ledger()',
  'accounts are the sums of their entries': `
    SELECT a.user_id, a.balance, a.reserved, sum(l.amount) FROM credit_accounts a LEFT JOIN credit_ledger l USING (user_id)
     GROUP BY a.user_id
    HAVING (a.balance, a.reserved, a.entries) IS DISTINCT FROM
           (coalesce(sum(l.amount), 0), coalesce(-sum(l.amount) FILTER (WHERE l.type = 'reserve'), 0), count(l.id))`,
  'nobody was below zero': `
    SELECT l.* FROM credit_ledger l JOIN jsonb_to_recordset($1::jsonb -> 'users') u (id uuid) ON u.id = l.user_id WHERE l.balance_after < 0`,
  'a job that has ended holds nothing': `
    SELECT j.id, j.status, sum(l.amount) FROM jobs j JOIN credit_ledger l ON l.job_id = j.id AND l.type = 'reserve'
     WHERE j.status IN ('READY', 'FAILED') GROUP BY j.id HAVING sum(l.amount) <> 0`,
  'the hold of a job is what its row says': `
    SELECT j.id, j.cost_credits_reserved, sum(l.amount) FROM jobs j JOIN credit_ledger l ON l.job_id = j.id AND l.type = 'reserve'
     GROUP BY j.id HAVING sum(l.amount) NOT IN (0, -j.cost_credits_reserved)`,
  'what has work to do is in the queue, and nothing else': `
    SELECT o, q FROM studio_engine.open_jobs() o
      FULL JOIN (SELECT system, job_id, user_id, rank, stage FROM studio_engine.queue
                 UNION ALL SELECT system, job_id, user_id, NULL, NULL FROM studio_engine.attempts WHERE ended_at IS NULL) q
        ON q.job_id = o.job_id AND q.system::text = o.system
     WHERE o.user_id IS DISTINCT FROM q.user_id OR q.rank <> ~o.priority OR q.stage <> o.stage OR o.job_id IS NULL OR q.job_id IS NULL`,
  'no worker has a job any more': `SELECT * FROM studio_engine.attempts WHERE worker LIKE 'load %' AND ended_at IS NULL`,
  'a job is completed once': `
    SELECT job_id, count(*) FROM studio_engine.attempts WHERE outcome = 'completed' GROUP BY job_id HAVING count(*) > 1`,
  'credits were booked and charged as clients were told': `
    SELECT u.id, u.purchased, u.charged, l.purchased, l.charged
      FROM jsonb_to_recordset($1::jsonb -> 'users') u (id uuid, purchased integer, charged integer)
     CROSS JOIN LATERAL (SELECT coalesce(sum(amount) FILTER (WHERE type = 'purchase'), 0) AS purchased,
                                coalesce(-sum(amount) FILTER (WHERE type = 'usage'), 0) AS charged,
                                coalesce(sum(amount) FILTER (WHERE type NOT IN ('purchase', 'usage', 'reserve')), 0) AS others
                           FROM credit_ledger WHERE user_id = u.id) l
     WHERE (u.purchased, u.charged, 10) IS DISTINCT FROM (l.purchased, l.charged, l.others)`,
  'the jobs are those that clients made': `
    SELECT t, j.id, j.user_id FROM jsonb_to_recordset($1::jsonb -> 'made') t (id uuid, user_id uuid)
      FULL JOIN (SELECT * FROM jobs WHERE user_id IN (SELECT (u ->> 'id')::uuid FROM jsonb_array_elements($1::jsonb -> 'users') u)) j USING (id)
     WHERE t.user_id IS DISTINCT FROM j.user_id`,
  'the jobs that are ready are those of which workers were told': `
    SELECT t, j.id, j.cost_credits_final FROM jsonb_to_recordset($1::jsonb -> 'ready') t (id uuid, price integer)
      FULL JOIN (SELECT j.* FROM jobs j JOIN jsonb_to_recordset($1::jsonb -> 'made') m (id uuid) USING (id) WHERE j.status = 'READY') j USING (id)
     WHERE t.price IS DISTINCT FROM j.cost_credits_final`,
  'no session of the API is in a transaction': `
    SELECT pid, state, query FROM pg_stat_activity
     WHERE datname = current_database() AND usename = 'authenticator' AND state <> 'idle'`,
}

// What makes an audit find something; one that never does would pass for a good one.
const RUINS = {
  'the books are sound': `
    UPDATE credit_ledger SET balance_after = balance_after + 1
     WHERE id = (SELECT id FROM credit_ledger ORDER BY entry_no DESC LIMIT 1)`,
  'accounts are the sums of their entries': `UPDATE credit_accounts SET balance = balance + 1 WHERE user_id IN ($users)`,
  'nobody was below zero': `UPDATE credit_ledger SET balance_after = -1 WHERE user_id IN ($users) AND entry_no = 1`,
  'a job that has ended holds nothing': `
    UPDATE credit_ledger SET amount = amount - 1
     WHERE id = (SELECT l.id FROM credit_ledger l JOIN jobs j ON j.id = l.job_id
                  WHERE j.status = 'READY' AND l.type = 'reserve' AND l.amount < 0 LIMIT 1)`,
  'the hold of a job is what its row says': `
    UPDATE credit_ledger SET amount = -1000
     WHERE id = (SELECT id FROM credit_ledger WHERE type = 'reserve' AND amount < 0 LIMIT 1)`,
  'what has work to do is in the queue, and nothing else': `
    INSERT INTO studio_engine.queue (system, job_id, user_id, stage) VALUES ('jobs', gen_random_uuid(), gen_random_uuid(), 'QUEUED')`,
  'no worker has a job any more': `
    INSERT INTO studio_engine.attempts (system, job_id, attempt, first_attempt, lease_token, worker, stage, started_at, due_at, expires_at, since, lease_ms)
    VALUES ('jobs', gen_random_uuid(), 1, 1, gen_random_uuid(), 'load 0', 'QUEUED', now(), now(), now(), now(), 1)`,
  'a job is completed once': `
    INSERT INTO studio_engine.attempts (system, job_id, attempt, first_attempt, lease_token, worker, stage, started_at, due_at, expires_at,
                                        since, lease_ms, ended_at, outcome)
    SELECT system, job_id, attempt + 1, 1, gen_random_uuid(), worker, stage, now(), now(), now(), now(), 1, now(), outcome
      FROM studio_engine.attempts WHERE outcome = 'completed' LIMIT 1`,
  'credits were booked and charged as clients were told': `
    UPDATE credit_ledger SET amount = amount + 1
     WHERE id = (SELECT id FROM credit_ledger WHERE type = 'usage' AND user_id IN ($users) LIMIT 1)`,
  'the jobs are those that clients made': `
    INSERT INTO jobs (project_id, user_id) SELECT id, user_id FROM projects WHERE user_id IN ($users) LIMIT 1`,
  'the jobs that are ready are those of which workers were told': `
    UPDATE jobs SET cost_credits_final = cost_credits_final + 1 WHERE status = 'READY' AND user_id IN ($users)`,
  'no session of the API is in a transaction': null,
}

// As a superuser, in a transaction that is rolled back; the audits of the same transaction see what it did.
async function ruined(audit, ruin) {
  const client = new pg.Client()
  await client.connect()
  try {
    await client.query('BEGIN')
    await client.query('SET LOCAL studio_engine.maintenance = on')
    await client.query(ruin.replace('$users', users.map(({ id }) => `'${id}'`).join()))
    return await found(audit, client)
  } finally {
    await client.end()
  }
}

// A session of the API that began something and does nothing.
async function left(audit) {
  const client = new pg.Client({ user: 'authenticator' })
  await client.connect()
  try {
    await client.query('BEGIN')
    return await found(audit)
  } finally {
    await client.end()
  }
}

async function found(audit, by = { query: async (text, params) => ({ rows: await sql(text, params) }) }) {
  const text = AUDITS[audit]
  return (await by.query(text, text.includes('$1') ? [toldAsJson()] : [])).rows
}

function toldAsJson() {
  return JSON.stringify({
    users: users.map(({ id }) => ({ id, purchased: told.purchased.get(id) ?? 0, charged: told.charged.get(id) ?? 0 })),
    made: [...told.made].map(([id, user_id]) => ({ id, user_id })),
    ready: [...told.ready].map(([id, price]) => ({ id, price })),
  })
}

// ---- memory --------------------------------------------------------------------------------------------------

// What each backend of PostgREST has for itself, in kB by process id.
async function backends() {
  const rows = await sql(`
    SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND usename = 'authenticator' ORDER BY pid`)
  return new Map(await Promise.all(rows.map(async ({ pid }) => [pid, await privateMemory(pid)])))
}

// At the end of each third of the time; of the last one when the clients are done.
async function measureMemory() {
  for (const rest of [2, 1]) {
    const due = end - (rest * SECONDS * 1000) / 3
    while (performance.now() < due && load.wrong.length === 0) {
      await pause(50)
    }
    await noteMemory()
  }
}

async function noteMemory() {
  memory.push({ answers: load.total(), backends: await backends() })
}

// ---- the load ------------------------------------------------------------------------------------------------

test(`${IN_FLIGHT} requests in flight for ${SECONDS} s`, async (t) => {
  const begun = performance.now()
  end = begun + SECONDS * 1000
  const names = Array.from({ length: WORKERS }, (_, i) => `load ${i}`)
  const clients = [
    ...users.map((user) => () => visit(user)),
    ...Array(SHOPS).fill(keepShop),
    ...Array(BOOKKEEPERS).fill(keepBooks),
    ...names.map((name) => () => work(name)),
  ]
  assert.equal(clients.length, IN_FLIGHT)
  await Promise.all([measureMemory(), ...clients.map(goOn)])
  await noteMemory()
  await Promise.all(names.map((name) => load.rpc('release_leases', { p_worker: name })))

  t.diagnostic(`${load.total()} answers, ${((load.total() / (performance.now() - begun)) * 1000).toFixed(0)} a second`)
  load.report().forEach((line) => t.diagnostic(line))
  assert.deepEqual(load.wrong.slice(0, 10), [])
})

test('everything happened', { skip: SHORT }, () => {
  assert.deepEqual(load.missing(), [])
})

for (const audit of Object.keys(AUDITS)) {
  test(audit, async () => {
    const rows = await found(audit)
    assert.deepEqual(rows.slice(0, 5), [], `${rows.length} rows`)
  })
}

for (const [audit, ruin] of Object.entries(RUINS)) {
  test(`it would be seen if not: ${audit}`, async () => {
    assert.notEqual((await (ruin ? ruined(audit, ruin) : left(audit))).length, 0)
  })
}

// From the first third on all caches are warm.  What is left, in a minute and on two slow cores, is a quarter of a
// megabyte; 1 kB that is lost with each call would be two.
test('the memory of the backends stays as it is', { skip: SHORT }, (t) => {
  for (const { answers, backends } of memory) {
    t.diagnostic(`after ${answers} answers, kB: ${[...backends.values()].join(' ')}`)
  }
  const [warm, , last] = memory.map(({ backends }) => backends)
  assert.deepEqual([...last.keys()], [...warm.keys()], 'a backend ended, or another began')
  const growth = [...last].map(([pid, kB]) => kB - warm.get(pid)).sort((a, b) => a - b)
  t.diagnostic(`growth in kB: ${growth.join(' ')}`)
  assert.ok(growth[growth.length >> 1] < 1536, 'half of the backends grow')
  assert.ok(growth.at(-1) < 8192, 'a backend grows')
})
