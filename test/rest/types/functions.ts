// Every function of the API: its arguments, all of them, and its result.
// The pitfall: `satisfies` makes the list complete. A new function, or a new name of one, does not
// compile until it is here. That they do what they say is tested elsewhere; here nothing is sent.
import { createClient } from '@supabase/supabase-js'
import type { Database, Json } from './database.types.js'
import { answers } from './same.js'

const supabase = createClient<Database>('http://localhost', 'key')
const pipeline = supabase.schema('pipeline')

const id = '00000000-0000-4000-8000-000000000000'
const time = '2030-01-01T00:00:00Z'

const truth = answers<boolean>()
const number = answers<number>()
const text = answers<string>()
const nothing = answers<undefined>()
const json = answers<Json>()

type Done = { done: boolean; error_code: string; error_message: string; job_id: string }

export const publicFunctions = {
  advance_job: json(supabase.rpc('advance_job', {
    p_job_id: id, p_status: 'RENDERING', p_progress: 1, p_status_message: 'x', p_lease_token: id,
    p_hand_over: true
  })),
  archive_module_content: number(supabase.rpc('archive_module_content', { p_older_than: '30 days', p_limit: 100 })),
  cancel_job: json(supabase.rpc('cancel_job', { p_job_id: id, p_reason: 'Enough' })),
  cancel_jobs: answers<Done[]>()(supabase.rpc('cancel_jobs', { p_system: 'jobs', p_job_ids: [id], p_reason: 'Enough' })),
  cancel_rendering: json(supabase.rpc('cancel_rendering', { p_render_id: id, p_reason: 'Enough' })),
  cancel_studio_job: json(supabase.rpc('cancel_studio_job', { p_job_id: id, p_reason: 'Enough' })),
  capture_hold: number(supabase.rpc('capture_hold', { p_hold_id: id, p_amount: 1, p_overrun: 'cap' })),
  charge_credits: number(supabase.rpc('charge_credits', {
    p_user_id: id, p_amount: 10, p_idempotency_key: 'key-1', p_reference: 'chats:1', p_note: 'Note'
  })),
  claim_draft_prompt: text(supabase.rpc('claim_draft_prompt', { p_session_token: 'token', p_user_id: id })),
  claim_jobs: answers<{
    attempt: number; job: Json; job_id: string; lease_expires_at: string; lease_token: string
  }[]>()(supabase.rpc('claim_jobs', {
    p_system: 'jobs', p_worker: 'worker-1', p_limit: 100, p_lease: '1 minute', p_stages: ['QUEUED'], p_process_id: '1'
  })),
  cleanup_expired_drafts: number(supabase.rpc('cleanup_expired_drafts', { p_limit: 100 })),
  complete_enhancement_session: json(supabase.rpc('complete_enhancement_session', {
    p_session_id: id, p_research_conducted: true, p_content_regenerated: true, p_status: 'completed'
  })),
  complete_job: json(supabase.rpc('complete_job', {
    p_job_id: id, p_output_url: 'https://example.test/a.mp4', p_manifest: {}, p_final_cost: 1, p_lease_token: id
  })),
  complete_jobs: answers<Done[]>()(supabase.rpc('complete_jobs', {
    p_system: 'jobs', p_jobs: [{ job_id: id, lease_token: id, result: {} }]
  })),
  complete_rendering: json(supabase.rpc('complete_rendering', { p_render_id: id, p_asset_id: id, p_lease_token: id })),
  create_audio_narration: text(supabase.rpc('create_audio_narration', {
    p_session_id: id, p_narration_name: 'x', p_narration_type: 'x', p_section_name: 'introduction',
    p_script_content: 'x', p_voice_config: { speed: 1 }
  })),
  create_course_plan: text(supabase.rpc('create_course_plan', {
    p_employee_id: id, p_employee_name: 'x', p_session_id: 'x', p_course_structure: {}, p_course_title: 'x',
    p_course_duration_weeks: 1, p_total_modules: 1, p_prioritized_gaps: {}, p_research_strategy: {},
    p_learning_path: {}, p_employee_profile: {}
  })),
  create_job: text(supabase.rpc('create_job', {
    p_project_id: id, p_cost_credits: 10, p_priority: 1, p_run_at: 'x', p_idempotency_key: 'x', p_max_attempts: 1
  })),
  create_job_steps: number(supabase.rpc('create_job_steps', {
    p_job_id: id, p_steps: [{ step_name: 'script' }], p_lease_token: id
  })),
  create_module_content: text(supabase.rpc('create_module_content', {
    p_module_name: 'Rome', p_employee_name: 'x', p_session_id: 'x', p_module_spec: {}, p_company_id: id,
    p_research_context: {}, p_priority_level: 'x'
  })),
  create_multimedia_session: text(supabase.rpc('create_multimedia_session', {
    p_content_id: id, p_module_name: 'Rome', p_employee_name: 'x', p_session_type: 'x', p_generation_config: {},
    p_content_sections: ['introduction']
  })),
  create_script_generation: text(supabase.rpc('create_script_generation', {
    p_session_id: id, p_section_name: 'introduction', p_script_type: 'x', p_generation_config: {}
  })),
  create_slide_presentation: text(supabase.rpc('create_slide_presentation', {
    p_session_id: id, p_presentation_name: 'x', p_presentation_type: 'x', p_total_slides: 1, p_slide_order: {},
    p_template_used: 'x', p_theme_config: {}
  })),
  create_studio_job: json(supabase.rpc('create_studio_job', {
    p_user_id: id, p_raw_audio_url: 'https://example.test/a.mp3', p_system_prompt: 'x', p_priority: 1, p_run_at: 'x',
    p_idempotency_key: 'x', p_max_attempts: 1
  })),
  enqueue_rendering: text(supabase.rpc('enqueue_rendering', {
    p_session_id: id, p_render_config: {}, p_priority: 1, p_user_id: id, p_run_at: 'x', p_idempotency_key: 'x',
    p_max_attempts: 1
  })),
  disable_broadcast: answers<{
    removed: boolean; table_name: string
  }[]>()(supabase.rpc('disable_broadcast')),
  enable_broadcast: answers<{
    added: boolean; table_name: string
  }[]>()(supabase.rpc('enable_broadcast')),
  enable_realtime: answers<{
    added: boolean; table_name: string
  }[]>()(supabase.rpc('enable_realtime')),
  enable_storage: answers<{
    added: boolean; object_name: string
  }[]>()(supabase.rpc('enable_storage')),
  ensure_profile: json(supabase.rpc('ensure_profile', { p_user_id: id })),
  expire_credits: number(supabase.rpc('expire_credits', { p_limit: 100 })),
  fail_job: json(supabase.rpc('fail_job', {
    p_job_id: id, p_error_code: 'TIMEOUT', p_error_message: 'x', p_failed_step: 'x', p_retryable: true,
    p_lease_token: id, p_retry_in: '1 hour'
  })),
  fail_jobs: answers<Done[]>()(supabase.rpc('fail_jobs', { p_system: 'jobs', p_jobs: [{ job_id: id, lease_token: id }] })),
  fail_rendering: json(supabase.rpc('fail_rendering', {
    p_render_id: id, p_error_code: 'TIMEOUT', p_error_message: 'x', p_retryable: true, p_lease_token: id,
    p_retry_in: '1 hour'
  })),
  fail_studio_job: json(supabase.rpc('fail_studio_job', {
    p_job_id: id, p_error: {}, p_retryable: true, p_lease_token: id, p_retry_in: '1 hour'
  })),
  finish_and_claim: answers<{
    attempt: number; job: Json; job_id: string; lease_expires_at: string; lease_token: string
  }[]>()(supabase.rpc('finish_and_claim', {
    p_system: 'jobs', p_worker: 'worker-1', p_job_id: id, p_lease_token: id, p_result: {}, p_error: {}, p_retryable: true,
    p_retry_in: '1 hour', p_limit: 100, p_lease: '1 minute', p_stages: ['QUEUED'], p_process_id: '1'
  })),
  forget_removed_files: number(supabase.rpc('forget_removed_files', { p_file_ids: [id] })),
  get_content_sections: json(supabase.rpc('get_content_sections', { p_content_id: id })),
  get_content_statistics: json(supabase.rpc('get_content_statistics', { p_company_id: id })),
  get_credit_balance: number(supabase.rpc('get_credit_balance', { p_user_id: id })),
  get_credit_lots: answers<{
    amount: number; created_at: string; entry_id: string; expires_at: string; held: number; note: string; priority: number
    remaining: number; type: string
  }[]>()(supabase.rpc('get_credit_lots', { p_user_id: id })),
  get_credit_summary: json(supabase.rpc('get_credit_summary', { p_user_id: id })),
  get_dashboard: json(supabase.rpc('get_dashboard', { p_user_id: id, p_limit: 100 })),
  get_draft_prompt: json(supabase.rpc('get_draft_prompt', { p_session_token: 'token' })),
  get_job_attempts: answers<{
    attempt: number; ended_at: string; error: Json; outcome: string; stage: string; started_at: string; system: string
    worker: string
  }[]>()(supabase.rpc('get_job_attempts', { p_job_id: id })),
  get_job_statistics: json(supabase.rpc('get_job_statistics', { p_system: 'jobs', p_user_id: id, p_window: '1 day' })),
  get_latest_quality_assessment: json(supabase.rpc('get_latest_quality_assessment', { p_content_id: id })),
  get_module_content: json(supabase.rpc('get_module_content', { p_content_id: id })),
  get_queue_stages: answers<{
    delayed: number; max_running: number; oldest_waiting_at: string; parked: number; pause_reason: string; paused_at: string
    running: number; stage: string; waiting: number
  }[]>()(supabase.rpc('get_queue_stages', { p_system: 'jobs' })),
  get_running_jobs: answers<{
    attempt: number; cancel_reason: string; cancel_requested_at: string; job_id: string; lease_expires_at: string
    overdue: boolean; process_id: string; stage: string; started_at: string; system: string; user_id: string; worker: string
  }[]>()(supabase.rpc('get_running_jobs', { p_system: 'jobs', p_limit: 100 })),
  get_session_statistics: json(supabase.rpc('get_session_statistics', { p_session_id: id })),
  get_settings: answers<{
    default_value: string; description: string; max_value: number; min_value: number; name: string; type: string; value: string
  }[]>()(supabase.rpc('get_settings')),
  grant_credits: text(supabase.rpc('grant_credits', {
    p_user_id: id, p_amount: 10, p_note: 'Note', p_idempotency_key: 'key-1', p_expires_at: time, p_priority: 1
  })),
  heartbeat_job: json(supabase.rpc('heartbeat_job', {
    p_job_id: id, p_lease_token: id, p_progress: 1, p_status_message: 'x', p_lease: '1 minute'
  })),
  hold_credits: text(supabase.rpc('hold_credits', {
    p_user_id: id, p_amount: 10, p_reference: 'chats:1', p_note: 'Note', p_expires: '1 hour', p_idempotency_key: 'key-1'
  })),
  limit_stage: nothing(supabase.rpc('limit_stage', { p_system: 'jobs', p_stage: 'RENDERING', p_max_running: 10 })),
  list_removed_files: answers<{
    bucket: string; file_id: string; path: string; removed_at: string
  }[]>()(supabase.rpc('list_removed_files', { p_limit: 100 })),
  log_job: text(supabase.rpc('log_job', {
    p_job_id: id, p_level: 'info', p_message: 'Done', p_step_name: 'render', p_metadata: {}, p_lease_token: id
  })),
  merge_accounts: number(supabase.rpc('merge_accounts', {
    p_from_user_id: id, p_to_user_id: id, p_idempotency_key: 'key-1'
  })),
  pause_queue: nothing(supabase.rpc('pause_queue', { p_system: 'jobs', p_stage: 'RENDERING', p_reason: 'Enough' })),
  purchase_credits: text(supabase.rpc('purchase_credits', {
    p_user_id: id, p_amount: 10, p_stripe_payment_id: 'pi_1', p_note: 'Note', p_expires_at: time
  })),
  reap_expired_leases: number(supabase.rpc('reap_expired_leases', { p_limit: 100 })),
  record_asset: text(supabase.rpc('record_asset', {
    p_job_id: id, p_type: 'x', p_url: 'https://example.test/a.mp4', p_storage_path: 'video/introduction/1_a.mp4',
    p_size_bytes: 1, p_mime_type: 'video/mp4', p_metadata: {}, p_lease_token: id
  })),
  record_video_view: json(supabase.rpc('record_video_view', { p_asset_id: id, p_watch_seconds: 8.5, p_completed: true })),
  refresh_content_search: number(supabase.rpc('refresh_content_search', { p_limit: 100 })),
  refund_credits: number(supabase.rpc('refund_credits', {
    p_job_id: id, p_amount: 10, p_note: 'Note', p_idempotency_key: 'key-1'
  })),
  register_multimedia_asset: text(supabase.rpc('register_multimedia_asset', {
    p_session_id: id, p_content_id: id, p_asset_type: 'video', p_file_path: 'a.mp4', p_asset_name: 'x',
    p_section_name: 'introduction', p_duration_seconds: 8.5, p_file_size_bytes: 1, p_mime_type: 'video/mp4',
    p_generation_config: {}, p_storage_bucket: 'x', p_storage_path: 'video/introduction/1_a.mp4', p_public_url: 'x'
  })),
  register_multimedia_assets: json(supabase.rpc('register_multimedia_assets', {
    p_session_id: id, p_assets: [{ asset_type: 'video' }]
  })),
  apply_stripe_event: json(supabase.rpc('apply_stripe_event', { p_event: { id: 'evt_1' } })),
  reinstate_purchase: number(supabase.rpc('reinstate_purchase', {
    p_stripe_payment_id: 'pi_1', p_note: 'Note', p_idempotency_key: 'key'
  })),
  recover_leases: number(supabase.rpc('recover_leases', { p_worker: 'worker-1', p_process_id: '1' })),
  release_credits: number(supabase.rpc('release_credits', { p_job_id: id, p_note: 'Note' })),
  release_hold: number(supabase.rpc('release_hold', { p_hold_id: id })),
  release_leases: number(supabase.rpc('release_leases', {
    p_worker: 'worker-1', p_process_id: '1', p_lease_tokens: [id]
  })),
  reserve_credits: truth(supabase.rpc('reserve_credits', { p_user_id: id, p_job_id: id, p_amount: 10 })),
  retry_job: json(supabase.rpc('retry_job', { p_job_id: id })),
  resume_queue: truth(supabase.rpc('resume_queue', { p_system: 'jobs', p_stage: 'RENDERING' })),
  retry_failed_jobs: answers<Done[]>()(supabase.rpc('retry_failed_jobs', {
    p_system: 'jobs', p_error_code: 'TIMEOUT', p_since: time, p_limit: 100
  })),
  retry_rendering: json(supabase.rpc('retry_rendering', { p_render_id: id })),
  retry_studio_job: json(supabase.rpc('retry_studio_job', { p_job_id: id })),
  repair_sign_ups: number(supabase.rpc('repair_sign_ups', { p_limit: 100 })),
  reverse_purchase: number(supabase.rpc('reverse_purchase', {
    p_stripe_payment_id: 'pi_1', p_amount: 10, p_note: 'Note', p_idempotency_key: 'key-1'
  })),
  save_draft_prompt: text(supabase.rpc('save_draft_prompt', {
    p_session_token: 'token', p_prompt_text: 'x', p_template_id: 'x', p_options: {}
  })),
  search_module_content: answers<{
    content_id: string; headline: string; module_name: string; rank: number; section: string
  }[]>()(supabase.rpc('search_module_content', {
    p_query: 'fall of Rome', p_company_id: id, p_limit: 100
  })),
  set_setting: text(supabase.rpc('set_setting', { p_name: 'max_attempts', p_value: '3' })),
  settle_credits: number(supabase.rpc('settle_credits', { p_job_id: id, p_final_cost: 1, p_overrun: 'cap' })),
  snooze_job: text(supabase.rpc('snooze_job', { p_job_id: id, p_lease_token: id, p_for: '1 minute' })),
  start_enhancement_session: text(supabase.rpc('start_enhancement_session', {
    p_content_id: id, p_quality_assessment_id: id, p_enhancement_type: 'x', p_sections_to_enhance: ['introduction'],
    p_sections_preserved: ['introduction']
  })),
  store_enrichment: json(supabase.rpc('store_enrichment', {
    p_job_id: id, p_entities: {}, p_lease_token: id, p_hand_over: true
  })),
  store_quality_assessment: text(supabase.rpc('store_quality_assessment', {
    p_content_id: id, p_overall_score: 8.5, p_section_scores: {}, p_passed: true, p_accuracy_score: 8.5,
    p_clarity_score: 8.5, p_completeness_score: 8.5, p_engagement_score: 8.5, p_personalization_score: 8.5,
    p_quality_feedback: 'x', p_requires_revision: true, p_sections_needing_work: ['introduction'],
    p_critical_issues: ['none']
  })),
  store_refined_text: json(supabase.rpc('store_refined_text', {
    p_job_id: id, p_text: 'Written', p_model_version: 'x', p_lease_token: id
  })),
  store_research_results: text(supabase.rpc('store_research_results', {
    p_plan_id: id, p_session_id: 'x', p_research_findings: {}, p_content_library: {}, p_module_mappings: {},
    p_search_queries: ['rome'], p_sources_analyzed: ['livy'], p_total_topics: 1, p_total_sources: 1,
    p_status: 'RENDERING'
  })),
  store_transcript: json(supabase.rpc('store_transcript', {
    p_job_id: id, p_transcript: 'Spoken', p_lease_token: id, p_hand_over: true
  })),
  subscription_credits: text(supabase.rpc('subscription_credits', {
    p_user_id: id, p_amount: 10, p_stripe_payment_id: 'pi_1', p_note: 'Note', p_expires_at: time
  })),
  sweep_stale_holds: number(supabase.rpc('sweep_stale_holds', { p_limit: 100 })),
  top_up_credits: number(supabase.rpc('top_up_credits', {
    p_user_id: id, p_target: 10, p_idempotency_key: 'key-1', p_expires_at: time, p_note: 'Note'
  })),
  transfer_credits: number(supabase.rpc('transfer_credits', {
    p_from_user_id: id, p_to_user_id: id, p_amount: 10, p_idempotency_key: 'key-1', p_note: 'Note'
  })),
  update_audio_narration: json(supabase.rpc('update_audio_narration', {
    p_narration_id: id, p_status: 'RENDERING', p_total_duration_seconds: 8.5, p_audio_segments: {},
    p_master_audio_id: id, p_segments_audio_ids: [id], p_script_content: 'x'
  })),
  update_job_step: json(supabase.rpc('update_job_step', {
    p_job_id: id, p_step_name: 'render', p_state: 'started', p_progress_pct: 1, p_status_message: 'x',
    p_error_message: 'x', p_lease_token: id
  })),
  update_module_section: number(supabase.rpc('update_module_section', {
    p_content_id: id, p_section_name: 'introduction', p_section_content: 'Text'
  })),
  update_module_sections: number(supabase.rpc('update_module_sections', {
    p_content_id: id, p_sections: { introduction: 'Text' }
  })),
  update_rendering: json(supabase.rpc('update_rendering', {
    p_render_id: id, p_status: 'RENDERING', p_progress: 1, p_lease_token: id, p_hand_over: true
  })),
  update_script_generation: json(supabase.rpc('update_script_generation', {
    p_script_id: id, p_status: 'RENDERING', p_script_content: 'x', p_error_message: 'x'
  })),
  update_session_status: json(supabase.rpc('update_session_status', {
    p_session_id: id, p_status: 'RENDERING', p_progress_percentage: 8.5, p_current_stage: 'x', p_error_message: 'x'
  })),
  update_slide_presentation: json(supabase.rpc('update_slide_presentation', {
    p_presentation_id: id, p_status: 'RENDERING', p_total_slides: 1, p_slide_order: {}, p_pdf_asset_id: id,
    p_pptx_asset_id: id, p_html_asset_id: id
  })),
  update_studio_job_status: json(supabase.rpc('update_studio_job_status', {
    p_job_id: id, p_status: 'RENDERING', p_lease_token: id, p_hand_over: true
  })),
  verify_credit_ledger: answers<{
    actual: string; entry_id: string; expected: string; problem: string; user_id: string
  }[]>()(supabase.rpc('verify_credit_ledger', { p_user_id: id })),
  verify_setup: answers<{
    detail: string; name: string; ok: boolean; remedy: string
  }[]>()(supabase.rpc('verify_setup')),
  void_credits: number(supabase.rpc('void_credits', {
    p_entry_id: id, p_amount: 10, p_note: 'Note', p_idempotency_key: 'key-1'
  })),
  workflow_diagram: text(supabase.rpc('workflow_diagram', { p_workflow: 'jobs' })),
  workflow_transitions: answers<{
    condition: string; from_status: string; to_status: string; via: string; workflow: string
  }[]>()(supabase.rpc('workflow_transitions')),
} satisfies Record<keyof Database['public']['Functions'], unknown>

export const pipelineFunctions = {
  cancel_job: json(pipeline.rpc('cancel_job', { p_run_id: 'run-1' })),
  create_job: json(pipeline.rpc('create_job', { p_run_id: 'run-1', p_project_spec: {}, p_owner_id: id })),
  delete_old_events: number(pipeline.rpc('delete_old_events', { p_older_than: '30 days', p_limit: 100 })),
  events_since: answers<{
    bot_name: string; created_at: string; event_type: string; id: string; owner_id: string; payload: Json; run_id: string; seq: number
  }[]>()(pipeline.rpc('events_since', { p_run_id: 'run-1', p_after: 1, p_limit: 100 })),
  get_job: json(pipeline.rpc('get_job', { p_run_id: 'run-1' })),
  get_prompt: json(pipeline.rpc('get_prompt', { p_id: 'x' })),
  record_event: number(pipeline.rpc('record_event', {
    p_run_id: 'run-1', p_bot_name: 'writer', p_event_type: 'note', p_payload: {}
  })),
  register_artifact: text(pipeline.rpc('register_artifact', {
    p_run_id: 'run-1', p_kind: 'zip', p_url: 'https://example.test/a.mp4', p_meta: {}, p_file_size: 1,
    p_content_type: 'x', p_checksum: 'c0ffee'
  })),
  retry_job: json(pipeline.rpc('retry_job', { p_run_id: 'run-1' })),
  set_job_status: json(pipeline.rpc('set_job_status', { p_run_id: 'run-1', p_status: 'RENDERING', p_error_message: 'x' })),
  upsert_prompt: json(pipeline.rpc('upsert_prompt', { p_id: 'x', p_category: 'x', p_context: 'x', p_prompt_text: 'x' })),
} satisfies Record<keyof Database['pipeline']['Functions'], unknown>
