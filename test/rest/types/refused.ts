// What must not compile. tsc complains of an expected error that does not come.
// The pitfall: any error will do, so each is one short line that differs from a good one by a word.
import { createClient } from '@supabase/supabase-js'
import type { Database } from './database.types.js'

const supabase = createClient<Database>('http://localhost', 'key')
const id = '00000000-0000-4000-8000-000000000000'
const project = { user_id: id, title: 'Rome', prompt_text: 'The fall' }

export async function misspelt() {
  // @ts-expect-error no such table
  supabase.from('job')
  // @ts-expect-error no such function
  supabase.rpc('get_balance', { p_user_id: id })
  // @ts-expect-error no such argument
  supabase.rpc('get_credit_balance', { user_id: id })
  // @ts-expect-error no such schema
  supabase.schema('studio_engine')
  // @ts-expect-error a table of the other schema
  supabase.from('job_events')
  // @ts-expect-error no such column
  supabase.from('jobs').update({ cost: 10 })
  // @ts-expect-error no such column in the row
  void (await supabase.from('jobs').select('id').single()).data?.status
  // @ts-expect-error no such column to select
  void (await supabase.from('jobs').select('id, stauts').single()).data?.id
  // @ts-expect-error no such table to embed
  void (await supabase.from('jobs').select('id, steps (id)').single()).data?.steps[0].id
  // @ts-expect-error which of three foreign keys
  void (await supabase.from('mm_slide_presentations').select('mm_multimedia_assets (file_path)').single()).data?.mm_multimedia_assets.file_path
}

export async function mistyped() {
  // @ts-expect-error an argument is missing
  supabase.rpc('reserve_credits', { p_user_id: id, p_job_id: id })
  // @ts-expect-error an argument is text
  supabase.rpc('reserve_credits', { p_user_id: id, p_job_id: id, p_amount: '10' })
  // @ts-expect-error an argument is null
  supabase.rpc('reserve_credits', { p_user_id: id, p_job_id: id, p_amount: null })
  // @ts-expect-error no word of the flow
  supabase.from('jobs').update({ status: 'DONE' })
  // @ts-expect-error no word of the flow to compare with
  supabase.from('jobs').select().eq('status', 'DONE')
  // @ts-expect-error a number for a text
  supabase.from('projects').update({ title: 1 })
  // @ts-expect-error a column is missing
  supabase.from('projects').insert(project)
  // @ts-expect-error null where there is always a value
  supabase.from('projects').insert({ ...project, niche_preset: null })
  // @ts-expect-error null is among the answers
  void (await supabase.rpc('get_credit_balance', { p_user_id: id })).data.toFixed()
  // @ts-expect-error null is among the values
  void (await supabase.from('jobs').select('started_at').single()).data?.started_at.length
}
