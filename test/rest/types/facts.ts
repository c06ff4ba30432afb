// Facts that a client's code leans on, said once more by hand.
// The pitfall: the generator takes a column for optional in Insert when it may be NULL or has a
// default; what a trigger fills in is not known to it.
import type { Database, Enums, Tables, TablesInsert, TablesUpdate } from './database.types.js'
import { type Same, holds } from './same.js'

type Public = Database['public']
type Pipeline = Database['pipeline']
type Optional<T> = { [K in keyof T]-?: {} extends Pick<T, K> ? K : never }[keyof T]
type Required<T> = Exclude<keyof T, Optional<T>>

// The words of the seeds.
holds<Same<Enums<'job_status'>, 'PENDING' | 'QUEUED' | 'SCRIPTING' | 'VOICE_GEN' | 'ALIGNMENT' | 'VISUAL_PLAN' | 'IMAGE_GEN'
  | 'TIMELINE' | 'RENDERING' | 'PACKAGING' | 'READY' | 'FAILED'>>()
holds<Same<Enums<'step_status'>, 'pending' | 'started' | 'succeeded' | 'failed'>>()
holds<Same<Tables<'jobs'>['status'], Enums<'job_status'>>>()

// The API and nothing else: no private schema, no function of a trigger, no view.
holds<Same<Exclude<keyof Database, '__InternalSupabase'>, 'public' | 'pipeline'>>()
holds<Same<Extract<keyof Public['Functions'], 'handle_new_user' | 'update_updated_at'>, never>>()
holds<Same<keyof Public['Views'] | keyof Pipeline['Views'], never>>()
holds<Same<keyof Pipeline['Tables'], 'artifacts' | 'job_events' | 'jobs' | 'prompts'>>()
holds<Same<keyof Public['Tables'],
  | 'profiles' | 'draft_prompts' | 'projects' | 'jobs' | 'job_steps' | 'assets' | 'logs' | 'credit_accounts' | 'credit_ledger'
  | 'studio_jobs' | 'companies' | 'employees' | 'cm_module_content' | 'cm_course_plans' | 'cm_research_results'
  | 'cm_quality_assessments' | 'cm_enhancement_sessions' | 'mm_multimedia_sessions' | 'mm_multimedia_assets'
  | 'mm_audio_narrations' | 'mm_slide_presentations' | 'mm_script_generations' | 'mm_video_analytics' | 'mm_rendering_queue'>>()

// What is not there yet is null; what always is, is not.
holds<Same<Tables<'jobs'>['started_at'], string | null>>()
holds<Same<Tables<'jobs'>['output_url'], string | null>>()
holds<Same<Tables<'studio_jobs'>['refined_text'], string | null>>()
holds<Same<Tables<'studio_jobs'>['processing_time_ms'], number | null>>()
holds<Same<Tables<'studio_jobs'>['status'], string>>()
holds<Same<Tables<'projects'>['user_id'], string>>()
holds<Same<Tables<'credit_accounts'>['balance'], number>>()
holds<Same<Tables<'credit_ledger'>['amount'], number>>()
holds<Same<Tables<'mm_multimedia_assets'>['file_size_bytes'], number | null>>()

// What a new row needs, and a change does not.
holds<Same<Required<TablesInsert<'projects'>>, 'user_id' | 'title' | 'prompt_text' | 'niche_preset'>>()
holds<Same<Required<TablesInsert<'jobs'>>, 'project_id' | 'user_id'>>()
holds<Same<Required<TablesInsert<{ schema: 'pipeline' }, 'jobs'>>, 'run_id' | 'project_spec'>>()
holds<Same<Required<TablesInsert<'cm_module_content'>>, 'module_name'>>()
holds<Same<Required<TablesUpdate<'projects'>>, never>>()

// Arguments with a default may be left out, the others may not.
holds<Same<Required<Public['Functions']['reserve_credits']['Args']>, 'p_user_id' | 'p_job_id' | 'p_amount'>>()
holds<Same<Required<Public['Functions']['settle_credits']['Args']>, 'p_job_id'>>()
holds<Same<Required<Public['Functions']['save_draft_prompt']['Args']>, 'p_session_token' | 'p_prompt_text'>>()
holds<Same<Required<Pipeline['Functions']['create_job']['Args']>, 'p_run_id' | 'p_project_spec'>>()

// Names of foreign keys are part of the API: embedding by hint uses them.
holds<Same<Public['Tables']['jobs']['Relationships'][number]['foreignKeyName'], 'jobs_project_id_fkey'>>()
holds<Same<Public['Tables']['mm_slide_presentations']['Relationships'][number]['foreignKeyName'],
  | 'mm_slide_presentations_session_id_fkey' | 'mm_slide_presentations_content_id_fkey' | 'mm_slide_presentations_company_id_fkey'
  | 'mm_slide_presentations_pdf_asset_id_fkey' | 'mm_slide_presentations_pptx_asset_id_fkey' | 'mm_slide_presentations_html_asset_id_fkey'>>()
