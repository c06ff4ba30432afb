// examples/remove_files.mjs as its users run it: a process of its own, before a stand-in for Supabase Storage that
// keeps a list of what it was told to delete.  The rest of the API is the one of the other tests.
//
// Pitfall: modules are looked for beside the file that imports them, so a copy of it runs here.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { copyFile, rm } from 'node:fs/promises'
import http from 'node:http'
import { after, before, beforeEach, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { sql } from './lib/api.mjs'

const copy = fileURLToPath(new URL('./remove_files.copy.mjs', import.meta.url))
const { SUPABASE_URL, SUPABASE_SERVICE_KEY } = process.env
const run = promisify(execFile)

let storage
let url
let deleted
// what happens while Storage deletes; it answers with an error where this returns false
let meanwhile

async function bodyOf(request) {
  const chunks = []
  for await (const chunk of request) {
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

async function answer(request) {
  const body = await bodyOf(request)
  const bucket = request.url.match(/^\/storage\/v1\/object\/([^/]+)$/)?.[1]
  if (bucket === undefined) {
    const { host, connection, ...headers } = request.headers
    const response = await fetch(SUPABASE_URL + request.url, { method: request.method, headers, body: body.length > 0 ? body : undefined })
    return { status: response.status, text: await response.text() }
  }
  if (request.method !== 'DELETE' || !await meanwhile(bucket)) {
    return { status: 400, text: JSON.stringify({ statusCode: '404', error: 'Bucket not found', message: 'Bucket not found' }) }
  }
  const { prefixes } = JSON.parse(body)
  deleted.push(...prefixes.map((path) => `${decodeURIComponent(bucket)}: ${path}`))
  return { status: 200, text: JSON.stringify(prefixes.map((name) => ({ name }))) }
}

before(async () => {
  await copyFile(new URL('../../examples/remove_files.mjs', import.meta.url), copy)
  storage = http.createServer(async (request, response) => {
    const { status, text } = await answer(request)
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(text)
  })
  await new Promise((resolve) => { storage.listen(0, '127.0.0.1', resolve) })
  url = `http://127.0.0.1:${storage.address().port}`
})
after(async () => {
  storage.close()
  await rm(copy, { force: true })
})
beforeEach(async () => {
  deleted = []
  meanwhile = async () => true
  await sql('DELETE FROM studio_engine.removed_files')
})

// Assets that came and went, oldest first.
async function removedAssets(bucket, ...paths) {
  for (const path of paths) {
    await sql(`INSERT INTO mm_multimedia_assets (asset_type, storage_bucket, storage_path) VALUES ('video', $1, $2)`, [bucket, path])
    await sql('DELETE FROM mm_multimedia_assets WHERE storage_path = $1', [path])
  }
}

const removeFiles = (env = {}) => run(process.execPath, [copy],
  { env: { ...process.env, SUPABASE_URL: url, SUPABASE_SERVICE_KEY, ...env } })
const left = async () => (await sql('SELECT path FROM list_removed_files()')).map(({ path }) => path)

test('files are deleted from their buckets and forgotten', async () => {
  await removedAssets('multimedia-assets', 'video/1.mp4', 'a b/ü#?.mp4')
  await removedAssets('other bucket', 'video/1.mp4')
  await sql('INSERT INTO studio_engine.removed_files (path) VALUES ($1)', ['films/1.mp4'])
  assert.equal((await removeFiles()).stdout, '3 removed\n')
  assert.deepEqual(deleted.sort(), ['multimedia-assets: a b/ü#?.mp4', 'multimedia-assets: video/1.mp4', 'other bucket: video/1.mp4'])
  assert.deepEqual(await left(), ['films/1.mp4'])
  assert.equal((await removeFiles({ VIDEO_BUCKET: 'videos' })).stdout, '1 removed\n')
  assert.equal(deleted.at(-1), 'videos: films/1.mp4')
  assert.deepEqual(await left(), [])
})

test('what Storage refuses stays on the list, and does not hold up other buckets', async () => {
  await removedAssets('gone', 'video/1.mp4')
  await removedAssets('multimedia-assets', 'video/2.mp4')
  meanwhile = async (bucket) => bucket !== 'gone'
  const { stdout, stderr } = await removeFiles()
  assert.equal(stdout, '1 removed\n')
  assert.match(stderr, /"bucket":"gone"/)
  assert.deepEqual(await left(), ['video/1.mp4'])
})

test('a list that is longer than a page, and a path that is registered again meanwhile', async () => {
  await sql(`INSERT INTO studio_engine.removed_files (bucket, path, removed_at) SELECT 'b', 'v/' || n, now() + n * interval '1 s' FROM generate_series(1, 1100) n`)
  meanwhile = async () => {
    meanwhile = async () => true
    await sql(`INSERT INTO mm_multimedia_assets (asset_type, storage_bucket, storage_path) VALUES ('video', 'b', 'v/7')`)
    return true
  }
  const { stdout, stderr } = await removeFiles()
  assert.equal(stdout, '1099 removed\n')
  assert.match(stderr, /upload again","files":1}/)
  assert.equal(deleted.length, 1100)
  assert.deepEqual(await left(), [])
})
