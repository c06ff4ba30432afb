// A stand-in for Supabase's API gateway, so that clients find PostgREST where they look for it: below /rest/v1.
// Of Auth it has what a client asks when it is handed a session: whose the token is.
//
// Pitfall: PostgREST closes a connection that was idle for 30 seconds.  Ours must go first, or a request meets
// a connection that is just being closed.
import http from 'node:http'

const PREFIX = '/rest/v1'

// Resolves to the gateway's address once it listens on a port of the loopback interface.
export async function startGateway(postgrest) {
  const agent = new http.Agent({ keepAlive: true, timeout: 10_000 })
  const server = http.createServer((request, response) => {
    if (request.url === PREFIX || request.url.startsWith(`${PREFIX}/`) || request.url.startsWith(`${PREFIX}?`)) {
      forward(request, response, postgrest, agent)
    } else if (request.url === '/auth/v1/user') {
      tellUser(request, response)
    } else {
      answer(response, 404, { message: 'no such service' })
    }
  })
  await new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    stop() {
      server.close()
      server.closeAllConnections()
      agent.destroy()
    },
  }
}

function forward(request, response, postgrest, agent) {
  const path = request.url.slice(PREFIX.length)
  const onward = http.request(postgrest + (path.startsWith('/') ? path : `/${path}`), {
    agent,
    method: request.method,
    headers: forwardedHeaders(request.headers),
  })
  onward.on('response', (reply) => {
    response.writeHead(reply.statusCode, reply.statusMessage, reply.headers)
    reply.pipe(response)
  })
  onward.on('error', (error) => {
    if (response.headersSent) {
      response.destroy()
    } else {
      answer(response, 502, { message: `PostgREST: ${error.message}` })
    }
  })
  response.on('close', () => onward.destroy())
  request.pipe(onward)
}

// A key alone says who is asking: its token becomes the one that PostgREST looks at.
function forwardedHeaders({ apikey, ...headers }) {
  if (apikey !== undefined && headers.authorization === undefined) {
    headers.authorization = `Bearer ${apikey}`
  }
  return headers
}

// Nobody is let in by this answer: PostgREST checks the token itself.
function tellUser(request, response) {
  const claims = (request.headers.authorization ?? '').split('.')[1] ?? ''
  try {
    const { sub, email, role, aud } = JSON.parse(Buffer.from(claims, 'base64url'))
    answer(response, 200, { id: sub, email, role, aud })
  } catch {
    answer(response, 401, { message: 'no token' })
  }
}

function answer(response, status, body) {
  response.writeHead(status, { 'Content-Type': 'application/json' })
  response.end(JSON.stringify(body))
}
