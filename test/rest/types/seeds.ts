// The TypeScript of the seeds, 001 and 003: their statements word for word, under strict.
// The pitfall: the only word of ours is <Database>. Without it everything is `any`, and compiles.
import { createClient } from '@supabase/supabase-js'
import type { Database, Json } from './database.types.js'
import { type Same, holds } from './same.js'

declare global {
  namespace NodeJS {
    interface ProcessEnv {
      SUPABASE_URL: string
      SUPABASE_SERVICE_KEY: string
    }
  }
}

export async function frontend(user: { id: string }, jobId: string) {
const supabase = createClient<Database>(
  process.env.NEXT_PUBLIC_SUPABASE_URL!,
  process.env.NEXT_PUBLIC_SUPABASE_ANON_KEY!
)

// Get user's jobs
const { data: jobs } = await supabase
  .from('studio_jobs')
  .select('*')
  .eq('user_id', user.id)
  .order('created_at', { ascending: false })

// Get specific job's refined text
const { data: job } = await supabase
  .from('studio_jobs')
  .select('refined_text, status')
  .eq('job_id', jobId)
  .single()

  holds<Same<typeof jobs, Database['public']['Tables']['studio_jobs']['Row'][] | null>>()
  holds<Same<typeof job, { refined_text: string | null; status: string } | null>>()

// Subscribe to job status changes
const subscription = supabase
  .channel('studio_jobs_changes')
  .on(
    'postgres_changes',
    {
      event: 'UPDATE',
      schema: 'public',
      table: 'studio_jobs',
      filter: `user_id=eq.${user.id}`
    },
    (payload) => {
      console.log('Job updated:', payload.new)
      // Update UI with new status
    }
  )
  .subscribe()

  return subscription
}

export function server() {
// Supabase handles pooling via PgBouncer
const supabase = createClient<Database>(
  process.env.SUPABASE_URL,
  process.env.SUPABASE_SERVICE_KEY,
  {
    db: {
      schema: 'public',
    },
    auth: {
      persistSession: false,
    },
  }
);

  return supabase
}

// 000 has these in Python; the columns and words are the same.
export async function orchestrator(user: { id: string }) {
  const supabase = server()
  const { data: job } = await supabase.from('studio_jobs').insert({
    user_id: user.id,
    status: 'NEW',
    raw_audio_url: 'https://example.test/audio.mp3',
    system_prompt_used: 'In the voice of the brand',
  }).select().single()
  const entities: Json = { people: ['Ada'], places: [] }
  await supabase.from('studio_jobs').update({ status: 'TRANSCRIBING' }).eq('job_id', job!.job_id)
  await supabase.from('studio_jobs').update({ raw_transcript: 'Spoken', status: 'ENRICHING' }).eq('job_id', job!.job_id)
  await supabase.from('studio_jobs').update({ enrichment_entities: entities, status: 'REFINING' }).eq('job_id', job!.job_id)
  await supabase.from('studio_jobs').update({ refined_text: 'Written', status: 'COMPLETE' }).eq('job_id', job!.job_id)
}
