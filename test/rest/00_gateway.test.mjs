// The way of a request: supabase-js, the gateway, PostgREST, row level security, and back.  If these fail, what
// the other files say about the extension means nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { anon, anonKey, raw, service, signUp, sql, token, user, userToken } from './lib/api.mjs'

test('each sees the profiles that are theirs', async () => {
  const [ada, ben] = [await signUp('Ada'), await signUp('Ben')]
  const both = [ada.id, ben.id]

  const own = await user(ada).from('profiles').select('id, display_name').in('id', both)
  assert.deepEqual([own.status, own.data], [200, [{ id: ada.id, display_name: 'Ada' }]])

  const all = await service().from('profiles').select('id').in('id', both)
  assert.equal(all.data.length, 2)

  const none = await anon().from('profiles').select('id').in('id', both)
  assert.deepEqual([none.status, none.error.code], [401, '42501'])
})

test('the sign-up service made the users', async () => {
  const { id } = await signUp('Ada')
  const rows = await sql('SELECT email, raw_user_meta_data FROM auth.users WHERE id = $1', [id])
  assert.deepEqual(rows, [{ email: `Ada.${id}@example.test`, raw_user_meta_data: { name: 'Ada' } }])
})

test('a key alone is a token', async () => {
  const { id, token } = await signUp('Ada')
  const answer = await fetch(`${process.env.SUPABASE_URL}/rest/v1/profiles?select=id`, { headers: { apikey: token } })
  assert.deepEqual(await answer.json(), [{ id }])
})

test('a token that is forged or too old is nobody', async () => {
  const { id, token: good } = await signUp('Ada')
  assert.equal((await raw('GET', '/profiles', { token: good })).status, 200)
  for (const bad of [
    userToken(id, { exp: 1 }),
    `${good.slice(0, good.lastIndexOf('.'))}.${anonKey.split('.')[2]}`,
    token({ role: 'postgres' }),
  ]) {
    const { status, text } = await raw('GET', '/profiles', { token: bad })
    assert.ok(status === 401 || status === 403, `${status} ${text}`)
  }
})

test('what is not below /rest/v1 is not there', async () => {
  assert.equal((await fetch(`${process.env.SUPABASE_URL}/rest/v2/profiles`)).status, 404)
  assert.equal((await fetch(process.env.POSTGREST_URL + '/rest/v1/profiles')).status, 404)
})

test('requests have the time limit of their role', async () => {
  const limits = await sql(`
    SELECT rolname, rolconfig @> '{statement_timeout=8s}' AS limited FROM pg_roles WHERE rolname = 'authenticator'`)
  assert.deepEqual(limits, [{ rolname: 'authenticator', limited: true }])
})
