-- A database with Supabase's default privileges has just opened every table
-- above to the API roles by name. Close them; attach/ opens what is meant to be.
-- Run once, so that grants which the owner adds later stay.

REVOKE ALL ON studio_engine.meta, studio_engine.settings, studio_engine.expiring_credits, studio_engine.ledger_hashes,
  studio_engine.queue, studio_engine.attempts, @extschema@.studio_jobs,
  @extschema@.profiles, @extschema@.draft_prompts, @extschema@.projects, @extschema@.jobs, @extschema@.job_steps,
  @extschema@.assets, @extschema@.logs, @extschema@.credit_accounts, @extschema@.credit_ledger,
  pipeline.jobs, pipeline.job_events, pipeline.artifacts, pipeline.prompts
  FROM PUBLIC, anon, authenticated, service_role;
