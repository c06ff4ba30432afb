// Tokens as Supabase Auth signs them: HS256, readable by everybody who holds one.
import { createHmac } from 'node:crypto'

const HOUR = 3600

export function sign(claims, secret) {
  const issued = Math.floor(Date.now() / 1000)
  const head = encode({ alg: 'HS256', typ: 'JWT' })
  const body = encode({ iss: 'supabase', iat: issued, exp: issued + HOUR, ...claims })
  const signature = createHmac('sha256', secret).update(`${head}.${body}`).digest('base64url')
  return `${head}.${body}.${signature}`
}

function encode(value) {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
