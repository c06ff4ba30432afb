// examples/stripe_webhook.mjs as its users run it: a process of its own, which gets events that Stripe's library signs.
//
// Pitfall: modules are looked for beside the file that imports them, so a copy of it runs here.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { copyFile, rm } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import Stripe from 'stripe'
import { signUp, sql } from './lib/api.mjs'

const SECRET = 'whsec_of_the_test'
const copy = fileURLToPath(new URL('./stripe_webhook.copy.mjs', import.meta.url))
let webhook
let url
const logged = []

before(async () => {
  await copyFile(new URL('../../examples/stripe_webhook.mjs', import.meta.url), copy)
  webhook = spawn(process.execPath, [copy], { env: { ...process.env, STRIPE_WEBHOOK_SECRET: SECRET, PORT: '0' } })
  createInterface({ input: webhook.stderr }).on('line', (line) => logged.push(line))
  for await (const line of createInterface({ input: webhook.stdout })) {
    url = `http://127.0.0.1:${line.match(/listening on (\d+)/)[1]}`
    break
  }
})
after(async () => {
  webhook.kill()
  await rm(copy, { force: true })
})

const event = (type, object, id = `evt_${randomUUID()}`) => ({
  id, object: 'event', api_version: '2025-06-30.basil', created: 1_750_000_000, livemode: false, pending_webhooks: 1,
  request: { id: null, idempotency_key: null }, type, data: { object: { created: 1_750_000_000, currency: 'eur', ...object } },
})
const session = (payment, metadata) => ({
  id: `cs_${payment}`, object: 'checkout.session', mode: 'payment', payment_status: 'paid', status: 'complete', amount_total: 1000,
  client_reference_id: null, customer: null, invoice: null, payment_intent: `pi_${payment}`, subscription: null, metadata,
})
const charge = (payment, refunded) => ({
  id: `ch_${payment}`, object: 'charge', amount: 1000, amount_captured: 1000, amount_refunded: refunded, captured: true, paid: true,
  payment_intent: `pi_${payment}`, refunded: refunded === 1000, status: 'succeeded', metadata: {},
})

async function send(what, { secret = SECRET, body = JSON.stringify(what), headers = {} } = {}) {
  const response = await fetch(url, {
    method: 'POST', body,
    headers: { 'stripe-signature': Stripe.webhooks.generateTestHeaderString({ payload: JSON.stringify(what), secret }), ...headers },
  })
  return { status: response.status, answer: await response.json() }
}

const balance = async ({ id }) => (await sql('SELECT get_credit_balance($1) AS balance', [id]))[0].balance

test('a purchase, part of it refunded, and each of it once more', async () => {
  const ada = await signUp('ada')
  const payment = randomUUID()
  const bought = event('checkout.session.completed', session(payment, { credits: '100', user_id: ada.id }))
  const first = await send(bought)
  assert.equal(first.status, 200)
  assert.deepEqual(first.answer, { result: 'applied', event: bought.id, type: bought.type, payment: `pi_${payment}`, user_id: ada.id,
    credits_booked: 100, credits_reversed: 0, credits_reinstated: 0 })
  assert.deepEqual(await send(bought), first)
  const refunded = event('charge.refunded', charge(payment, 250))
  assert.equal((await send(refunded)).answer.credits_reversed, 25)
  assert.equal((await send(refunded)).status, 200)
  assert.equal(await balance(ada), 85)
})

test('what comes before its user is sent again; what contradicts is accepted and logged', async () => {
  const payment = randomUUID()
  const nobody = event('checkout.session.completed', session(payment, { credits: '100' }))
  assert.equal((await send(nobody)).status, 503)
  const ada = await signUp('ada')
  assert.equal((await send(event('checkout.session.completed', session(payment, { credits: '100', user_id: ada.id })))).status, 200)
  const other = event('payment_intent.succeeded', { id: `pi_${payment}`, object: 'payment_intent', amount_received: 1000,
    latest_charge: null, metadata: { credits: '101', user_id: ada.id } })
  assert.equal((await send(other)).status, 200)
  assert.equal(await balance(ada), 110)
  assert.ok(logged.some((line) => line.includes(other.id) && line.includes('PT409')), logged.join('\n'))
})

test('events of other things are ignored', async () => {
  assert.equal((await send(event('customer.created', { id: 'cus_1', object: 'customer' }))).answer.result, 'ignored')
})

test('a wrong signature, a changed body, an old or missing one: 400, and nothing happens', async () => {
  const ada = await signUp('ada')
  const bought = event('checkout.session.completed', session(randomUUID(), { credits: '100', user_id: ada.id }))
  const old = Stripe.webhooks.generateTestHeaderString({ payload: JSON.stringify(bought), secret: SECRET, timestamp: 1_000_000_000 })
  for (const options of [{ secret: 'whsec_of_nobody' }, { body: JSON.stringify(bought).replace('100', '999') },
    { headers: { 'stripe-signature': old } }, { headers: { 'stripe-signature': '' } }, { body: 'x'.repeat(2 * 1024 * 1024) }]) {
    assert.equal((await send(bought, options)).status, 400)
  }
  assert.equal((await fetch(url)).status, 400)
  assert.equal(await balance(ada), 10)
})

test('many events of one payment at the same time', async () => {
  const ada = await signUp('ada')
  const payment = randomUUID()
  const bought = event('checkout.session.completed', session(payment, { credits: '100', user_id: ada.id }))
  const events = [bought, bought, event('charge.refunded', charge(payment, 300)), event('charge.refunded', charge(payment, 300)), bought]
  const answers = await Promise.all(events.map((one) => send(one)))
  assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200, 200, 200])
  assert.equal(await balance(ada), 80)
  assert.deepEqual(await sql('SELECT * FROM verify_credit_ledger($1)', [ada.id]), [])
})
