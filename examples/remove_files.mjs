// Deletes the files whose assets are gone from Supabase Storage.  Run it from time to time.
//
//     npm install @supabase/supabase-js
//     SUPABASE_URL=https://... SUPABASE_SERVICE_KEY=... VIDEO_BUCKET=videos node remove_files.mjs
//
// VIDEO_BUCKET is where the workers of video jobs put their files; without it those are left alone.
// Pitfall: a file is forgotten after it is deleted and not before, so that what breaks in between is done again.
import { createClient } from '@supabase/supabase-js'

const { SUPABASE_URL, SUPABASE_SERVICE_KEY, VIDEO_BUCKET } = process.env

const supabase = createClient(SUPABASE_URL, SUPABASE_SERVICE_KEY, { auth: { persistSession: false } })

function inBuckets(files) {
  const buckets = new Map()
  for (const file of files) {
    const bucket = file.bucket ?? VIDEO_BUCKET
    if (bucket !== undefined) {
      buckets.set(bucket, [...(buckets.get(bucket) ?? []), file])
    }
  }
  return buckets
}

function check({ data, error }) {
  if (error !== null) {
    throw error
  }
  return data
}

// How many files of a bucket were deleted; none where Storage refuses, which is logged and tried again the next time.
async function removeFrom(bucket, files) {
  const { error } = await supabase.storage.from(bucket).remove(files.map((file) => file.path))
  if (error !== null) {
    console.error(JSON.stringify({ bucket, files: files.length, message: error.message }))
    return 0
  }
  const forgotten = check(await supabase.rpc('forget_removed_files', { p_file_ids: files.map((file) => file.file_id) }))
  if (forgotten < files.length) {
    console.error(JSON.stringify({ bucket, message: 'registered again meanwhile: upload again', files: files.length - forgotten }))
  }
  return forgotten
}

let removed
let total = 0
do {
  const files = check(await supabase.rpc('list_removed_files'))
  removed = 0
  for (const [bucket, ofBucket] of inBuckets(files)) {
    removed += await removeFrom(bucket, ofBucket)
  }
  total += removed
} while (removed > 0)
console.log(`${total} removed`)
