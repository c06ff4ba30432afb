// What an argument may be, as documented, and from that: what to send instead of it, and what must come back.
//
// A value is JSON as it goes over the wire, since a number beyond 2^53 or half a surrogate pair is none of
// JavaScript's.  Pitfall: what does not convert to the type of the argument never reaches our function.  Its
// SQLSTATE, and its message with the value in it, are PostgreSQL's own: see CONVERSION.

// Part of every text that a caller sends: it must not come back in a message.
export const MARK = 'text-of-the-caller'

export const CONVERSION = ['22P02', '22003', '22007', '22008', '22015', '22P05', '22021']
const UNKNOWN = '"00000000-0000-4000-8000-00000000dead"'
const MEGABYTES = JSON.stringify(MARK.repeat(120_000))
const EMOJI = '\u{1f600}\u{1f468}\u200d\u{1f469}\u200d\u{1f467}'
const SENTENCE = JSON.stringify(`${MARK} \u00e9\u4e2d${EMOJI} "'\\;--\r\nX-Injected: 1`)
const INTEGER_MAX = 2147483647

// accepted: [name, JSON]; refused: [name, JSON, SQLSTATE]; open: either, but no 5xx.
// nullable: NULL is accepted; where this is not said, it is if it is the default.  missing: else the SQLSTATE, 22004.
function domain({ accepted = [], refused = [], open = [], ...more }) {
  return { accepted, refused, open, ...more }
}

export const nullable = (given) => ({ ...given, nullable: true })

// Characters, not bytes; without a maximum it is the limit of the column that counts, 8 kB or more.
export function text(min = 0, max = null) {
  const accepted = [['emoji, quotes and line ends', SENTENCE]]
  const refused = []
  ;(min === 0 ? accepted : refused).push(['empty', '""', '22023'])
  if (max === null) {
    accepted.push(['8000 bytes', JSON.stringify(MARK.padEnd(8000, '.'))])
    refused.push(['2 MB', MEGABYTES, '22023'])
  } else {
    accepted.push([`${max} characters`, JSON.stringify('\u{1f600}'.repeat(max))])
    refused.push([`${max + 1} characters`, JSON.stringify('x'.repeat(max + 1)), '22023'])
    ;(max < 1000 ? [] : refused).push(['2 MB', MEGABYTES, '22023'])
  }
  return domain({ accepted, refused })
}

// What is cut where it is too long.
export const report = domain({ accepted: [['empty', '""'], ['2 MB', MEGABYTES]] })

// One of a list of words.
export function word(code = '22023') {
  return domain({
    refused: [['empty', '""', code], ['no such word', SENTENCE, code], ['a number', '5', code]],
  })
}

// The id of a row.  Users are told that it is not theirs, services `unknown`.
export function id(unknown = 'PT404') {
  return domain({ refused: [['unknown', UNKNOWN, unknown]], unknownTo: 'users' })
}

// Of a job that a worker has.
export const lease = { ...id('PT409'), missing: 'PT409' }

export function textId(unknown = 'PT404') {
  return domain({
    refused: [
      ['unknown', SENTENCE, unknown], ['empty', '""', '22023'], ['256 characters', JSON.stringify('x'.repeat(256)),
        '22023'],
      ['2 MB', MEGABYTES, '22023'],
    ],
    unknownTo: 'users',
  })
}

export function integer(min, max = INTEGER_MAX) {
  const refused = []
  const accepted = [['least', String(min)]]
  if (min > -INTEGER_MAX) {
    refused.push(['too small', String(min - 1), '22023'], ['very small', '-2147483648', '22023'])
  }
  if (max < INTEGER_MAX) {
    accepted.push(['most', String(max)])
    refused.push(['too big', String(max + 1), '22023'], ['very big', String(INTEGER_MAX), '22023'])
  }
  return domain({ accepted, refused })
}

// How many credits: more than nothing; how many there are to give, the function knows.
export const amount = domain({
  refused: [['zero', '0', '22023'], ['negative', '-1', '22023'], ['very small', '-2147483648', '22023']],
  open: [['very big', String(INTEGER_MAX)]],
})

export function number(min, max = null) {
  const refused = [['negative', '-0.1', '22023'], ['not a number', '"NaN"', '22023'], ['infinite', '"Infinity"',
    '22023'],
    ['negative infinite', '"-Infinity"', '22023']]
  if (max !== null) {
    refused.push(['too big', String(max + 0.1), '22023'], ['huge', '1e30', '22023'])
  }
  return domain({ accepted: [['least', String(min)], ...(max === null ? [] : [['most', String(max)]])], refused,
    open: max === null ? [['huge', '1e30']] : [] })
}

export const bytes = domain({
  accepted: [['none', '0'], ['more than an integer', '2147483648']],
  refused: [['negative', '-1', '22023'], ['very small', '-9223372036854775808', '22023']],
  open: [['very big', '9223372036854775807']],
})

export const future = domain({
  refused: ['2001-01-01', 'infinity', '-infinity', 'now', 'yesterday'].map((t) => [t, JSON.stringify(t), '22023']),
})

// of a payment, whose period may be over
export const finite = domain({
  accepted: [['over', '"2001-01-01"']],
  refused: ['infinity', '-infinity'].map((t) => [t, JSON.stringify(t), '22023']),
})

// when a job is to begin: what has passed is at once
export const start = domain({
  accepted: [['over', '"2001-01-01"'], ['today', '"today"'], ['tomorrow', '"tomorrow"']],
  refused: ['infinity', '-infinity', '2999-01-01'].map((t) => [t, JSON.stringify(t), '22023']),
})

// of a job: a service may give more than a user
export const attempts = domain({
  accepted: [['least', '1'], ['most of a user', '3']],
  refused: [['zero', '0', '22023'], ['negative', '-1', '22023'], ['too big', '1001', '22023'], ['very big', String(INTEGER_MAX), '22023']],
})

// From and to as PostgreSQL writes intervals; outside is beyond them.
export function interval(accepted, outside) {
  return domain({
    accepted: accepted.map((t) => [t, JSON.stringify(t)]),
    refused: outside.map((t) => [t, JSON.stringify(t), '22023']),
    open: [['infinite', '"infinity"']],
  })
}

const NOT_OBJECTS = [['an array', '[]'], ['a text', SENTENCE], ['a number', '5'], ['a boolean', 'true']]

export function object(max = null) {
  const long = `{"k": ${MEGABYTES}}`
  return domain({
    accepted: [['emoji', `{"\u{1f600}": ${SENTENCE}}`]],
    refused: [...NOT_OBJECTS.map((probe) => [...probe, '22023']), ['2 MB', long, '22023']],
  })
}

// Any JSON.
export function json(max = null) {
  const long = `{"k": ${MEGABYTES}}`
  return domain({
    accepted: [...NOT_OBJECTS, ['emoji', `{"\u{1f600}": ${SENTENCE}}`]],
    refused: [['2 MB', long, '22023'], ['many digits', '{"k": 1e131071}', '22023'], ['65 deep', '['.repeat(65) + ']'.repeat(65), '22023']],
  })
}

// JSON of one shape: whatever else is refused.
export function shaped(wrong) {
  return domain({ refused: [...wrong.map(([name, value]) => [name, value, '22023']), ['2 MB', MEGABYTES, '22023']] })
}

// Arrays of texts.
export const texts = domain({
  accepted: [['none', '[]'], ['emoji', `[${SENTENCE}]`]],
  open: [['a NULL', '[null]'], ['nested', `[[${SENTENCE}]]`]],
})

export const sections = domain({
  accepted: [['none', '[]']],
  refused: [['no section', `[${SENTENCE}]`, '22023'], ['a NULL', '[null]', '22023'], ['empty', '[""]', '22023']],
  open: [['nested', '[["introduction"]]']],
})

export const stages = domain({
  accepted: [['two', '["QUEUED", "RENDERING"]']],
  refused: [['none', '[]', '22023'], ['no stage', `[${SENTENCE}]`, '22023'], ['a NULL', '[null]', '22023'],
    ['without work to do', '["READY"]', '22023'], ['twice', '["QUEUED", "QUEUED"]', '22023']],
  open: [['nested', '[["QUEUED"]]']],
})

export const jobIds = domain({
  accepted: [['none', '[]'], ['unknown', `[${UNKNOWN}]`]],
  refused: [['a NULL', '[null]', '22004'], ['twice', `[${UNKNOWN}, ${UNKNOWN}]`, '22023']],
})

export const fileIds = domain({
  accepted: [['none', '[]'], ['unknown', `[${UNKNOWN}]`], ['a NULL', '[null]']],
  refused: [['too many', `[${Array(1001).fill(UNKNOWN)}]`, '22023']],
})

export const ids = domain({
  accepted: [['none', '[]']],
  refused: [['unknown', `[${UNKNOWN}]`, ['22023', 'PT404']], ['a NULL', '[null]', ['22023', '22004']]],
})

export const free = domain({})

// What does not convert: [name, JSON], and the SQLSTATE where it is another.
const TEXTS = [['a text', `"${MARK}"`], ['empty', '""']]
const SCALARS = [['a text', `"${MARK}"`], ['a number', '5'], ['an object', '{"a": 1}']]
const JSONS = [['an object', '{}'], ['an array', '[]']]
const NUMBERS = [...TEXTS, ...JSONS, ['a boolean', 'true']]
const HUGE = [['1e30', '1e30'], ['9223372036854775808', '9223372036854775808'], ['a fraction', '1.5'], ['NaN', '"NaN"']]

const WRONG = {
  uuid: [...TEXTS, ...JSONS, ['a number', '5'], ['a boolean', 'true'], ['too long', UNKNOWN.replace('dead', 'deadbeef')]],
  integer: [...NUMBERS, ...HUGE, ['2147483648', '2147483648']],
  bigint: [...NUMBERS, ...HUGE],
  numeric: [...NUMBERS, ['1e200000', '1e200000']],
  boolean: [...TEXTS, ...JSONS, ['x', '"x"'], ['2', '2']],
  'timestamp with time zone': [
    ...TEXTS, ...JSONS, ['a number', '5'],
    ['month 13', '"2030-13-01"'], ['30 February', '"2030-02-30"'], ['year 300000', '"300000-01-01"'],
  ],
  interval: [...TEXTS, ...JSONS, ['huge', '"99999999999 years"']],
  text: [['U+0000', '"a\\u0000b"']],
  jsonb: [
    ['U+0000', '{"k": "\\u0000"}'], ['U+0000 in a key', '{"\\u0000": 1}'],
    ['100000 deep', '['.repeat(100_000) + ']'.repeat(100_000), ['54001']],
  ],
  'text[]': [...SCALARS, ['U+0000', '["\\u0000"]'], ['ragged', '[["a"],["b","c"]]']],
  'uuid[]': [...SCALARS, ['of texts', `["${MARK}"]`], ['of numbers', '[5]']],
}

export function conversions(type) {
  if (!WRONG[type]) {
    throw new Error(`rpc_arguments.mjs knows no wrong values for ${type}`)
  }
  return WRONG[type].map(([name, value, codes]) => [name, value, codes ?? CONVERSION])
}
