// Every function of the API, as its clients call it: by the right roles, by the wrong ones, and with arguments that
// are missing, misspelt, NULL, of another type, out of bounds, huge or strange.  What is refused is refused with a
// 4xx, in constant words, and changes nothing.
//
// The functions and their arguments come from the catalogue, what they may be from lib/rpc_cases.mjs: a function
// without a case fails, and so does a case that COMMENT ON contradicts.  Pitfall: nothing else may write while
// refused calls are made, since what they changed is seen by comparing all tables.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { anon, anonKey, raw, service, serviceKey, sql, user } from './lib/api.mjs'
import { CONVERSION, MARK, conversions, free, id } from './lib/rpc_arguments.mjs'
import { cases, common } from './lib/rpc_cases.mjs'
import { person, removeAll } from './lib/rpc_fixtures.mjs'

const AT_ONCE = 8
const SHOWN = 300
const ROLES = { anybody: ['anon', 'user', 'service'], user: ['user', 'service'], service: ['service'], nobody: [] }
const STATUS = { 42501: 403, 54000: 413, 54001: 413, PT402: 402, PT404: 404, PT409: 409, PT429: 429, PGRST202: 404 }

const found = await catalogue()
const functions = found.filter(({ name }) => cases[name])
// Every refusal: which function, what it was called with, and the answer.
const refusals = []

after(removeAll)

// ---- who may, and what comes back --------------------------------------------------------------------------------

test('each function of the API has a case, and each case its function', () => {
  const names = found.map(({ name }) => name)
  none(names.filter((name) => !cases[name]).map((name) => `${name} has no case`))
  none(Object.keys(cases).filter((name) => !names.includes(name)).map((name) => `there is no ${name}`))
  assert.ok(found.length > 90)
})

test('COMMENT ON says who may call as the cases do', () => {
  const said = ({ comment }) => {
    const [, callers] = /^Callers: (services only|anybody|the owner of the data\b)?/m.exec(comment) ?? []
    return { 'services only': 'service', anybody: 'anybody', 'the owner of the data': 'nobody' }[callers] ?? 'user'
  }
  none(functions.filter((fn) => said(fn) !== fn.who).map((fn) => fn.name))
})

for (const fn of functions) {
  test(`${fn.name}: ${fn.roles.join(', ') || 'no API role'}`, async () => {
    for (const role of fn.roles) {
      const caller = await person()
      const args = await fn.given(caller)
      fn.gives(fine(await call(fn, role, caller, args)), args)
    }
    for (const role of fn.least ?? fn.roles) {
      const caller = await person()
      const args = leastOf(fn, await fn.given(caller))
      const answer = fine(await call(fn, role, caller, args))
      fn.leastGives?.(answer, args)
    }
  })
}

test('the wrong role is refused', async () => {
  const calls = []
  for (const fn of functions) {
    const [owner, other] = [await person(), await person()]
    const args = await fn.given(owner)
    const refused = (role, token, status) =>
      calls.push({ fn, name: role, token, args: encoded(args), expected: { status, codes: ['42501'] } })
    if (fn.who !== 'anybody') {
      refused('anon', anonKey, 401)
    }
    if (fn.who === 'service' || fn.who === 'nobody') {
      refused('the user', owner.token, 403)
    }
    if (fn.who === 'user' && fn.foreign !== false) {
      refused('another user', other.token, 403)
    }
    if (fn.who === 'nobody') {
      refused('service', serviceKey, 403)
    }
  }
  await allRefused(calls)
})

// ---- arguments ---------------------------------------------------------------------------------------------------

test('wrong arguments are refused', async () => {
  await allRefused(await everyCall(wrongArguments))
})

test('arguments that are missing or misspelt are refused', async () => {
  await allRefused(await everyCall(otherNames))
})

test('a body that is no object of arguments is refused', async () => {
  await allRefused(await everyCall(otherBodies))
})

test('GET reads, and changes nothing', async () => {
  const wrong = []
  const calls = await everyCall(asGet)
  await unchanged(() =>
    each(calls, async ({ fn, args, token }) => {
      const answer = await raw('GET', `/rpc/${fn.short}?${query(fn, args)}`, { token, headers: fn.headers })
      note(fn, args, answer)
      if (!getStatuses(fn).includes(answer.status)) {
        wrong.push(`${fn.name}: ${answer.status} ${answer.text.slice(0, SHOWN)}`)
      }
    }),
  )
  none(wrong)
})

// All arguments of a function at a time, the first accepted value of each, then the second, and so on.
test('unusual arguments within bounds are accepted', async () => {
  const calls = []
  for (const fn of functions.filter(({ who }) => who !== 'nobody')) {
    for (const values of rounds(probesOf(fn).filter(({ expected }) => expected === 'accepted'))) {
      calls.push(await unusual(fn, values))
    }
    for (const probe of probesOf(fn).filter(({ expected }) => expected === 'open')) {
      calls.push({ ...(await unusual(fn, [probe])), open: true })
    }
  }
  const wrong = []
  await each(calls, async ({ fn, name, open, ...one }) => {
    const answer = await post({ fn, ...one })
    note(fn, one.args, answer)
    if (![200, 204].includes(answer.status) && !(open && answer.status >= 400 && answer.status < 500)) {
      wrong.push(`${fn.name} ${name}: ${answer.status} ${answer.text.slice(0, SHOWN)}`)
    }
  })
  none(wrong)
})

// ---- SQLSTATEs ---------------------------------------------------------------------------------------------------

test('the errors that COMMENT ON names', async () => {
  const calls = []
  for (const fn of functions) {
    for (const [code, given] of Object.entries(fn.errors ?? {})) {
      const caller = await person()
      calls.push({
        fn,
        name: code,
        token: tokenOf(fn.roles[0], caller),
        args: encoded(await given(caller)),
        expected: { status: STATUS[code] ?? 400, codes: [code] },
      })
    }
  }
  await allRefused(calls)
})

// What the operator set wrong is no fault of the caller: 500.
test('search without the configuration that the setting names', async () => {
  const setting = (value) =>
    // past the check of the table, as a dump may bring it
    sql(`UPDATE studio_engine.settings SET value = $1 FROM set_config('studio_engine.maintenance', 'on', true) m
          WHERE name = 'search_configuration' AND m = 'on'`, [value])
  const calls = []
  for (const name of ['public.refresh_content_search', 'public.search_module_content']) {
    const fn = functions.find((one) => one.name === name)
    calls.push({
      fn,
      name: 'setting',
      token: serviceKey,
      args: encoded(await fn.given(await person())),
      expected: { status: 500, codes: ['55000'] },
    })
  }
  await setting('nonesuch')
  try {
    await allRefused(calls)
  } finally {
    await setting('english')
  }
})

test('what is answered is what COMMENT ON names, and all of it', () => {
  const wrong = []
  for (const fn of functions.filter(({ who }) => who !== 'nobody')) {
    const named = new Set(fn.comment.match(/\b(22[0-9]{3}|23[0-9]{3}|42[0-9]{3}|5[45][0-9]{3}|PT4[0-9]{2})\b/g))
    const answered = new Set(refusals.filter((r) => r.fn === fn && !isForeign(r)).map((r) => r.code))
    const unnamed = [...answered].filter((code) => !named.has(code) && !(code === '42501' && fn.who !== 'anybody'))
    const unseen = [...named].filter((code) => !answered.has(code))
    if (unnamed.length || unseen.length) {
      wrong.push(`${fn.name}: not in COMMENT ON ${unnamed}; not seen ${unseen}`)
    }
  }
  none(wrong)
})

test('messages are constant: words, nothing of the caller in them; the reason phrase is the message', () => {
  const wrong = []
  for (const refusal of refusals.filter((r) => !isForeign(r))) {
    const { fn, code, message, statusText, args } = refusal
    const words = message.replace(fn.short, '')
    const echoed = Object.values(args).some((value) => value.length > 6 && words.includes(value.slice(1, -1)))
    const constant = /^[a-zA-Z_ ]+$/.test(message) && !message.includes(MARK) && !echoed
    if (!constant || (code.startsWith('PT') && statusText !== message)) {
      wrong.push(`${fn.name} ${code}: ${message} (${statusText})`)
    }
  }
  none([...new Set(wrong)])
})

// Not an answer of ours: PostgREST's own, PostgreSQL's about a value that does not convert or nests too deeply, or about
// what GET may not.
function isForeign({ code, message }) {
  const converts = /^invalid input syntax for type |^malformed |^expected JSON array|^unsupported Unicode /
  const bounds = /^value "|^value overflows|out of range: "/
  return /^PGRST|^25006$|^54001$/.test(code) ||
    (CONVERSION.includes(code) && (converts.test(message) || bounds.test(message)))
}

// ---- calls -------------------------------------------------------------------------------------------------------

async function catalogue() {
  const rows = await sql(`
    SELECT n.nspname || '.' || p.proname AS name, n.nspname AS schema, p.proname AS short,
           p.provolatile <> 'v' AS reads,
           obj_description(p.oid, 'pg_proc') AS comment,
           (SELECT coalesce(jsonb_agg(to_jsonb(i) ORDER BY i.place), '[]')
              FROM (SELECT a.place, p.proargnames[a.place] AS name, format_type(a.type, NULL) AS type,
                           pg_get_function_arg_default(p.oid, a.place::integer) AS default
                      FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (type, place)) i) AS arguments
      FROM pg_proc p
      JOIN pg_namespace n ON n.oid = p.pronamespace
      JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
      JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
     WHERE e.extname = 'studio_engine' AND n.nspname IN ('public', 'pipeline') AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)`)
  return rows
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((fn) => ({
      ...fn,
      ...cases[fn.name],
      arguments: fn.arguments.map((argument) => ({ ...argument, optional: argument.default !== null })),
      headers: { 'Content-Profile': fn.schema, 'Accept-Profile': fn.schema },
      roles: ROLES[cases[fn.name]?.who],
    }))
}

function call(fn, role, caller, args) {
  const options = { db: { schema: fn.schema } }
  const client = { anon: () => anon(options), user: () => user(caller, options), service: () => service(options) }
  return client[role]().rpc(fn.short, args)
}

// All of them, where assert.deepEqual() would show a few lines.
function none(wrong) {
  assert.ok(wrong.length === 0, `${wrong.length} wrong:\n${wrong.sort().join('\n')}`)
}

// 204: it returns nothing
function fine({ data, error, status }) {
  assert.deepEqual([status, error], [status === 204 && data === null ? 204 : 200, null])
  return data
}

const tokenOf = (role, caller) => ({ anon: anonKey, user: caller.token, service: serviceKey })[role]

// The arguments without a default, and the lease of a worker, who must show it.
function leastOf(fn, args) {
  const needed = fn.arguments.filter(({ name, optional }) => !optional || name === 'p_lease_token')
  return Object.fromEntries(needed.map(({ name }) => [name, args[name]]))
}

const encoded = (args) => Object.fromEntries(Object.entries(args).map(([name, value]) => [name, JSON.stringify(value)]))

function post({ fn, token, args, body = objectOf(args) }) {
  return raw('POST', `/rpc/${fn.short}`, { token, body, headers: fn.headers })
}

function objectOf(args) {
  return `{${Object.entries(args).map(([name, value]) => `${JSON.stringify(name)}: ${value}`)}}`
}

// There is no jsonb but texts in the address of a request.
function getStatuses(fn) {
  const needsJson = fn.arguments.some(({ type, optional }) => type === 'jsonb' && !optional)
  return fn.reads ? [200] : needsJson ? [400, 405] : [405]
}

function query(fn, args) {
  return new URLSearchParams(
    fn.arguments
      .filter(({ name, type, optional }) => args[name] !== 'null' && !(type === 'jsonb' && optional))
      .map(({ name, type }) => {
        const value = JSON.parse(args[name])
        return [name, type.endsWith('[]') ? `{${value}}` : typeof value === 'object' ? args[name] : value]
      }),
  )
}

// What `variants` makes of the documented call of each function.
async function everyCall(variants) {
  const calls = []
  for (const fn of functions.filter(({ who }) => who !== 'nobody')) {
    for (const role of variants === wrongArguments && fn.who === 'user' ? fn.roles : [fn.roles[0]]) {
      const caller = await person()
      const args = encoded(await fn.given(caller))
      const token = tokenOf(role, caller)
      calls.push(...variants(fn, args, role).map((variant) => ({ fn, token, args, ...variant })))
    }
  }
  return calls
}

async function unusual(fn, probes) {
  const caller = await person()
  const values = Object.fromEntries(probes.map(({ argument, value }) => [argument, value]))
  return {
    fn,
    name: probes.map(({ argument, name }) => `${argument} ${name}`).join(', '),
    token: tokenOf(fn.roles[0], caller),
    args: { ...encoded(await fn.given(caller)), ...values },
  }
}

function rounds(probes) {
  const made = []
  for (const probe of probes) {
    const place = made.findIndex((round) => round.every(({ argument }) => argument !== probe.argument))
    if (place >= 0) {
      made[place].push(probe)
    } else {
      made.push([probe])
    }
  }
  return made
}

// Services are told the same as users, but for what is whose.
function wrongArguments(fn, args, role) {
  const told = ({ name }) => role === fn.roles[0] || name === 'unknown'
  return probesOf(fn, role)
    .filter(({ expected }) => typeof expected === 'object')
    .filter(told)
    .map(({ argument, name, value, expected }) => ({
      name: `${argument} ${name}`,
      args: { ...args, [argument]: value },
      expected,
    }))
}

function otherNames(fn, args) {
  if (takesAnyBody(fn)) {
    return []
  }
  const expected = { status: 404, codes: ['PGRST202'] }
  const others = fn.arguments.flatMap(({ name, optional }) => {
    const { [name]: value, ...rest } = args
    return [
      ...(optional ? [] : [{ name: `without ${name}`, args: rest, expected }]),
      { name: `${name} misspelt`, args: { ...rest, [`${name}s`]: value }, expected },
    ]
  })
  return [...others, { name: 'one more', args: { ...args, p_more: `"${MARK}"` }, expected }]
}

// PostgREST finds a function whose only argument is jsonb for every body, whatever the names in it.  It passes on what it
// knows, and what is left out is PostgreSQL's error 42883.
function takesAnyBody(fn) {
  return fn.arguments.length === 1 && fn.arguments[0].type === 'jsonb'
}

// Where all arguments have defaults, PostgREST takes what is no object for no arguments.  An array of objects is not
// here: to PostgREST it is its first one.
function otherBodies(fn, args) {
  if (takesAnyBody(fn)) {
    return []
  }
  const broken = ['{', `{"${MARK}"`, '{"a": \\u0000}', '{"a": "\\ud83d"}', '{"\\u0000": 1}']
  const others = ['[]', '[[]]', '5', 'true', `"${MARK}"`, `["${MARK}"]`]
  const needed = fn.arguments.some(({ optional }) => !optional)
  const expected = { status: [400, 404], codes: ['PGRST202', 'PGRST102'] }
  return [...broken, ...(needed ? others : [])].map((body) => ({ name: `body ${body}`, body, expected }))
}

const asGet = () => [{ name: 'GET' }]

// What may stand in the place of each argument, and what comes of it: accepted, open, or a status and SQLSTATEs.
function probesOf(fn, role = fn.roles[0]) {
  return fn.arguments.flatMap(({ name, type, default: defaults }) => {
    const takes = fn.takes?.[name] ?? common[name] ?? defaultDomain(type)
    const isNullable = takes.nullable ?? (!takes.missing && defaults !== null && /^NULL/.test(defaults))
    const missing = defaults === null ? '22004' : (takes.missing ?? '22004')
    const refused = [...conversions(type), ...takes.refused, ...(isNullable ? [] : [['NULL', 'null', missing]])]
    return [
      ...refused.map(([probe, value, codes]) => ({
        name: probe,
        value,
        expected: expectation(takes, probe, codes, role),
      })),
      ...takes.accepted.map(([probe, value]) => ({ name: probe, value, expected: 'accepted' })),
      ...takes.open.map(([probe, value]) => ({ name: probe, value, expected: 'open' })),
      ...(isNullable ? [{ name: 'NULL', value: 'null', expected: 'accepted' }] : []),
    ].map((probe) => ({ argument: name, ...probe }))
  })
}

function defaultDomain(type) {
  const known = { uuid: id(), boolean: free }[type]
  assert.ok(known, `a case says what an argument of type ${type} may be`)
  return known
}

function expectation(takes, probe, codes, role) {
  const told = takes.unknownTo === 'users' && probe === 'unknown' && role === 'user' ? ['42501'] : [codes].flat()
  if (told[0] === 'nothing') {
    return 'accepted'
  }
  return { status: [...new Set(told.map((code) => STATUS[code] ?? 400))], codes: told }
}

// ---- what is refused ---------------------------------------------------------------------------------------------

async function allRefused(calls) {
  const wrong = []
  await unchanged(() =>
    each(calls, async (one) => {
      const answer = await post(one)
      note(one.fn, one.args, answer)
      const { status, codes } = one.expected
      if (![status].flat().includes(answer.status) || !codes.includes(answer.body?.code)) {
        wrong.push(`${one.fn.name} ${one.name}: ${answer.status} ${answer.text.slice(0, SHOWN)}; expected ${codes}`)
      }
    }),
  ).catch((error) => wrong.push(error.message))
  none(wrong)
}

function note(fn, args, { status, statusText, body }) {
  if (status >= 400) {
    refusals.push({ fn, args, status, statusText, code: body?.code ?? 'none', message: body?.message ?? '' })
  }
}

async function each(list, work) {
  const rest = list.values()
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const one of rest) {
        await work(one)
      }
    }),
  )
}

async function unchanged(work) {
  const before = await fingerprint()
  await work()
  const after = await fingerprint()
  none(Object.keys(after).filter((table) => after[table] !== before[table]).map((table) => `${table} changed`))
}

// Of each table the rows and who wrote them: an UPDATE that leaves everything as it was shows too.
async function fingerprint() {
  const tables = await sql(`
    SELECT format('%I.%I', n.nspname, c.relname) AS name
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND n.nspname IN ('auth', 'public', 'pipeline', 'studio_engine')`)
  const sums = tables.map(({ name }) =>
    `SELECT '${name}' AS name, md5(string_agg(md5(t::text || t.xmin || t.ctid), '' ORDER BY t.ctid)) AS sum FROM ${name} t`)
  const rows = await sql(sums.join(' UNION ALL '))
  return Object.fromEntries(rows.map(({ name, sum }) => [name, sum]))
}
