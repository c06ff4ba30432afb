// What the tests speak to: the API as anon, as a user and as a service, and the database as a superuser.
//
// Users are made per test, under ids of their own, so that tests do not meet.  Pitfall: a client of supabase-js
// throws nothing.  What went wrong is in `error`, so a test that looks at `data` alone sees null.
import { randomUUID } from 'node:crypto'
import { createClient } from '@supabase/supabase-js'
import pg from 'pg'
import { sign } from './jwt.mjs'

const { SUPABASE_URL, SUPABASE_ANON_KEY, SUPABASE_SERVICE_KEY, JWT_SECRET } = process.env

// PGUSER is the superuser; the sign-up service is who writes auth.users.
const superuser = new pg.Pool({ max: 4, allowExitOnIdle: true })
const signUpService = new pg.Pool({ user: 'supabase_auth_admin', max: 2, allowExitOnIdle: true })

// The rows of a statement, as a superuser.
export async function sql(text, params = []) {
  const { rows } = await superuser.query(text, params)
  return rows
}

// A new user as Supabase Auth makes them, with the token of a session.
export async function signUp(name) {
  const id = randomUUID()
  const email = `${name}.${id}@example.test`
  await signUpService.query(
    `INSERT INTO users (instance_id, id, aud, role, email, raw_app_meta_data, raw_user_meta_data, created_at, updated_at)
     VALUES ('00000000-0000-0000-0000-000000000000', $1, 'authenticated', 'authenticated', $2,
             '{"provider": "email", "providers": ["email"]}', jsonb_build_object('name', $3::text), now(), now())`,
    [id, email, name],
  )
  return { id, email, name, token: userToken(id, { email }) }
}

// A signed-in user's token; claims replace or add to what it says.
export function userToken(id, claims = {}) {
  return token({ sub: id, aud: 'authenticated', role: 'authenticated', session_id: randomUUID(), ...claims })
}

export function token(claims) {
  return sign(claims, JWT_SECRET)
}

export const anonKey = SUPABASE_ANON_KEY
export const serviceKey = SUPABASE_SERVICE_KEY

export function anon(options = {}) {
  return createClient(SUPABASE_URL, SUPABASE_ANON_KEY, withoutSession(options))
}

// The browser of a user who is signed in: the anon key, and the session's token.
export function user({ token }, options = {}) {
  return createClient(SUPABASE_URL, SUPABASE_ANON_KEY, {
    ...withoutSession(options),
    global: { headers: { Authorization: `Bearer ${token}` } },
  })
}

export function service(options = {}) {
  return createClient(SUPABASE_URL, SUPABASE_SERVICE_KEY, withoutSession(options))
}

function withoutSession(options) {
  return { auth: { persistSession: false, autoRefreshToken: false }, ...options }
}

// A request as curl sends it; path begins behind /rest/v1.  Without a token it is anon's.  A body that is not a
// string goes as JSON; the answer's comes parsed where it is JSON.
export async function raw(method, path, { token = SUPABASE_ANON_KEY, body, headers = {} } = {}) {
  const answer = await fetch(`${SUPABASE_URL}/rest/v1${path}`, {
    method,
    headers: {
      apikey: SUPABASE_ANON_KEY,
      Authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...headers,
    },
    body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
  })
  const text = await answer.text()
  return {
    status: answer.status,
    statusText: answer.statusText,
    headers: answer.headers,
    text,
    body: parsed(text, answer.headers.get('content-type') ?? ''),
  }
}

function parsed(text, type) {
  if (text === '') {
    return null
  }
  return /[/+]json/.test(type) ? JSON.parse(text) : text
}
