// One case for each function of the API, by its name:
//
//     who      anybody, user (who is signed in; a service may too), service, or nobody (the owner of the data only)
//     given    makes the rows and returns every argument; it is handed the user who calls or is called for
//     gives    checks the answer
//     takes    what each argument may be, see rpc_arguments.mjs, where neither `common` nor its type says it
//     foreign  false: there is nothing of somebody else's to ask for
//     least    roles that may leave out all that has a default, where not all may
//     leastGives  checks the answer to a call with the arguments that have no default
//     errors   arguments that get the SQLSTATEs of COMMENT ON which wrong values do not
//
// Pitfall: `given` must make a call that would change something, or it shows nothing that a refused one did not.
import assert from 'node:assert/strict'
import * as make from './rpc_fixtures.mjs'
import {
  MARK, amount, attempts, bytes, fileIds, finite, free, future, id, ids, integer, interval, jobIds, json, lease, nullable, number, object, report,
  sections, shaped, stages, start, text, textId, texts, word,
} from './rpc_arguments.mjs'
import { sql } from './api.mjs'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const NOWHERE = '00000000-0000-4000-8000-000000000000'

// ---- answers ---------------------------------------------------------------------------------------------------

const isId = (body) => assert.match(body, UUID)
const is = (expected) => (body) => assert.deepEqual(body, expected)
const atLeast = (least) => (body) => assert.ok(Number.isInteger(body) && body >= least, `${body}, not ${least} or more`)
const isTime = (body) => assert.ok(Date.parse(body) > 0, body)
const rows = (...names) => (body) => {
  assert.ok(Array.isArray(body) && body.length > 0, 'rows')
  assert.deepEqual(Object.keys(body[0]), names)
}

// An object with these members, whatever else it has.
const has = (members) => (body) => {
  assert.deepEqual(Object.fromEntries(Object.keys(members).map((name) => [name, body[name]])), members)
}
const hasKeys = (...names) => (body) => {
  assert.deepEqual(names.filter((name) => !(name in body)), [])
}

// ---- arguments that mean the same everywhere ---------------------------------------------------------------------

const INTERVALS = interval(['1 second', '1 day'], ['0', '999 milliseconds', '1 day 1 second', '-1 hour'])
const AGES = interval(['1 second', '1000 years'], ['0', '-1 day', '1001 years', '1000000 years'])

export const common = {
  p_lease_token: lease,
  p_note: text(0, 1000),
  p_reason: text(0, 1000),
  p_idempotency_key: text(1, 255),
  p_stripe_payment_id: text(1, 255),
  p_amount: amount,
  p_expires_at: future,
  p_limit: integer(1, 100000),
  p_priority: integer(-2147483648),
  p_progress: integer(0, 100),
  p_progress_pct: integer(0, 100),
  p_status: word(),
  p_run_at: start,
  p_max_attempts: attempts,
  p_older_than: AGES,
  p_run_id: textId(),
}

// ---- everywhere --------------------------------------------------------------------------------------------------

const workflows = {
  'public.workflow_transitions': {
    who: 'anybody',
    given: async () => ({}),
    gives: rows('workflow', 'from_status', 'to_status', 'via', 'condition'),
    foreign: false,
  },
  'public.workflow_diagram': {
    who: 'anybody',
    given: async () => ({ p_workflow: 'studio_jobs' }),
    gives: (body) => assert.match(body, /^stateDiagram-v2\n/),
    takes: { p_workflow: word() },
    foreign: false,
  },
  'public.enable_realtime': {
    who: 'nobody',
    given: async () => ({}),
  },
  'public.set_setting': {
    who: 'nobody',
    given: async () => ({ p_name: 'max_attempts', p_value: '3' }),
  },
  'public.get_settings': {
    who: 'service',
    given: async () => ({}),
    gives: rows('name', 'value', 'default_value', 'type', 'min_value', 'max_value', 'description'),
    takes: {},
  },
  'public.verify_setup': {
    who: 'service',
    given: async () => ({}),
    gives: rows('name', 'ok', 'detail', 'remedy'),
    takes: {},
  },
  'public.enable_storage': {
    who: 'nobody',
    given: async () => ({}),
  },
  'public.list_removed_files': {
    who: 'service',
    async given() {
      await sql('INSERT INTO studio_engine.removed_files (path) VALUES ($1)', [MARK])
      return { p_limit: 10 }
    },
    gives: rows('file_id', 'bucket', 'path', 'removed_at'),
    takes: { p_limit: integer(1, 1000) },
  },
  'public.forget_removed_files': {
    who: 'service',
    async given() {
      const [{ file_id: file }] = await sql('INSERT INTO studio_engine.removed_files (path) VALUES ($1) RETURNING file_id', [MARK])
      return { p_file_ids: [file] }
    },
    gives: is(1),
    takes: { p_file_ids: fileIds },
  },
  'public.enable_broadcast': {
    who: 'nobody',
    given: async () => ({}),
  },
  'public.disable_broadcast': {
    who: 'nobody',
    given: async () => ({}),
  },
}

// ---- users and drafts --------------------------------------------------------------------------------------------

const users = {
  'public.repair_sign_ups': {
    who: 'service',
    async given({ id: user }) {
      await sql('DELETE FROM profiles WHERE id = $1', [user])
      await sql(`INSERT INTO studio_engine.failed_sign_ups (user_id, part, sqlstate, message) VALUES ($1, 'profile', '23514', 'M')`, [user])
      return { p_limit: 1 }
    },
    gives: is(1),
    takes: { p_limit: integer(1, 10000) },
  },
  'public.ensure_profile': {
    who: 'user',
    async given({ id: user }) {
      await sql('DELETE FROM profiles WHERE id = $1', [user])
      return { p_user_id: user }
    },
    gives: (body, args) => has({ id: args.p_user_id, display_name: 'caller' })(body),
  },
  'public.save_draft_prompt': {
    who: 'anybody',
    given: async () => ({ p_session_token: make.unique(), p_prompt_text: 'make a film', p_template_id: 'history',
      p_options: { length: 3 } }),
    gives: isId,
    takes: {
      p_session_token: text(16, 255),
      p_prompt_text: text(1, 20000),
      p_template_id: text(0, 255),
      p_options: nullable(object(16384)),
    },
    foreign: false,
  },
  'public.get_draft_prompt': {
    who: 'anybody',
    given: async () => ({ p_session_token: await make.draft() }),
    gives: (body) => {
      has({ prompt_text: 'make a film' })(body)
      assert.ok(!('session_token' in body))
    },
    takes: { p_session_token: free },
    foreign: false,
  },
  'public.claim_draft_prompt': {
    who: 'user',
    given: async ({ id: user }) => ({ p_session_token: await make.draft(), p_user_id: user }),
    gives: isId,
    takes: { p_session_token: free },
  },
  'public.cleanup_expired_drafts': {
    who: 'service',
    async given() {
      await sql(`UPDATE draft_prompts SET expires_at = '2001-01-01' WHERE session_token = $1`, [await make.draft()])
      return { p_limit: 1000 }
    },
    gives: atLeast(1),
  },
}

// ---- credits -----------------------------------------------------------------------------------------------------

const bought = (more) => ({
  who: 'service',
  given: async ({ id: user }) => ({ p_user_id: user, p_amount: 5, p_note: MARK, p_expires_at: make.inAYear(),
    ...more() }),
  gives: isId,
})
const booked = async (user) => ({ p_user_id: user.id, p_amount: 99, p_stripe_payment_id: await make.purchase(user) })
const tooMuch = async (user) => {
  await make.purchase(user)
  return { p_user_id: user.id, p_amount: 2147483647 }
}

const credits = {
  'public.get_credit_balance': {
    who: 'user',
    given: async ({ id: user }) => ({ p_user_id: user }),
    gives: is(10),
    takes: { p_user_id: id('nothing') },
  },
  'public.get_credit_summary': {
    who: 'user',
    given: async ({ id: user }) => ({ p_user_id: user }),
    gives: has({ balance: 10, reserved: 0, spendable: 10, lifetime_purchased: 0, lifetime_granted: 10, lifetime_used: 0,
      expiring_in_7_days: 0,
      next_expiry: null }),
    takes: { p_user_id: id('nothing') },
  },
  'public.get_credit_lots': {
    who: 'user',
    given: async ({ id: user }) => ({ p_user_id: user }),
    gives: (body) => {
      rows('entry_id', 'type', 'amount', 'remaining', 'held', 'priority', 'expires_at', 'note', 'created_at')(body)
      has({ type: 'grant', amount: 10, remaining: 10, held: 0, priority: 0, expires_at: null })(body[0])
    },
    takes: { p_user_id: id('nothing') },
  },
  'public.reserve_credits': {
    who: 'service',
    given: async (user) => ({ p_user_id: user.id, p_job_id: await make.videoJob(user, 'QUEUED'), p_amount: 5 }),
    gives: is(true),
    takes: { p_user_id: id('42501') },
    errors: { PT409: async (user) => ({ p_user_id: user.id, p_job_id: await make.heldJob(user, 'QUEUED'),
      p_amount: 6 }) },
  },
  'public.settle_credits': {
    who: 'service',
    given: async (user) => ({ p_job_id: await make.heldJob(user, 'SCRIPTING'), p_final_cost: 4, p_overrun: 'error' }),
    gives: is(4),
    takes: { p_final_cost: { ...integer(0), open: [['above the hold', '6']] }, p_overrun: word() },
    errors: {
      PT402: async (user) => ({ p_job_id: await make.heldJob(user, 'SCRIPTING'), p_final_cost: 1000,
        p_overrun: 'charge' }),
      PT409: async (user) => ({ p_job_id: await make.settledJob(user), p_final_cost: 4 }),
    },
  },
  'public.release_credits': {
    who: 'service',
    given: async (user) => ({ p_job_id: await make.heldJob(user, 'SCRIPTING'), p_note: MARK }),
    gives: is(5),
    errors: { PT409: async (user) => ({ p_job_id: await make.settledJob(user) }) },
  },
  'public.grant_credits': {
    ...bought(() => ({ p_idempotency_key: make.unique(), p_priority: 3 })),
    takes: { p_priority: nullable(integer(-2147483648)) },
    errors: {
      22003: tooMuch,
      async PT409({ id: user }) {
        const key = make.unique()
        await sql('SELECT grant_credits($1, 5, NULL, $2)', [user, key])
        return { p_user_id: user, p_amount: 6, p_idempotency_key: key }
      },
    },
  },
  'public.top_up_credits': {
    who: 'service',
    given: async ({ id: user }) => ({ p_user_id: user, p_target: 15, p_idempotency_key: make.unique(),
      p_expires_at: make.inAYear(), p_note: MARK }),
    gives: is(5),
    takes: { p_target: amount },
    errors: {
      async 22003(user) {
        await make.hold(user)
        return { p_user_id: user.id, p_target: 2147483647 }
      },
      async PT409({ id: user }) {
        const key = make.unique()
        await sql('SELECT top_up_credits($1, 5, $2)', [user, key])
        return { p_user_id: user, p_target: 6, p_idempotency_key: key }
      },
    },
  },
  'public.charge_credits': {
    who: 'service',
    given: async ({ id: user }) => ({ p_user_id: user, p_amount: 4, p_idempotency_key: make.unique(),
      p_reference: 'chats:1', p_note: MARK }),
    gives: is(6),
    takes: { p_reference: text(1, 255) },
    errors: {
      PT402: async ({ id: user }) => ({ p_user_id: user, p_amount: 11 }),
      async PT409({ id: user }) {
        const key = make.unique()
        await sql('SELECT charge_credits($1, 5, $2)', [user, key])
        return { p_user_id: user, p_amount: 4, p_idempotency_key: key }
      },
    },
  },
  'public.hold_credits': {
    who: 'service',
    given: async ({ id: user }) => ({ p_user_id: user, p_amount: 4, p_reference: 'chats:1', p_note: MARK,
      p_expires: '1 hour', p_idempotency_key: make.unique() }),
    gives: isId,
    takes: {
      p_reference: text(1, 255),
      p_expires: interval(['1 second', '1 year'], ['0', '-1 hour', '366 days 1 second', '1000000 years']),
    },
    errors: {
      PT402: async ({ id: user }) => ({ p_user_id: user, p_amount: 11, p_reference: 'chats:1' }),
      async PT409({ id: user }) {
        const key = make.unique()
        await sql(`SELECT hold_credits($1, 5, 'chats:1', p_idempotency_key => $2)`, [user, key])
        return { p_user_id: user, p_amount: 4, p_reference: 'chats:1', p_idempotency_key: key }
      },
    },
  },
  'public.capture_hold': {
    who: 'service',
    given: async (user) => ({ p_hold_id: await make.hold(user), p_amount: 4, p_overrun: 'error' }),
    gives: is(4),
    takes: { p_amount: { ...integer(0), open: [['above the hold', '6']] }, p_overrun: word() },
    errors: {
      PT402: async (user) => ({ p_hold_id: await make.hold(user), p_amount: 1000, p_overrun: 'charge' }),
      async PT409(user) {
        const hold = await make.hold(user)
        await sql('SELECT release_hold($1)', [hold])
        return { p_hold_id: hold }
      },
    },
  },
  'public.release_hold': {
    who: 'service',
    given: async (user) => ({ p_hold_id: await make.hold(user) }),
    gives: is(5),
    errors: {
      async PT409(user) {
        const hold = await make.hold(user)
        await sql('SELECT capture_hold($1)', [hold])
        return { p_hold_id: hold }
      },
    },
  },
  'public.purchase_credits': {
    ...bought(() => ({ p_stripe_payment_id: make.unique() })),
    takes: { p_expires_at: finite },
    errors: { 22003: async (user) => ({ ...await tooMuch(user), p_stripe_payment_id: make.unique() }), PT409: booked },
  },
  'public.subscription_credits': {
    ...bought(() => ({ p_stripe_payment_id: make.unique() })),
    // what is accepted, purchase_credits() was given already
    takes: { p_stripe_payment_id: { ...text(1, 255), accepted: [] }, p_expires_at: finite },
    errors: { 22003: async (user) => ({ ...await tooMuch(user), p_stripe_payment_id: make.unique() }), PT409: booked },
  },
  'public.refund_credits': {
    who: 'service',
    given: async (user) => ({ p_job_id: await make.settledJob(user), p_amount: 2, p_note: MARK,
      p_idempotency_key: make.unique() }),
    gives: is(2),
    errors: {
      async 22003(user) {
        const job = await make.settledJob(user)
        await sql('SELECT grant_credits($1, 2147483642)', [user.id])
        return { p_job_id: job, p_amount: 5 }
      },
      PT409: async (user) => ({ p_job_id: await make.settledJob(user), p_amount: 6 }),
    },
  },
  'public.reverse_purchase': {
    who: 'service',
    given: async (user) => ({ p_stripe_payment_id: await make.purchase(user), p_amount: 10, p_note: MARK,
      p_idempotency_key: make.unique() }),
    gives: is(10),
    takes: { p_stripe_payment_id: textId() },
    errors: {
      PT409: async (user) => ({ p_stripe_payment_id: await make.purchase(user), p_amount: 101 }),
      async 22003(user) {
        const [first, second] = [await make.spentPurchase(user, 2147483637), await make.spentPurchase(user, 2147483647)]
        await sql('SELECT reverse_purchase($1)', [first])
        return { p_stripe_payment_id: second }
      },
    },
  },
  'public.apply_stripe_event': {
    who: 'service',
    given: async (user) => ({ p_event: make.stripeEvent(user) }),
    gives: has({ result: 'applied', credits_booked: 5 }),
    takes: { p_event: shaped([['an array', '[]'], ['a number', '5'], ['a string', '"evt_1"'], ['empty', '{}'], ['without an object',
      '{"id": "evt_1", "type": "charge.refunded", "created": 1, "data": {}}'], ['65 deep', '['.repeat(65) + ']'.repeat(65)]]) },
    errors: {
      PT404: async () => ({ p_event: make.stripeEvent({ id: NOWHERE }) }),
      async PT409(user) {
        const event = make.stripeEvent(user)
        await sql('SELECT apply_stripe_event($1)', [event])
        return { p_event: { ...event, data: { object: { ...event.data.object, id: make.unique() } } } }
      },
      async 22003(user) {
        const event = make.stripeEvent(user)
        event.data.object.metadata.credits = '2147483647'
        return { p_event: event }
      },
    },
  },
  'public.reinstate_purchase': {
    who: 'service',
    async given(user) {
      const payment = await make.purchase(user)
      const key = make.unique()
      await sql('SELECT reverse_purchase($1, 10, NULL, $2)', [payment, key])
      return { p_stripe_payment_id: payment, p_note: MARK, p_idempotency_key: key }
    },
    gives: is(10),
    takes: { p_stripe_payment_id: textId() },
    errors: {
      async PT409(user) {
        const payment = await make.purchase(user)
        await sql('SELECT reverse_purchase($1, 10), reverse_purchase($1, 20)', [payment])
        return { p_stripe_payment_id: payment }
      },
      async 22003(user) {
        const payment = await make.purchase(user)
        await sql('SELECT reverse_purchase($1)', [payment])
        await sql('SELECT grant_credits($1, 2147483637)', [user.id])
        return { p_stripe_payment_id: payment }
      },
    },
  },
  'public.void_credits': {
    who: 'service',
    given: async (user) => ({ p_entry_id: await make.lot(user), p_amount: 3, p_note: MARK, p_idempotency_key: make.unique() }),
    gives: is(3),
    errors: {
      PT409: async (user) => ({ p_entry_id: await make.lot(user), p_amount: 8 }),
    },
  },
  'public.transfer_credits': {
    who: 'service',
    given: async ({ id: user }) => ({ p_from_user_id: user, p_to_user_id: await make.receiver(), p_amount: 4,
      p_idempotency_key: make.unique(), p_note: MARK }),
    gives: is(4),
    errors: {
      PT402: async ({ id: user }) => ({ p_from_user_id: user, p_to_user_id: await make.receiver(), p_amount: 11 }),
      async 22003({ id: user }) {
        await sql('SELECT grant_credits($1, 2147483637)', [user])
        return { p_from_user_id: await make.receiver(), p_to_user_id: user, p_amount: 1 }
      },
      async PT409({ id: user }) {
        const [key, receiver] = [make.unique(), await make.receiver()]
        await sql('SELECT transfer_credits($1, $2, 5, $3)', [user, receiver, key])
        return { p_from_user_id: user, p_to_user_id: receiver, p_amount: 4, p_idempotency_key: key }
      },
    },
  },
  'public.merge_accounts': {
    who: 'service',
    given: async ({ id: user }) => ({ p_from_user_id: user, p_to_user_id: await make.receiver(),
      p_idempotency_key: make.unique() }),
    gives: is(10),
    errors: {
      async 22003({ id: user }) {
        await sql('SELECT grant_credits($1, 2147483637)', [user])
        return { p_from_user_id: await make.receiver(), p_to_user_id: user }
      },
      async PT409(user) {
        await make.hold(user)
        return { p_from_user_id: user.id, p_to_user_id: await make.receiver() }
      },
    },
  },
  'public.expire_credits': {
    who: 'service',
    async given(user) {
      await make.expiredCredit(user)
      return { p_limit: 1000 }
    },
    gives: atLeast(1),
  },
  'public.sweep_stale_holds': {
    who: 'service',
    async given(user) {
      await make.staleHold(user)
      return { p_limit: 500 }
    },
    gives: atLeast(1),
  },
  'public.verify_credit_ledger': {
    who: 'service',
    given: async ({ id: user }) => ({ p_user_id: user }),
    gives: is([]),
    takes: { p_user_id: id('nothing') },
  },
}

// ---- video -------------------------------------------------------------------------------------------------------

// Of a job that a worker has.
const work = async (user, more = {}) => {
  const job = await make.queuedJob(user)
  return { p_job_id: job, p_lease_token: await make.leased('jobs', job), ...more }
}
const ready = async (user, more = {}) => ({ p_job_id: await make.videoJob(user, 'READY'), ...more })
const MESSAGES = text()
// without p_retryable
const NO_RETRY = interval([], ['0', '1 hour', '-1 second', '367 days'])

// What may be said of any new job.
const newJob = () => ({ p_run_at: '2001-01-01T00:00:00Z', p_idempotency_key: make.unique(), p_max_attempts: 2 })

const video = {
  'public.create_job': {
    who: 'service',
    given: async (user) => ({ p_project_id: await make.project(user), p_cost_credits: 5, p_priority: 3, ...newJob() }),
    gives: isId,
    takes: { p_cost_credits: amount, p_idempotency_key: text(1, 200) },
    errors: {
      async PT409(user) {
        const [project, key] = [await make.project(user), make.unique()]
        await sql('SELECT create_job($1, 5, p_idempotency_key => $2)', [project, key])
        return { p_project_id: project, p_cost_credits: 4, p_idempotency_key: key }
      },
      PT402: async (user) => ({ p_project_id: await make.project(user), p_cost_credits: 11 }),
      async PT429(user) {
        for (let count = 0; count < 5; count++) {
          await make.videoJob(user, 'SCRIPTING')
        }
        return { p_project_id: await make.project(user), p_cost_credits: 1 }
      },
    },
  },
  'public.create_job_steps': {
    who: 'service',
    async given(user) {
      const job = await make.videoJob(user, 'QUEUED')
      return { p_job_id: job, p_steps: ['script', 'voice'], p_lease_token: await make.leased('jobs', job) }
    },
    gives: is(2),
    takes: {
      p_steps: shaped([['an object', '{"a": 1}'], ['a number', '5'], ['a boolean', 'true'], ['none', '[]'], ['numbers',
        '[1]'], ['a NULL', '[null]'],
        ['empty name', '[""]'], ['twice', '["a", "a"]'], ['101 characters', JSON.stringify(['x'.repeat(101)])],
        ['101 names', JSON.stringify(Array.from({ length: 101 }, (_, n) => `n${n}`))], ['nested', '[["a"]]']]),
    },
  },
  'public.update_job_step': {
    who: 'service',
    given: (user) => work(user, { p_step_name: 'scripting', p_state: 'started', p_progress_pct: 10,
      p_status_message: MARK, p_error_message: MARK }),
    gives: has({ step_name: 'scripting', state: 'started', progress_pct: 10 }),
    takes: { p_step_name: word('PT404'), p_state: word(), p_status_message: MESSAGES, p_error_message: MESSAGES },
    errors: { 23514: (user) => work(user, { p_step_name: 'scripting', p_state: 'succeeded' }) },
  },
  'public.advance_job': {
    who: 'service',
    given: (user) => work(user, { p_status: 'SCRIPTING', p_progress: 7, p_status_message: MARK,
      p_hand_over: false }),
    gives: has({ status: 'SCRIPTING', progress: 7, status_message: MARK }),
    takes: { p_status_message: MESSAGES },
    errors: { 23514: (user) => work(user, { p_status: 'RENDERING' }) },
  },
  'public.complete_job': {
    who: 'service',
    async given(user) {
      const job = await make.heldJob(user, 'PACKAGING')
      return { p_job_id: job, p_output_url: 'https://cdn.example.test/v.mp4', p_manifest: { scenes: 3 },
        p_final_cost: 4,
        p_lease_token: await make.leased('jobs', job) }
    },
    gives: has({ status: 'READY', progress: 100, cost_credits_final: 4, manifest_json: { scenes: 3 } }),
    takes: { p_output_url: text(), p_manifest: json(), p_final_cost: { ...integer(0), open: [['above the hold',
      '6']] } },
    errors: { 23514: (user) => work(user) },
  },
  'public.fail_job': {
    who: 'service',
    given: (user) => work(user, { p_error_code: 'BROKEN', p_error_message: MARK, p_failed_step: 'scripting',
      p_retryable: false, p_retry_in: null }),
    gives: has({ status: 'FAILED', error_code: 'BROKEN', error_message: MARK, failed_step: 'scripting' }),
    takes: { p_error_code: text(0, 2048), p_error_message: report, p_failed_step: text(0, 2048),
      p_retry_in: NO_RETRY },
    errors: {
      22023: async (user) => ({ p_job_id: await make.queuedJob(user), p_retryable: true }),
      23514: (user) => ready(user),
    },
  },
  'public.cancel_job': {
    who: 'user',
    given: async (user) => ({ p_job_id: await make.queuedJob(user), p_reason: MARK }),
    gives: has({ status: 'FAILED', error_code: 'CANCELLED' }),
    errors: { 23514: (user) => ready(user) },
  },
  'public.retry_job': {
    who: 'user',
    given: async (user) => ({ p_job_id: await make.failedJob(user) }),
    gives: has({ status: 'QUEUED', cost_credits_reserved: 5, error_code: null }),
    errors: {
      23514: async (user) => ({ p_job_id: await make.videoJob(user, 'SCRIPTING') }),
      async PT402(user) {
        const job = await make.failedJob(user)
        await sql('SELECT reserve_credits($1, $2, 8)', [user.id, await make.videoJob(user, 'SCRIPTING')])
        return { p_job_id: job }
      },
      async PT429(user) {
        const job = await make.failedJob(user)
        for (let count = 0; count < 5; count++) {
          await make.videoJob(user, 'SCRIPTING')
        }
        return { p_job_id: job }
      },
    },
  },
  'public.record_asset': {
    who: 'service',
    given: (user) => work(user, { p_type: 'video', p_url: 'https://cdn.example.test/v.mp4', p_storage_path: 'v.mp4',
      p_size_bytes: 5000,
      p_mime_type: 'video/mp4', p_metadata: { fps: 30 } }),
    gives: isId,
    takes: { p_type: word(), p_url: text(), p_storage_path: text(), p_size_bytes: bytes, p_mime_type: text(),
      p_metadata: json() },
  },
  'public.log_job': {
    who: 'service',
    given: (user) => work(user, { p_level: 'info', p_message: MARK, p_step_name: 'scripting', p_metadata: { try: 1 } }),
    gives: isId,
    takes: { p_level: word(), p_message: text(), p_step_name: text(), p_metadata: json(), p_lease_token: id('PT409') },
  },
  'public.get_dashboard': {
    who: 'user',
    async given(user) {
      await make.queuedJob(user)
      return { p_user_id: user.id, p_limit: 20 }
    },
    gives: (body) => {
      assert.equal(body.length, 1)
      has({ title: 'P', status: 'QUEUED' })(body[0])
    },
    takes: { p_user_id: id('nothing'), p_limit: integer(1, 100) },
    // a service must say whose
    least: ['user'],
  },
}

// ---- workers -----------------------------------------------------------------------------------------------------

const TOKENS = { p_job_id: id('PT409') }
const stage = word()
const NO_RESULTS = [['an array', '[]'], ['a number', '5'], ['a boolean', 'true']]
const NO_SETS = [['an object', '{}'], ['a number', '5'], ['numbers', '[5]'], ['without ids', '[{}]']]
const isDone = (body) => {
  rows('job_id', 'done', 'error_code', 'error_message')(body)
  has({ done: true, error_code: null })(body[0])
}

const workers = {
  'public.claim_jobs': {
    who: 'service',
    async given(user) {
      await make.queuedJob(user)
      return { p_system: 'jobs', p_worker: make.unique(), p_limit: 1, p_lease: '5 minutes', p_stages: ['QUEUED'],
        p_process_id: make.unique() }
    },
    gives: (body) => {
      rows('job_id', 'lease_token', 'attempt', 'lease_expires_at', 'job')(body)
      assert.equal(body[0].attempt, 1)
    },
    takes: { p_system: word(), p_worker: text(1, 200), p_limit: integer(1, 1000), p_lease: INTERVALS, p_stages: stages,
      p_process_id: text(1, 200) },
  },
  'public.finish_and_claim': {
    who: 'service',
    async given(user) {
      const job = await make.heldJob(user, 'PACKAGING')
      const token = await make.leased('jobs', job)
      await make.queuedJob(user)
      return { p_system: 'jobs', p_worker: make.unique(), p_job_id: job, p_lease_token: token,
        p_result: { output_url: 'https://cdn.example.test/v.mp4', cost_credits_final: 4 }, p_error: null, p_retryable: false,
        p_retry_in: null, p_limit: 1, p_lease: '5 minutes',
        p_stages: ['QUEUED'], p_process_id: make.unique() }
    },
    gives: rows('job_id', 'lease_token', 'attempt', 'lease_expires_at', 'job'),
    takes: { p_system: word(), p_worker: text(1, 200), p_job_id: nullable(id('PT404')), p_lease_token: id('PT409'),
      p_result: shaped(NO_RESULTS), p_error: shaped([...NO_RESULTS, ['with a result', '{}']]), p_retry_in: NO_RETRY,
      p_limit: integer(0, 1000), p_lease: INTERVALS, p_stages: stages, p_process_id: text(1, 200) },
    errors: { 23514: async (user) => ({ p_system: 'jobs', p_worker: make.unique(), ...await work(user) }) },
  },
  'public.complete_jobs': {
    who: 'service',
    async given(user) {
      const { p_job_id: job_id, p_lease_token: lease_token } = await work(user)
      return { p_system: 'jobs', p_jobs: [{ job_id, lease_token, result: { status: 'SCRIPTING' } }] }
    },
    gives: isDone,
    takes: { p_system: word(), p_jobs: shaped(NO_SETS) },
  },
  'public.fail_jobs': {
    who: 'service',
    async given(user) {
      const { p_job_id: job_id, p_lease_token: lease_token } = await work(user)
      return { p_system: 'jobs', p_jobs: [{ job_id, lease_token, error: { code: 'BROKEN' }, retryable: true }] }
    },
    gives: isDone,
    takes: { p_system: word(), p_jobs: shaped(NO_SETS) },
  },
  'public.cancel_jobs': {
    who: 'service',
    given: async (user) => ({ p_system: 'jobs', p_job_ids: [await make.queuedJob(user)], p_reason: MARK }),
    gives: isDone,
    takes: { p_system: word(), p_job_ids: jobIds },
  },
  'public.retry_failed_jobs': {
    who: 'service',
    async given(user) {
      const code = make.unique().slice(-40)
      await sql('UPDATE jobs SET error_code = $2 WHERE id = $1', [await make.failedJob(user), code])
      return { p_system: 'jobs', p_error_code: code, p_since: '2001-01-01', p_limit: 10 }
    },
    gives: isDone,
    takes: { p_system: word(), p_error_code: text(1, 2048), p_since: free, p_limit: integer(1, 1000) },
  },
  'public.pause_queue': {
    who: 'service',
    given: async () => ({ p_system: 'mm_rendering_queue', p_stage: 'rendering', p_reason: MARK }),
    gives: is(null),
    takes: { p_system: word(), p_stage: nullable(stage), p_reason: text(1, 1000) },
  },
  'public.resume_queue': {
    who: 'service',
    async given() {
      await sql(`SELECT pause_queue('mm_rendering_queue', 'rendering')`)
      return { p_system: 'mm_rendering_queue', p_stage: 'rendering' }
    },
    gives: is(true),
    takes: { p_system: word(), p_stage: nullable(stage) },
  },
  'public.limit_stage': {
    who: 'service',
    given: async () => ({ p_system: 'mm_rendering_queue', p_stage: 'rendering', p_max_running: 1000 }),
    gives: is(null),
    takes: { p_system: word(), p_stage: stage, p_max_running: nullable(integer(0)) },
  },
  'public.get_queue_stages': {
    who: 'service',
    given: async () => ({ p_system: 'jobs' }),
    gives: rows('stage', 'paused_at', 'pause_reason', 'max_running', 'running', 'waiting', 'delayed', 'parked', 'oldest_waiting_at'),
    takes: { p_system: word() },
  },
  'public.get_running_jobs': {
    who: 'service',
    async given(user) {
      await work(user)
      return { p_system: 'jobs', p_limit: 100 }
    },
    gives: rows('system', 'job_id', 'user_id', 'stage', 'worker', 'process_id', 'attempt', 'started_at', 'lease_expires_at', 'overdue',
      'cancel_requested_at', 'cancel_reason'),
    takes: { p_system: nullable(word()), p_limit: integer(1, 1000) },
  },
  'public.heartbeat_job': {
    who: 'service',
    given: (user) => work(user, { p_progress: 5, p_status_message: MARK, p_lease: '5 minutes' }),
    gives: (body) => {
      has({ cancel: false })(body)
      isTime(body.lease_expires_at)
    },
    takes: { ...TOKENS, p_status_message: text(0, 1000), p_lease: INTERVALS },
  },
  'public.snooze_job': {
    who: 'service',
    given: (user) => work(user, { p_for: '1 hour' }),
    gives: isTime,
    takes: { ...TOKENS, p_for: interval(['0', '366 days'], ['-1 second', '367 days', '1000000 years']) },
  },
  'public.release_leases': {
    who: 'service',
    async given(user) {
      const worker = make.unique()
      await make.leased('jobs', await make.queuedJob(user), worker)
      return { p_worker: worker, p_process_id: null, p_lease_tokens: null }
    },
    gives: is(1),
    takes: { p_worker: free, p_process_id: free, p_lease_tokens: free },
  },
  'public.recover_leases': {
    who: 'service',
    async given(user) {
      const worker = make.unique()
      await make.leased('jobs', await make.queuedJob(user), worker)
      return { p_worker: worker, p_process_id: make.unique() }
    },
    gives: is(1),
    takes: { p_worker: free, p_process_id: free },
  },
  'public.reap_expired_leases': {
    who: 'service',
    async given(user) {
      const { p_job_id: job } = await work(user)
      await make.silent(job)
      return { p_limit: 1000 }
    },
    gives: atLeast(1),
    takes: { p_limit: integer(1, 10000) },
  },
  'public.get_job_attempts': {
    who: 'user',
    async given(user) {
      const { p_job_id: job, p_lease_token: token } = await work(user)
      await sql(`SELECT fail_job($1, 'BROKEN', p_lease_token => $2)`, [job, token])
      return { p_job_id: job }
    },
    gives: (body) => {
      rows('system', 'attempt', 'worker', 'started_at', 'ended_at', 'outcome', 'error', 'stage')(body)
      has({ system: 'jobs', attempt: 1, outcome: 'failed' })(body[0])
    },
  },
  'public.get_job_statistics': {
    who: 'user',
    async given(user) {
      await make.queuedJob(user)
      return { p_system: 'jobs', p_user_id: user.id, p_window: '1 day' }
    },
    gives: has({ count_by_status: { QUEUED: 1 }, completed: 0, failed: 0, waiting: 1, recent_failures: [] }),
    takes: { p_system: word(), p_user_id: id('nothing'), p_window: interval(['1 second', '1 year'], ['0', '-1 day']) },
    leastGives: hasKeys('count_by_status', 'throughput_per_hour', 'oldest_waiting_seconds'),
  },
}

// ---- refinement --------------------------------------------------------------------------------------------------

const studioWork = (status, more) => async (user) => {
  const job = await make.studioJob(user, status)
  return { p_job_id: job, p_lease_token: await make.leased('studio_jobs', job), ...more }
}
const COMPLETE = async (user) => ({ p_job_id: await make.studioJob(user, 'COMPLETE') })
const fiveStudioJobs = async (user) => {
  for (let count = 0; count < 5; count++) {
    await make.studioJob(user)
  }
}

const refinement = {
  'public.create_studio_job': {
    who: 'user',
    given: async ({ id: user }) => ({ p_user_id: user, p_raw_audio_url: 'https://cdn.example.test/a.mp3',
      p_system_prompt: MARK, p_priority: 100, ...newJob() }),
    gives: (body, args) => has({ status: 'NEW', user_id: args.p_user_id, system_prompt_used: MARK,
      priority: 100, idempotency_key: args.p_idempotency_key, max_attempts: 2, cancel_requested_at: null })(body),
    takes: { p_raw_audio_url: text(1, 8192), p_system_prompt: text(1, 500000), p_idempotency_key: text(1, 200) },
    leastGives: has({ status: 'NEW', priority: 0, run_at: null, idempotency_key: null, max_attempts: null }),
    errors: {
      async PT409({ id: user }) {
        const key = make.unique()
        await sql(`SELECT create_studio_job($1, 'a.mp3', p_idempotency_key => $2)`, [user, key])
        return { p_user_id: user, p_raw_audio_url: 'b.mp3', p_idempotency_key: key }
      },
      22023: async ({ id: user }) => ({ p_user_id: user, p_raw_audio_url: 'a.mp3', p_priority: 101 }),
      async PT429(user) {
        await fiveStudioJobs(user)
        return { p_user_id: user.id, p_raw_audio_url: 'a.mp3' }
      },
    },
  },
  'public.update_studio_job_status': {
    who: 'service',
    given: studioWork('NEW', { p_status: 'TRANSCRIBING', p_hand_over: false }),
    gives: has({ status: 'TRANSCRIBING' }),
    errors: { 23514: studioWork('NEW', { p_status: 'COMPLETE' }) },
  },
  'public.store_transcript': {
    who: 'service',
    given: studioWork('TRANSCRIBING', { p_transcript: MARK, p_hand_over: false }),
    gives: has({ status: 'ENRICHING', raw_transcript: MARK }),
    takes: { p_transcript: text() },
    errors: { 23514: async (user) => ({ ...await COMPLETE(user), p_transcript: MARK }) },
  },
  'public.store_enrichment': {
    who: 'service',
    given: studioWork('ENRICHING', { p_entities: { people: ['A'] }, p_hand_over: false }),
    gives: has({ status: 'REFINING', enrichment_entities: { people: ['A'] } }),
    takes: { p_entities: json() },
    errors: { 23514: async (user) => ({ ...await COMPLETE(user), p_entities: {} }) },
  },
  'public.store_refined_text': {
    who: 'service',
    given: studioWork('REFINING', { p_text: MARK, p_model_version: 'm1' }),
    gives: has({ status: 'COMPLETE', refined_text: MARK, model_version: 'm1' }),
    takes: { p_text: text(), p_model_version: text(1, 2048) },
    errors: { 23514: studioWork('NEW', { p_text: MARK }) },
  },
  'public.fail_studio_job': {
    who: 'service',
    given: studioWork('TRANSCRIBING', { p_error: { code: 'BROKEN' }, p_retryable: false, p_retry_in: null }),
    gives: has({ status: 'FAILED', error_details: { code: 'BROKEN' } }),
    takes: { p_error: nullable(json()), p_retry_in: NO_RETRY },
    errors: {
      22023: async (user) => ({ p_job_id: await make.studioJob(user), p_error: {}, p_retryable: true }),
      23514: async (user) => ({ ...await COMPLETE(user), p_error: {} }),
    },
  },
  'public.cancel_studio_job': {
    who: 'user',
    given: async (user) => ({ p_job_id: await make.studioJob(user), p_reason: MARK }),
    gives: (body) => {
      assert.equal(body.status, 'FAILED')
      assert.equal(body.error_details.code, 'CANCELLED')
    },
    errors: { 23514: COMPLETE },
  },
  'public.retry_studio_job': {
    who: 'user',
    given: async (user) => ({ p_job_id: await make.studioJob(user, 'FAILED') }),
    gives: has({ status: 'NEW', retry_count: 1 }),
    errors: {
      23514: async (user) => ({ p_job_id: await make.studioJob(user, 'TRANSCRIBING') }),
      async PT429(user) {
        await fiveStudioJobs(user)
        return { p_job_id: await make.studioJob(user, 'FAILED') }
      },
    },
  },
}

// ---- pipeline ----------------------------------------------------------------------------------------------------

const NAME = text(1, 255)

const pipeline = {
  'pipeline.create_job': {
    who: 'user',
    given: async ({ id: user }) => ({ p_run_id: make.unique(), p_project_spec: { topic: MARK }, p_owner_id: user }),
    gives: (body, args) => has({ run_id: args.p_run_id, status: 'pending', project_spec: { topic: MARK },
      owner_id: args.p_owner_id })(body),
    takes: { p_run_id: nullable(NAME), p_project_spec: json(1048576) },
    leastGives: has({ status: 'pending' }),
    errors: {
      PT409: async (user) => ({ p_run_id: await make.run(user), p_project_spec: { other: 1 } }),
      async PT429(user) {
        for (let count = 0; count < 5; count++) {
          await make.run(user)
        }
        return { p_run_id: make.unique(), p_project_spec: {} }
      },
    },
  },
  'pipeline.get_job': {
    who: 'user',
    given: async (user) => ({ p_run_id: await make.run(user) }),
    gives: has({ status: 'pending' }),
  },
  'pipeline.cancel_job': {
    who: 'user',
    given: async (user) => ({ p_run_id: await make.run(user, 'running') }),
    gives: has({ status: 'cancelled' }),
    errors: { 23514: async (user) => ({ p_run_id: await make.run(user, 'completed') }) },
  },
  'pipeline.retry_job': {
    who: 'user',
    given: async (user) => ({ p_run_id: await make.run(user, 'failed') }),
    gives: has({ status: 'pending', error_message: null }),
    errors: {
      23514: async (user) => ({ p_run_id: await make.run(user, 'running') }),
      async PT429(user) {
        for (let count = 0; count < 5; count++) {
          await make.run(user)
        }
        return { p_run_id: await make.run(user, 'failed') }
      },
    },
  },
  'pipeline.set_job_status': {
    who: 'service',
    given: async (user) => ({ p_run_id: await make.run(user), p_status: 'failed', p_error_message: MARK }),
    gives: has({ status: 'failed', error_message: MARK }),
    takes: { p_error_message: report },
    errors: { 23514: async (user) => ({ p_run_id: await make.run(user, 'completed'), p_status: 'running' }) },
  },
  'pipeline.record_event': {
    who: 'service',
    given: async (user) => ({ p_run_id: await make.run(user), p_bot_name: 'writer', p_event_type: 'started',
      p_payload: { n: 1 } }),
    gives: is(2),
    takes: { p_bot_name: NAME, p_event_type: NAME, p_payload: nullable(json(1048576)) },
  },
  'pipeline.events_since': {
    who: 'user',
    async given(user) {
      const made = await make.run(user)
      await sql(`SELECT pipeline.record_event($1, 'writer', 'started')`, [made])
      return { p_run_id: made, p_after: 0, p_limit: 100 }
    },
    gives: (body) => {
      rows('id', 'run_id', 'bot_name', 'event_type', 'payload', 'owner_id', 'created_at', 'seq')(body)
      assert.deepEqual(body.map((event) => event.seq), [1, 2])
    },
    takes: {
      p_after: { ...bytes, refused: [['negative', '-1', '22023'], ['very small', '-9223372036854775808', '22023']] },
      p_limit: integer(1, 1000),
    },
  },
  'pipeline.register_artifact': {
    who: 'service',
    given: async (user) => ({ p_run_id: await make.run(user), p_kind: 'video', p_url: 'https://cdn.example.test/v.mp4',
      p_meta: { n: 1 },
      p_file_size: 5000, p_content_type: 'video/mp4', p_checksum: 'c0ffee' }),
    gives: isId,
    takes: { p_kind: text(1, 100), p_url: text(1, 1000000), p_meta: nullable(object(1048576)), p_file_size: bytes,
      p_content_type: NAME,
      p_checksum: NAME },
  },
  'pipeline.upsert_prompt': {
    who: 'service',
    given: async () => ({ p_id: make.unique(), p_category: 'script', p_context: 'history', p_prompt_text: MARK }),
    gives: has({ category: 'script', context: 'history', prompt_text: MARK }),
    takes: { p_id: NAME, p_category: NAME, p_context: text(1, 1000000), p_prompt_text: text(1, 1000000) },
  },
  'pipeline.get_prompt': {
    who: 'user',
    given: async () => ({ p_id: await make.prompt() }),
    gives: has({ category: 'c', context: 'x', prompt_text: 't' }),
    takes: { p_id: textId() },
    foreign: false,
  },
  'pipeline.delete_old_events': {
    who: 'service',
    async given(user) {
      const made = await make.run(user)
      await sql(`SELECT pipeline.record_event($1, 'writer', 'started')`, [made])
      await sql(`SELECT pipeline.set_job_status($1, 'failed')`, [made])
      return { p_older_than: '1 microsecond', p_limit: 1000 }
    },
    gives: atLeast(1),
  },
}

// ---- content -----------------------------------------------------------------------------------------------------

const module_ = async (user) => ({ p_content_id: await make.content(user) })
// sections of a character that JSON takes six bytes for
const unshowable = async (user) => {
  const given = await module_(user)
  await sql(`UPDATE cm_module_content SET introduction = t, core_content = t, case_studies = t
               FROM repeat(chr(1), 1000000) t WHERE content_id = $1`, [given.p_content_id])
  return given
}
const SCORE = number(0, 10)

const content = {
  'public.create_module_content': {
    who: 'service',
    given: async (user) => ({ p_module_name: MARK, p_employee_name: 'E', p_session_id: 's1', p_module_spec: { a: 1 },
      p_company_id: await make.company(user), p_research_context: { b: 2 }, p_priority_level: 'high' }),
    gives: isId,
    takes: { p_module_name: text(1, 1000), p_employee_name: text(0, 1000), p_session_id: text(0, 500),
      p_module_spec: nullable(json()), p_research_context: nullable(json()),
      p_priority_level: word() },
  },
  'public.get_module_content': {
    who: 'user',
    given: module_,
    gives: (body, args) => has({ content_id: args.p_content_id, module_name: 'Accounts receivable',
      total_word_count: 3 })(body),
    errors: { 54000: unshowable },
  },
  'public.get_content_sections': {
    who: 'user',
    given: module_,
    gives: is({ introduction: 'Invoices are due.', core_content: null, practical_applications: null, case_studies: null,
      assessments: null }),
    errors: { 54000: unshowable },
  },
  'public.update_module_section': {
    who: 'service',
    given: async (user) => ({ ...await module_(user), p_section_name: 'core_content',
      p_section_content: 'one two three four' }),
    gives: is(4),
    takes: { p_section_name: word(), p_section_content: text() },
  },
  'public.update_module_sections': {
    who: 'service',
    given: async (user) => ({ ...await module_(user), p_sections: { core_content: 'one two', assessments: 'three' } }),
    gives: is(6),
    takes: {
      p_sections: shaped([['an array', '[]'], ['a number', '5'], ['a boolean', 'true'], ['no section',
        `{"${MARK}": "x"}`],
        ['one of them', `{"introduction": "x", "${MARK}": "x"}`], ['a number in it', '{"introduction": 5}'],
        ['an array in it', '{"introduction": ["x"]}']]),
    },
  },
  'public.store_quality_assessment': {
    who: 'service',
    given: async (user) => ({ ...await module_(user), p_overall_score: 8.5, p_section_scores: { introduction: 8 },
      p_passed: true,
      p_accuracy_score: 8, p_clarity_score: 8, p_completeness_score: 8, p_engagement_score: 8,
        p_personalization_score: 8,
      p_quality_feedback: MARK, p_requires_revision: false, p_sections_needing_work: ['introduction'],
        p_critical_issues: [] }),
    gives: isId,
    takes: {
      p_overall_score: SCORE, p_accuracy_score: SCORE, p_clarity_score: SCORE, p_completeness_score: SCORE,
        p_engagement_score: SCORE,
      p_personalization_score: SCORE, p_quality_feedback: text(), p_sections_needing_work: nullable(sections),
        p_critical_issues: nullable(texts),
      p_section_scores: nullable(shaped([['an array', '[]'], ['a number', '5'], ['no section', `{"${MARK}": 5}`],
        ['a text in it', '{"introduction": "5"}'],
        ['too much', '{"introduction": 11}'], ['negative', '{"introduction": -1}']])),
    },
    errors: { 23514: async (user) => ({ p_content_id: await make.content(user, 'failed'), p_overall_score: 5 }) },
  },
  'public.get_latest_quality_assessment': {
    who: 'user',
    async given(user) {
      const made = await make.content(user)
      await make.assessment(made)
      return { p_content_id: made }
    },
    gives: has({ overall_score: 5, passed: false }),
  },
  'public.search_module_content': {
    who: 'user',
    async given(user) {
      const company = await make.company(user)
      await sql(`INSERT INTO cm_module_content (module_name, company_id, introduction) VALUES ('M', $1, 'Invoices are due.')`, [company])
      return { p_query: 'invoices', p_company_id: company, p_limit: 20 }
    },
    gives: rows('content_id', 'module_name', 'section', 'rank', 'headline'),
    takes: { p_query: text(1, 1000), p_limit: integer(1, 1000) },
  },
  'public.get_content_statistics': {
    who: 'user',
    given: async (user) => ({ p_company_id: await make.company(user) }),
    gives: hasKeys('content', 'assessments', 'sessions', 'assets'),
  },
  'public.start_enhancement_session': {
    who: 'service',
    async given(user) {
      const made = await make.content(user)
      return { p_content_id: made, p_quality_assessment_id: await make.assessment(made),
        p_enhancement_type: 'quality_improvement',
        p_sections_to_enhance: ['introduction'], p_sections_preserved: ['core_content'] }
    },
    gives: isId,
    takes: { p_enhancement_type: text(1, 1000), p_sections_to_enhance: sections, p_sections_preserved: sections },
    errors: { PT409: async (user) => ({ ...await module_(user),
      p_quality_assessment_id: await make.assessment(await make.content(user)) }) },
  },
  'public.complete_enhancement_session': {
    who: 'service',
    given: async (user) => ({ p_session_id: await make.enhancement(user), p_research_conducted: true,
      p_content_regenerated: true,
      p_status: 'completed' }),
    gives: has({ status: 'completed', research_conducted: true, content_regenerated: true }),
    leastGives: has({ status: 'completed' }),
    errors: {
      async 23514(user) {
        const made = await make.enhancement(user)
        await sql(`SELECT complete_enhancement_session($1)`, [made])
        return { p_session_id: made, p_status: 'failed' }
      },
    },
  },
  'public.create_course_plan': {
    who: 'service',
    given: async (user) => ({ p_employee_id: await make.employee(user), p_employee_name: 'E', p_session_id: 's1',
      p_course_structure: { modules: [1, 2] }, p_course_title: MARK, p_course_duration_weeks: 4, p_total_modules: 2,
        p_prioritized_gaps: { a: 1 },
      p_research_strategy: { b: 1 }, p_learning_path: { c: 1 }, p_employee_profile: { d: 1 } }),
    gives: isId,
    takes: {
      p_employee_name: text(0, 1000), p_session_id: text(0, 500), p_course_title: text(0, 1000),
        p_course_duration_weeks: integer(0), p_total_modules: integer(0),
      p_course_structure: nullable(json()), p_prioritized_gaps: nullable(json()), p_research_strategy: nullable(json()),
        p_learning_path: nullable(json()), p_employee_profile: nullable(json()),
    },
  },
  'public.store_research_results': {
    who: 'service',
    given: async (user) => ({ p_plan_id: await make.coursePlan(user), p_session_id: 's1', p_research_findings: { a: 1 },
      p_content_library: { b: 1 },
      p_module_mappings: { c: 1 }, p_search_queries: [MARK], p_sources_analyzed: ['x'], p_total_topics: 1,
        p_total_sources: 1,
      p_status: 'completed' }),
    gives: isId,
    takes: {
      p_session_id: text(0, 500), p_research_findings: nullable(json()), p_content_library: nullable(json()),
        p_module_mappings: nullable(json()), p_search_queries: nullable(texts),
      p_sources_analyzed: nullable(texts), p_total_topics: integer(0), p_total_sources: integer(0),
    },
  },
  'public.refresh_content_search': {
    who: 'service',
    async given(user) {
      const made = await make.content(user)
      await sql('DELETE FROM studio_engine.content_search WHERE content_id = $1', [made])
      return { p_limit: 1000 }
    },
    gives: atLeast(1),
    takes: { p_limit: integer(1, 10000) },
  },
  'public.archive_module_content': {
    who: 'service',
    async given(user) {
      await make.content(user, 'approved')
      return { p_older_than: '1 microsecond', p_limit: 1000 }
    },
    gives: atLeast(1),
    takes: { p_older_than: interval(['0', '1000 years'], ['-1 day', '1001 years', '1000000 years']) },
  },
}

// ---- multimedia --------------------------------------------------------------------------------------------------

const withSession = (more) => async (user) => {
  const made = await make.session(user)
  return { p_session_id: made, ...await more(made) }
}
const twice = (name, argument, made) => async (user) => {
  const row = await made(await make.session(user))
  await sql(`SELECT ${name}($1, 'completed')`, [row])
  return { [argument]: row, p_status: 'pending' }
}
const PATHS = [['an empty part', '"a//b"'], ['dots', '"a/../b"'], ['absolute', '"/a"'], ['a line end', JSON.stringify(`${MARK}\r\n`)],
  ['a backslash', '"a\\\\b"'],
  ['a percent sign', '"a%2fb"'], ['4097 characters', JSON.stringify('x'.repeat(4097))]]

const multimedia = {
  'public.create_multimedia_session': {
    who: 'service',
    given: async (user) => ({ ...await module_(user), p_module_name: 'M', p_employee_name: 'E',
      p_session_type: 'full_generation',
      p_generation_config: { a: 1 }, p_content_sections: ['introduction'] }),
    gives: isId,
    takes: { p_module_name: text(0, 1000), p_employee_name: text(0, 1000), p_session_type: text(1, 1000),
      p_generation_config: nullable(json()), p_content_sections: nullable(sections) },
  },
  'public.update_session_status': {
    who: 'service',
    given: withSession(() => ({ p_status: 'processing', p_progress_percentage: 20, p_current_stage: 'voice',
      p_error_message: MARK })),
    gives: has({ status: 'processing', progress_percentage: 20, current_stage: 'voice' }),
    leastGives: has({ status: 'processing' }),
    takes: { p_progress_percentage: number(0, 100), p_current_stage: text(0, 1000), p_error_message: text() },
    errors: { async 23514(user) {
      const made = await make.session(user)
      await sql(`SELECT update_session_status($1, 'completed')`, [made])
      return { p_session_id: made, p_status: 'processing' }
    } },
  },
  'public.get_session_statistics': {
    who: 'user',
    given: async (user) => ({ p_session_id: await make.session(user) }),
    gives: has({ status: 'started' }),
  },
  'public.register_multimedia_asset': {
    who: 'service',
    given: withSession(async (made) => ({ p_content_id: await make.contentOf(made), p_asset_type: 'video',
      p_file_path: 'a/v.mp4',
      p_asset_name: 'v', p_section_name: 'introduction', p_duration_seconds: 60.5, p_file_size_bytes: 5000,
        p_mime_type: 'video/mp4',
      p_generation_config: { a: 1 }, p_storage_bucket: 'multimedia-assets', p_storage_path: 'video/v.mp4',
        p_public_url: 'https://x.test/v.mp4' })),
    gives: isId,
    takes: {
      p_content_id: nullable(id('PT409')),
      p_asset_type: word(), p_file_path: text(1, 4096), p_asset_name: text(1, 1000), p_section_name: text(1, 1000),
        p_duration_seconds: number(0),
      p_file_size_bytes: bytes, p_mime_type: text(1, 1000), p_generation_config: nullable(object()),
        p_public_url: text(1, 4096),
      p_storage_bucket: nullable({ ...text(1, 1000), accepted: [] }), p_storage_path: shaped(PATHS),
    },
    errors: { PT409: withSessionOf(async (user) => ({ p_content_id: await make.content(user), p_asset_type: 'video',
      p_file_path: 'f' })) },
  },
  'public.register_multimedia_assets': {
    who: 'service',
    given: withSession(() => ({ p_assets: [{ asset_type: 'audio', file_path: 'a.mp3' }, { asset_type: 'video',
      file_path: 'v.mp4' }] })),
    gives: (body) => {
      assert.equal(body.length, 2)
      body.forEach(isId)
    },
    takes: {
      p_assets: shaped([['an object', '{}'], ['a number', '5'], ['none', '[]'], ['a NULL', '[null]'], ['a text',
        `["${MARK}"]`], ['nothing', '[{}]'],
        ['one wrong type', `[{"asset_type": "audio", "file_path": "a"}, {"asset_type": "${MARK}", "file_path": "a"}]`],
        ['negative size', '[{"asset_type": "audio", "file_path": "a", "file_size_bytes": -1}]'],
        ['a size that is text', `[{"asset_type": "audio", "file_path": "a", "file_size_bytes": "${MARK}"}]`],
        ['a huge size', '[{"asset_type": "audio", "file_path": "a", "file_size_bytes": 9223372036854775808}]'],
        ['unknown content', `[{"asset_type": "audio", "file_path": "a", "content_id": "${NOWHERE}"}]`]]),
    },
  },
  'public.create_audio_narration': {
    who: 'service',
    given: withSession(() => ({ p_narration_name: MARK, p_narration_type: 'full_module', p_section_name: 'introduction',
      p_script_content: 's',
      p_voice_config: { a: 1 } })),
    gives: isId,
    takes: { p_narration_name: text(0, 1000), p_narration_type: text(1, 1000), p_section_name: text(0, 1000),
      p_script_content: text(), p_voice_config: nullable(json()) },
  },
  'public.update_audio_narration': {
    who: 'service',
    async given(user) {
      const made = await make.session(user)
      const audio = await make.asset(made, 'audio')
      return { p_narration_id: await make.narration(made), p_status: 'completed', p_total_duration_seconds: 60,
        p_audio_segments: [{ a: 1 }],
        p_master_audio_id: audio, p_segments_audio_ids: [audio], p_script_content: MARK }
    },
    gives: has({ status: 'completed', synthesis_completed: true, total_duration_seconds: 60 }),
    leastGives: has({ status: 'pending' }),
    takes: { p_total_duration_seconds: number(0), p_audio_segments: json(), p_master_audio_id: id(['22023', 'PT404']),
      p_segments_audio_ids: ids,
      p_script_content: text() },
    errors: { 23514: twice('update_audio_narration', 'p_narration_id', make.narration) },
  },
  'public.create_slide_presentation': {
    who: 'service',
    given: withSession(() => ({ p_presentation_name: MARK, p_presentation_type: 'full_module', p_total_slides: 3,
      p_slide_order: [1, 2, 3],
      p_template_used: 't', p_theme_config: { a: 1 } })),
    gives: isId,
    takes: { p_presentation_name: text(0, 1000), p_presentation_type: text(1, 1000), p_total_slides: integer(0, 100000),
      p_slide_order: nullable(json()),
      p_template_used: text(0, 1000), p_theme_config: nullable(json()) },
  },
  'public.update_slide_presentation': {
    who: 'service',
    async given(user) {
      const made = await make.session(user)
      const file = await make.asset(made, 'document')
      return { p_presentation_id: await make.slides(made), p_status: 'completed', p_total_slides: 3, p_slide_order: [1,
        2, 3],
        p_pdf_asset_id: file, p_pptx_asset_id: file, p_html_asset_id: file }
    },
    gives: has({ status: 'completed', total_slides: 3 }),
    leastGives: has({ status: 'draft' }),
    takes: { p_total_slides: integer(0, 100000), p_slide_order: json(), p_pdf_asset_id: id(['22023', 'PT404']),
      p_pptx_asset_id: id(['22023', 'PT404']), p_html_asset_id: id(['22023', 'PT404']) },
    errors: { async 23514(user) {
      return { ...await twice('update_slide_presentation', 'p_presentation_id', make.slides)(user), p_status: 'draft' }
    } },
  },
  'public.create_script_generation': {
    who: 'service',
    given: withSession(() => ({ p_section_name: 'introduction', p_script_type: 'narration',
      p_generation_config: { a: 1 } })),
    gives: isId,
    takes: { p_section_name: text(0, 1000), p_script_type: text(1, 1000), p_generation_config: nullable(json()) },
  },
  'public.update_script_generation': {
    who: 'service',
    given: async (user) => ({ p_script_id: await make.script(await make.session(user)), p_status: 'completed',
      p_script_content: 'one two',
      p_error_message: MARK }),
    gives: has({ status: 'completed', script_content: 'one two' }),
    leastGives: has({ status: 'pending' }),
    takes: { p_script_content: text(), p_error_message: text() },
    errors: { 23514: twice('update_script_generation', 'p_script_id', make.script) },
  },
  'public.record_video_view': {
    who: 'service',
    given: async (user) => ({ p_asset_id: await make.asset(await make.session(user), 'video'), p_watch_seconds: 30.5,
      p_completed: true }),
    gives: hasKeys('asset_id'),
    takes: { p_watch_seconds: number(0) },
  },
}

// Of a session, with what is made for its user.
function withSessionOf(more) {
  return async (user) => ({ p_session_id: await make.session(user), ...await more(user) })
}

const renderWork = async (user, status, more = {}) => {
  const made = await make.rendering(await make.session(user), status)
  return { p_render_id: made, p_lease_token: await make.leased('mm_rendering_queue', made), ...more }
}
const rendered = async (user, more = {}) => ({ p_render_id: await make.rendering(await make.session(user), 'completed'),
  ...more })

const rendering = {
  'public.enqueue_rendering': {
    who: 'service',
    given: async (user) => ({ p_session_id: await make.session(user), p_render_config: { fps: 30 }, p_priority: 3,
      p_user_id: user.id, ...newJob() }),
    gives: isId,
    takes: { p_render_config: nullable(json()), p_idempotency_key: text(1, 200) },
    errors: {
      async PT409(user) {
        const [session, key] = [await make.session(user), make.unique()]
        await sql('SELECT enqueue_rendering($1, p_idempotency_key => $2)', [session, key])
        return { p_session_id: session, p_render_config: { fps: 30 }, p_idempotency_key: key }
      },
    },
  },
  'public.update_rendering': {
    who: 'service',
    given: (user) => renderWork(user, 'queued', { p_status: 'rendering', p_progress: 10, p_hand_over: false }),
    gives: has({ status: 'rendering', progress: 10 }),
    leastGives: has({ status: 'rendering' }),
    errors: { 23514: (user) => rendered(user, { p_status: 'rendering' }) },
  },
  'public.complete_rendering': {
    who: 'service',
    async given(user) {
      const session = await make.session(user)
      const made = await make.rendering(session, 'rendering')
      await sql(`UPDATE mm_rendering_queue SET status = 'queued' WHERE render_id = $1`, [made])
      const token = await make.leased('mm_rendering_queue', made)
      await sql(`UPDATE mm_rendering_queue SET status = 'rendering' WHERE render_id = $1`, [made])
      return { p_render_id: made, p_asset_id: await make.asset(session, 'video'), p_lease_token: token }
    },
    gives: has({ status: 'completed', progress: 100 }),
    takes: { p_asset_id: id(['22023', 'PT404']) },
    errors: { 23514: (user) => renderWork(user, 'queued') },
  },
  'public.fail_rendering': {
    who: 'service',
    given: (user) => renderWork(user, 'queued', { p_error_code: 'BROKEN', p_error_message: MARK, p_retryable: false,
      p_retry_in: null }),
    gives: has({ status: 'failed', error_code: 'BROKEN' }),
    takes: { p_error_code: text(0, 2048), p_error_message: report, p_retry_in: NO_RETRY },
    errors: {
      22023: async (user) => ({ p_render_id: await make.rendering(await make.session(user)), p_retryable: true }),
      23514: (user) => rendered(user),
    },
  },
  'public.cancel_rendering': {
    who: 'service',
    given: async (user) => ({ p_render_id: await make.rendering(await make.session(user)), p_reason: MARK }),
    gives: has({ status: 'cancelled' }),
    errors: { 23514: (user) => rendered(user) },
  },
  'public.retry_rendering': {
    who: 'service',
    given: async (user) => ({ p_render_id: await make.rendering(await make.session(user), 'failed') }),
    gives: has({ status: 'queued', retry_count: 1 }),
    errors: { 23514: (user) => rendered(user) },
  },
}

export const cases = {
  ...workflows, ...users, ...credits, ...video, ...workers, ...refinement, ...pipeline, ...content, ...multimedia,
    ...rendering,
}
