// One typed request of each kind, and what its answer is.
// The pitfall: an embedded table is an object or an array by the foreign key, which only the
// generated Relationships know.
import { createClient } from '@supabase/supabase-js'
import type { Database, Json, Tables, TablesInsert, TablesUpdate } from './database.types.js'
import { answers } from './same.js'

const supabase = createClient<Database>('http://localhost', 'key')

export async function select(userId: string) {
  answers<Tables<'credit_ledger'>[]>()(supabase.from('credit_ledger').select().eq('user_id', userId).range(0, 9))
  answers<{ id: string; status: Database['public']['Enums']['job_status']; progress: number | null }[]>()(
    supabase.from('jobs').select('id, status, progress').in('status', ['QUEUED', 'READY']))
  answers<Tables<'profiles'>>()(supabase.from('profiles').select().eq('id', userId).maybeSingle())
  answers<{ id: string }[]>()(supabase.from('jobs').select('id', { count: 'exact', head: true }))
}

export async function selectWithEmbedding() {
  answers<{
    id: string
    projects: { title: string }
    job_steps: { step_name: string; state: Database['public']['Enums']['step_status'] | null }[]
    assets: { type: string; url: string }[]
  }[]>()(supabase.from('jobs').select('id, projects (title), job_steps (step_name, state), assets (type, url)'))
  answers<{ title: string; jobs: { id: string; job_steps: { id: string }[] }[] }[]>()(
    supabase.from('projects').select('title, jobs (id, job_steps (id))'))
  answers<{ name: string; employees: { name: string }[] }[]>()(supabase.from('companies').select('name, employees!inner (name)'))
  answers<{ presentation_name: string | null; pdf: { file_path: string | null } | null }[]>()(
    supabase.from('mm_slide_presentations')
      .select('presentation_name, pdf:mm_multimedia_assets!mm_slide_presentations_pdf_asset_id_fkey (file_path)'))
}

export async function write(userId: string, projectId: string) {
  const project: TablesInsert<'projects'> = { user_id: userId, title: 'Rome', prompt_text: 'The fall', niche_preset: 'history' }
  answers<{ id: string; created_at: string | null }>()(supabase.from('projects').insert(project).select('id, created_at').single())
  answers<Tables<'projects'>[]>()(supabase.from('projects').insert([project, project]).select())
  const change: TablesUpdate<'projects'> = { title: 'Carthage', settings: { music: true } }
  answers<null>()(supabase.from('projects').update(change).eq('id', projectId))
  answers<{ title: string }[]>()(supabase.from('projects').update(change).eq('id', projectId).select('title'))
  answers<null>()(supabase.from('projects').delete().eq('id', projectId))
}

export async function call(userId: string) {
  answers<number>()(supabase.rpc('get_credit_balance', { p_user_id: userId }))
  answers<Json>()(supabase.rpc('get_dashboard', {}))
  answers<Json>()(supabase.rpc('get_dashboard', undefined, { get: true }))
}

// Accept-Profile
export async function otherSchema(runId: string) {
  const pipeline = supabase.schema('pipeline')
  answers<Tables<{ schema: 'pipeline' }, 'jobs'>[]>()(pipeline.from('jobs').select())
  answers<{ run_id: string; artifacts: { kind: string; url: string | null }[] }[]>()(
    pipeline.from('jobs').select('run_id, artifacts (kind, url)').eq('run_id', runId))
  answers<Json>()(pipeline.rpc('get_job', { p_run_id: runId }))
}
