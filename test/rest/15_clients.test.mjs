// What clients send of rows that they read: for each table that a user may write, the changed column alone, beside each
// other column, and in the whole row, with every choice of identifier, owner and times; then what they may not change.
// The tables and columns come from the catalogue, so that new ones are tried as well.
//
// Pitfall: an answer of 200 with no row means that nothing was written.  So each call asks for the row, and what is
// stored is read as a superuser.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { anon, service, signUp, sql, user } from './lib/api.mjs'

// A column in which any text is allowed, and what a service writes for the row that is sent back.
const TABLES = {
  profiles: { changed: 'display_name', given: {} },
  projects: { changed: 'title', given: { title: 'Old', prompt_text: 'p', niche_preset: 'history', settings: { a: [1] } } },
  studio_jobs: {
    changed: 'raw_audio_url',
    given: {
      raw_audio_url: 'a.mp3', system_prompt_used: 'p', status: 'TRANSCRIBING', priority: 1000, max_attempts: 9,
      run_at: '2026-01-01T10:00:00.123456+00:00', idempotency_key: 'key', enrichment_entities: { a: 1 },
    },
  },
}
const TIMES = ['created_at', 'updated_at']
// What is left of a time in a client that counts milliseconds.
const FINE = '2026-01-02T03:04:05.678901+00:00'
const COARSE = '2026-01-02T03:04:05.678Z'

const columns = await sql(`
  SELECT c.relname AS "table", a.attname AS name, a.attnotnull AND NOT a.atthasdef AS needed,
         has_column_privilege('authenticated', c.oid, a.attnum, 'INSERT') AS inserts,
         has_column_privilege('authenticated', c.oid, a.attnum, 'UPDATE') AS updates,
         EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey)) AS key,
         EXISTS (SELECT FROM pg_constraint f WHERE f.conrelid = c.oid AND f.confrelid = 'auth.users'::regclass
                    AND f.conkey = ARRAY[a.attnum]) AS owner
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
   WHERE c.relkind = 'r' AND c.relnamespace IN ('public'::regnamespace, 'pipeline'::regnamespace)
     AND (has_any_column_privilege('authenticated', c.oid, 'INSERT') OR has_any_column_privilege('authenticated', c.oid, 'UPDATE'))
   ORDER BY c.relname, a.attnum`)
const tables = [...new Set(columns.map((column) => column.table))].map((name) => {
  const own = columns.filter((column) => column.table === name)
  return {
    name,
    columns: own,
    key: own.find((column) => column.key).name,
    owner: own.find((column) => column.owner).name,
    inserts: own.some((column) => column.inserts),
    ...TABLES[name],
  }
})

test('there is a row to send back of every table that a user may write', () => {
  assert.deepEqual(tables.map((table) => table.name), Object.keys(TABLES))
})

for (const table of tables) {
  test(`${table.name}: what clients send of a row in an update`, async () => {
    const a = await signUp('A')
    const row = await oldRow(table, a)
    const read = await asRead(table, a, row)
    const bodies = subsets(table, 'update', read)
    assert.ok(bodies.length > 10)
    for (const [n, body] of bodies.entries()) {
      const sent = { ...body, [table.changed]: `changed ${n}` }
      const answer = await user(a).from(table.name).update(sent).eq(table.key, row[table.key]).select()
      assert.deepEqual(without(fine(answer, sent)[0], 'updated_at'), without({ ...row, [table.changed]: `changed ${n}` }, 'updated_at'))
    }
    const stored = await rowOf(table, row[table.key])
    assert.deepEqual(without(stored, 'updated_at', table.changed), without(row, 'updated_at', table.changed))
    assert.ok(!('updated_at' in stored) || stored.updated_at > row.updated_at)
  })

  test(`${table.name}: what no client changes, in an update or an upsert, alone or in the whole row`, async () => {
    const [a, b] = [await signUp('A'), await signUp('B')]
    const row = await oldRow(table, a)
    const foreign = await oldRow(table, b)
    const whole = nameable(table, 'updates', await asRead(table, a, row))
    for (const [column, values] of forbidden(table, foreign)) {
      for (const value of values) {
        const change = { [column]: value, [table.changed]: 'forbidden' }
        for (const body of [change, { ...whole, ...change }]) {
          refused(await user(a).from(table.name).update(body).eq(table.key, row[table.key]).select(), column)
          if (table.inserts && column !== table.key) {
            refused(await user(a).from(table.name).upsert({ ...needed(table, row), ...body }).select(), column)
          }
        }
        assert.deepEqual(await rowOf(table, row[table.key]), row)
      }
    }
    assert.deepEqual(await rowOf(table, foreign[table.key]), foreign)
  })

  test(`${table.name}: columns that are never named, not even unchanged`, async () => {
    const a = await signUp('A')
    const row = await oldRow(table, a)
    for (const { name } of table.columns.filter((column) => !column.updates)) {
      const answer = await user(a).from(table.name).update({ [name]: row[name] }).eq(table.key, row[table.key])
      assert.deepEqual([answer.status, answer.error.code, answer.error.message],
        [403, '42501', `permission denied for table ${table.name}`])
    }
    assert.deepEqual(await rowOf(table, row[table.key]), row)
  })

  test(`${table.name}: the rows of another user, and rows that nobody has`, async () => {
    const [a, b] = [await signUp('A'), await signUp('B')]
    const foreign = await oldRow(table, b)
    const body = { [table.changed]: 'forbidden' }
    for (const key of [foreign[table.key], randomUUID()]) {
      assert.deepEqual(fine(await user(a).from(table.name).update(body).eq(table.key, key).select()), [])
    }
    const theirs = nameable(table, 'updates', foreign)
    if (table.inserts) {
      refused(await user(a).from(table.name).upsert(theirs).select(), table.owner)
      const mine = { ...theirs, [table.owner]: a.id, created_at: new Date().toISOString() }
      const answer = await user(a).from(table.name).upsert(mine).select()
      assert.deepEqual([answer.status, answer.error.code, answer.error.details, answer.data], [403, '42501', null, null])
      assert.doesNotMatch(JSON.stringify(answer.error), new RegExp(`${foreign[table.key]}|${b.id}`))
      assert.equal((await anon().from(table.name).upsert(theirs)).status, 401)
    }
    assert.deepEqual(await rowOf(table, foreign[table.key]), foreign)
  })

  test(`${table.name}: a Date keeps no microseconds, and changes no time`, async () => {
    const a = await signUp('A')
    const row = await oldRow(table, a)
    await sql(`UPDATE ${table.name} SET created_at = $1 WHERE ${table.key} = $2`, [FINE, row[table.key]])
    const whole = { ...nameable(table, 'updates', row), created_at: COARSE }
    fine(await user(a).from(table.name).update(whole).eq(table.key, row[table.key]).select().single())
    if (table.inserts) {
      fine(await user(a).from(table.name).upsert(whole).select().single())
    }
    assert.equal((await rowOf(table, row[table.key])).created_at, FINE)
  })
}

for (const table of tables.filter(({ inserts }) => inserts)) {
  test(`${table.name}: what clients send of a row in an upsert`, async () => {
    const a = await signUp('A')
    const row = await oldRow(table, a)
    const read = await asRead(table, a, row)
    for (const [n, body] of subsets(table, 'upsert', read).entries()) {
      const sent = { ...body, ...needed(table, read), [table.changed]: `changed ${n}` }
      const answer = await user(a).from(table.name).upsert(sent).select()
      assert.deepEqual(without(fine(answer, sent)[0], 'updated_at'), without({ ...row, [table.changed]: `changed ${n}` }, 'updated_at'))
    }
    assert.equal((await sql(`SELECT FROM ${table.name} WHERE ${table.owner} = $1`, [a.id])).length, 1)
  })

  test(`${table.name}: what clients send of a new row, by insert and by upsert`, async () => {
    const a = await signUp('A')
    const row = { ...await oldRow(table, a), created_at: new Date().toISOString(), ...newValues(table) }
    await sql(`UPDATE studio_engine.settings SET value = '0' WHERE name = 'max_active_jobs'`)
    for (const verb of ['insert', 'upsert']) {
      for (const body of subsets(table, 'insert', row)) {
        const sent = { ...needed(table, row), ...body }
        delete sent[table.key]
        const named = table.key in body ? { ...sent, [table.key]: randomUUID() } : sent
        const [made] = fine(await user(a).from(table.name)[verb](named).select(), named)
        assert.deepEqual(pick(made, Object.keys(without(named, ...TIMES))), without(named, ...TIMES))
        const age = Date.now() - Date.parse(made.created_at)
        assert.ok(age >= -1000 && age < 60_000, `created ${age} ms ago`)
        await sql(`DELETE FROM ${table.name} WHERE ${table.key} = $1`, [made[table.key]])
      }
    }
    await sql(`UPDATE studio_engine.settings SET value = '5' WHERE name = 'max_active_jobs'`)
  })

  test(`${table.name}: nobody dates a new row, nor makes one for another user`, async () => {
    const [a, b] = [await signUp('A'), await signUp('B')]
    const row = { ...needed(table, await oldRow(table, a)), ...newValues(table), [table.key]: randomUUID() }
    for (const verb of ['insert', 'upsert']) {
      for (const created_at of ['2001-01-01', '2999-01-01', 'infinity', new Date(Date.now() - 6 * 60_000).toISOString()]) {
        refused(await user(a).from(table.name)[verb]({ ...row, created_at }).select(), 'created_at')
      }
      for (const owner of [b.id, randomUUID(), null]) {
        refused(await user(a).from(table.name)[verb]({ ...row, [table.owner]: owner }).select(), table.owner)
      }
    }
    assert.equal(await rowOf(table, row[table.key]), undefined)
  })
}

test('the calls of the issue: a profile, a project and a studio job, as supabase-js sends them', async () => {
  const a = await signUp('A')
  const supabase = user(a)
  const profile = fine(await supabase.from('profiles')
    .update({ display_name: 'New', updated_at: new Date().toISOString() }).eq('id', a.id).select().single())
  assert.equal(profile.display_name, 'New')
  const id = randomUUID()
  const project = fine(await supabase.from('projects')
    .insert({ id, user_id: a.id, title: 'First', prompt_text: 'p', niche_preset: 'history' }).select().single())
  assert.equal(project.id, id)
  assert.equal(fine(await supabase.from('projects').update({ ...project, title: 'Second' }).eq('id', id).select().single()).title, 'Second')
  assert.equal(fine(await supabase.from('projects').upsert({ ...project, title: 'Third' }).select().single()).title, 'Third')
  const rows = [{ ...project, title: 'Fourth' }, { ...project, id: randomUUID(), created_at: undefined, title: 'Fifth' }]
  assert.deepEqual(fine(await supabase.from('projects').upsert(rows, { defaultToNull: false }).select()).map((row) => row.title),
    ['Fourth', 'Fifth'])
  const job = fine(await supabase.from('studio_jobs').upsert({ user_id: a.id, raw_audio_url: 'a.mp3' }).select().single())
  const { processing_time_ms, retry_count, cost_credits_reserved, ...sendable } = job
  assert.deepEqual([processing_time_ms, retry_count, cost_credits_reserved], [null, 0, 0])
  const started = fine(await supabase.from('studio_jobs').upsert({ ...sendable, status: 'TRANSCRIBING' }).select().single())
  assert.deepEqual([started.status, started.created_at], ['TRANSCRIBING', job.created_at])
})

test('a service imports whole rows, and moves them', async () => {
  const [a, b] = [await signUp('A'), await signUp('B')]
  const row = { id: randomUUID(), user_id: a.id, title: 'Old', prompt_text: 'p', niche_preset: 'history', created_at: FINE, updated_at: FINE }
  assert.deepEqual(pick(fine(await service().from('projects').upsert(row).select().single()), Object.keys(row)), row)
  const moved = fine(await service().from('projects').update({ user_id: b.id, created_at: '2001-01-01' }).eq('id', row.id).select().single())
  assert.deepEqual([moved.user_id, moved.created_at], [b.id, '2001-01-01T00:00:00+00:00'])
})

// ---- rows ------------------------------------------------------------------------------------------------------

// A row of the user as PostgREST writes it, made last week by a service; of studio_jobs one that went on since.
async function oldRow(table, { id }) {
  const made = { ...table.given, [table.owner]: id, created_at: '2026-01-01T00:00:00.123456+00:00' }
  if (table.inserts) {
    return fine(await service().from(table.name).insert(made).select().single())
  }
  return fine(await service().from(table.name).update(made).eq(table.owner, id).select().single())
}

async function asRead(table, owner, row) {
  const read = fine(await user(owner).from(table.name).select('*').eq(table.key, row[table.key]).single())
  assert.deepEqual(read, row)
  return read
}

async function rowOf(table, key) {
  const [row] = fine(await service().from(table.name).select('*').eq(table.key, key))
  return row
}

// What a user may give a new row where oldRow() has what a service may.
function newValues(table) {
  return table.name === 'studio_jobs' ? { status: 'NEW', priority: 100, max_attempts: 1, idempotency_key: null } : {}
}

// ---- bodies ----------------------------------------------------------------------------------------------------

// Each choice of identifier, owner and times with nothing else, with each other column, and with all of them.
function subsets(table, verb, row) {
  const right = { update: (c) => c.updates, insert: (c) => c.inserts, upsert: (c) => c.updates && c.inserts }[verb]
  const may = table.columns.filter(right).map((column) => column.name)
  const special = may.filter((name) => [table.key, table.owner, ...TIMES].includes(name))
  const others = may.filter((name) => !special.includes(name))
  const bodies = new Map()
  for (let mask = 0; mask < 1 << special.length; mask++) {
    const chosen = special.filter((_, i) => mask & (1 << i))
    for (const list of [[], ...others.map((name) => [name]), others]) {
      const names = [...new Set([...chosen, ...list])].sort()
      bodies.set(names.join(), pick(row, names))
    }
  }
  return [...bodies.values()]
}

// Every identifier, owner and creation time, with values that the row must not get.
function forbidden(table, foreign) {
  const ids = [...new Set([table.key, table.owner])]
  return [
    ...ids.map((name) => [name, [foreign[name], randomUUID(), null]]),
    ['created_at', ['2001-01-01', '2999-01-01', 'infinity', null, new Date().toISOString()]],
  ]
}

function needed(table, row) {
  return pick(row, table.columns.filter((column) => column.needed || column.key).map((column) => column.name))
}

function nameable(table, right, row) {
  return pick(row, table.columns.filter((column) => column[right]).map((column) => column.name))
}

function pick(row, names) {
  return Object.fromEntries(names.map((name) => [name, row[name]]))
}

function without(row, ...names) {
  return Object.fromEntries(Object.entries(row).filter(([name]) => !names.includes(name)))
}

// ---- answers ---------------------------------------------------------------------------------------------------

function fine({ data, error, status }, sent = '') {
  assert.equal(error, null, `${status} ${JSON.stringify(error)} ${JSON.stringify(sent)}`)
  return data
}

function refused({ data, error, status }, column) {
  assert.deepEqual([status, error?.code, error?.message, data], [403, '42501', 'not allowed', null])
  assert.match(error.details, new RegExp(`\\b${column}\\b`))
  assert.ok(error.hint.length > 0)
}
