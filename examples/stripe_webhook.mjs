// A webhook of Stripe: checks who sent an event and hands it to apply_stripe_event(), which does the rest.
//
//     npm install stripe @supabase/supabase-js
//     STRIPE_WEBHOOK_SECRET=whsec_... SUPABASE_URL=https://... SUPABASE_SERVICE_KEY=... PORT=8787 node stripe_webhook.mjs
//
// Pitfall: the signature is of the bytes that were sent.  They must not be parsed and printed again before.
import http from 'node:http'
import { createClient } from '@supabase/supabase-js'
import Stripe from 'stripe'

const { STRIPE_WEBHOOK_SECRET, SUPABASE_URL, SUPABASE_SERVICE_KEY, PORT = '8787', HOST = '127.0.0.1' } = process.env
const MAX_BYTES = 1024 * 1024

const supabase = createClient(SUPABASE_URL, SUPABASE_SERVICE_KEY, { auth: { persistSession: false } })

// The body; null if it is too long.  It is read to its end all the same, or the answer would not arrive.
async function read(request) {
  const chunks = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += chunk.length
    if (bytes <= MAX_BYTES) {
      chunks.push(chunk)
    }
  }
  return bytes <= MAX_BYTES ? Buffer.concat(chunks) : null
}

// The HTTP status for Stripe.  What is not 2xx it sends again, for three days.  A contradiction (PT409) stays one,
// so it is accepted and logged for a person to look at.  All else may be mended: a conflict with another transaction
// (40001, 40P01), a user who is not there yet (PT404), a setting that is wrong, a database that does not answer.
function statusOf(error) {
  if (error === null) {
    return 200
  }
  return error.code === 'PT409' ? 200 : 503
}

async function apply(event) {
  const { data, error } = await supabase.rpc('apply_stripe_event', { p_event: event })
  if (error !== null) {
    console.error(JSON.stringify({ event: event.id, type: event.type, code: error.code, message: error.message, details: error.details }))
  }
  return { status: statusOf(error), answer: data ?? {} }
}

async function handle(request) {
  const body = request.method === 'POST' ? await read(request) : null
  if (body === null) {
    return { status: 400, answer: {} }
  }
  let event
  try {
    event = Stripe.webhooks.constructEvent(body, request.headers['stripe-signature'], STRIPE_WEBHOOK_SECRET)
  } catch {
    return { status: 400, answer: {} }
  }
  return apply(event)
}

const server = http.createServer(async (request, response) => {
  const { status, answer } = await handle(request).catch((error) => {
    console.error(error)
    return { status: 503, answer: {} }
  })
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer))
})
server.listen(Number(PORT), HOST, () => console.log(`listening on ${server.address().port}`))
process.on('SIGTERM', () => server.close())
