-- A database with Supabase's default privileges has just opened every table
-- above to the API roles by name. Close them; attach/ opens what is meant to be.
-- Run once, so that grants which the owner adds later stay.

REVOKE ALL ON studio_engine.meta, studio_engine.settings, studio_engine.expiring_credits, studio_engine.ledger_hashes,
  studio_engine.queue, studio_engine.attempts, @extschema@.studio_jobs,
  @extschema@.profiles, @extschema@.draft_prompts, @extschema@.projects, @extschema@.jobs, @extschema@.job_steps,
  @extschema@.assets, @extschema@.logs, @extschema@.credit_accounts, @extschema@.credit_ledger,
  pipeline.jobs, pipeline.job_events, pipeline.artifacts, pipeline.prompts
  FROM PUBLIC, anon, authenticated, service_role;
REVOKE ALL ON studio_engine.content_search,
  @extschema@.cm_module_content,
  @extschema@.cm_course_plans,
  @extschema@.cm_research_results,
  @extschema@.cm_quality_assessments,
  @extschema@.cm_enhancement_sessions,
  @extschema@.mm_multimedia_sessions,
  @extschema@.mm_multimedia_assets,
  @extschema@.mm_audio_narrations,
  @extschema@.mm_slide_presentations,
  @extschema@.mm_script_generations,
  @extschema@.mm_video_analytics,
  @extschema@.mm_rendering_queue
  FROM PUBLIC, anon, authenticated, service_role;
IF (SELECT m.value FROM studio_engine.meta m WHERE m.name = 'companies') = 'own' THEN
  REVOKE ALL ON @extschema@.companies, @extschema@.employees FROM PUBLIC, anon, authenticated, service_role;
END IF;

REVOKE ALL ON SCHEMA pipeline FROM PUBLIC, anon, authenticated, service_role;
