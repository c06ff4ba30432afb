// Many requests at a time, straight to PostgREST over kept connections, each judged when its answer comes; and the
// memory of those who answer.
//
// Pitfall: a request is in flight as soon as it is made, and waits here for one of the connections.  What
// counts as a hang therefore includes that wait.
import http from 'node:http'
import { readFile } from 'node:fs/promises'
import { serviceKey } from './api.mjs'

// Far beyond what any answer takes, the queue for PostgREST's connections included: who waits longer waits forever.
const HANG = 30_000
const SHOWN = 200

// answers: which ones each kind of call may get, as '<status>' or '<status> <code>'.
export class Load {
  #answers
  #agent
  #counts = new Map()
  #begun = performance.now()
  wrong = []

  constructor(answers, connections) {
    this.#answers = answers
    this.#agent = new http.Agent({ keepAlive: true, maxSockets: connections })
  }

  // What is wrong; it ends the load, since one mistake may be followed by thousands.
  complain(what) {
    this.wrong.push(what)
  }

  // One of a table's endpoints, or of a function's: `kind` names it in the table of answers.
  async call(kind, method, path, { body, token = serviceKey, prefer } = {}) {
    const answer = await this.#send(method, path, body, {
      Authorization: `Bearer ${token}`,
      'Content-Type': 'application/json',
      ...(prefer ? { Prefer: prefer } : {}),
    })
    this.#judge(kind, answer)
    return answer
  }

  // A function.  `how` tells apart calls that are to be answered differently.
  async rpc(name, args, { token, how } = {}) {
    return this.call(how ? `${name}, ${how}` : name, 'POST', `/rpc/${name}`, { body: args, token })
  }

  #send(method, path, body, headers) {
    return new Promise((resolve) => {
      const request = http.request(process.env.POSTGREST_URL + path, {
        method,
        headers,
        agent: this.#agent,
        signal: AbortSignal.timeout(HANG),
      })
      request.on('error', (error) => resolve({ ok: false, name: `no answer (${error.name}, ${error.code})`, text: '' }))
      request.on('response', (response) => resolve(received(response)))
      request.end(body === undefined ? undefined : JSON.stringify(body))
    })
  }

  #judge(kind, { name, text }) {
    const counts = this.#counts.get(kind) ?? new Map()
    this.#counts.set(kind, counts.set(name, 1 + (counts.get(name) ?? 0)))
    if (!this.#answers[kind].includes(name)) {
      this.complain(`${kind}: ${name} ${text.slice(0, SHOWN)}`)
    }
  }

  close() {
    this.#agent.destroy()
  }

  total() {
    return [...this.#counts.values()].reduce((total, names) => total + sum(names), 0)
  }

  // The answers that nobody got.
  missing() {
    return Object.entries(this.#answers).flatMap(([kind, names]) =>
      names.filter((name) => !this.#counts.get(kind)?.has(name)).map((name) => `${kind}: ${name}`))
  }

  // A line for each kind of call: how many in a second, and how often which answer.
  report() {
    const seconds = (performance.now() - this.#begun) / 1000
    return [...this.#counts].sort().map(([kind, names]) => {
      const answers = [...names].sort().map(([name, n]) => `${name} x ${n}`)
      return `${(sum(names) / seconds).toFixed(1).padStart(7)}/s  ${kind}: ${answers.join(', ')}`
    })
  }
}

function sum(counts) {
  return [...counts.values()].reduce((sum, count) => sum + count, 0)
}

async function received(response) {
  try {
    let text = ''
    response.setEncoding('utf8')
    for await (const part of response) {
      text += part
    }
    const body = text === '' ? null : JSON.parse(text)
    const ok = response.statusCode < 300
    return { ok, body, text, name: ok ? `${response.statusCode}` : `${response.statusCode} ${body?.code}` }
  } catch (error) {
    return { ok: false, text: '', name: `no answer (${error.name})` }
  }
}

// What a process has for itself, in kB: neither shared buffers nor the program.
export async function privateMemory(pid) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)[1])
}
