-- Who may call what: the one list.
-- Pitfall: default privileges may have opened every function above to any role
-- by name, which REVOKE ... FROM PUBLIC does not take back.

DO $grants$
DECLARE
  v_function record;
BEGIN
  FOR v_function IN
    SELECT p.oid::regprocedure AS name,
           (SELECT string_agg(CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END, ', ')
              FROM (SELECT DISTINCT a.grantee FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
                     WHERE a.grantee <> p.proowner) AS g) AS grantees
      FROM pg_depend d
      JOIN pg_proc p ON p.oid = d.objid
     WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
       AND d.refclassid = 'pg_extension'::regclass
       AND d.refobjid = (SELECT e.oid FROM pg_extension e WHERE e.extname = 'studio_engine')
  LOOP
    IF v_function.grantees IS NOT NULL THEN
      EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %s', v_function.name, v_function.grantees);
    END IF;
    -- the owner of the data operates it, and may pass the right on
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s WITH GRANT OPTION', v_function.name,
                   current_setting('studio_setup.owner'));
  END LOOP;

  -- a restore may come before the roles; it has no data to protect yet
  IF to_regrole('anon') IS NULL OR to_regrole('authenticated') IS NULL OR to_regrole('service_role') IS NULL THEN
    RETURN;
  END IF;

  GRANT EXECUTE ON FUNCTION
    @extschema@.workflow_transitions(),
    @extschema@.workflow_diagram(text),
    @extschema@.save_draft_prompt(text, text, text, jsonb),
    @extschema@.get_draft_prompt(text)
    TO anon, authenticated, service_role;

  GRANT EXECUTE ON FUNCTION
    @extschema@.get_credit_balance(uuid),
    @extschema@.get_credit_summary(uuid),
    @extschema@.get_credit_lots(uuid),
    @extschema@.ensure_profile(uuid),
    @extschema@.claim_draft_prompt(text, uuid),
    @extschema@.cancel_job(uuid, text),
    @extschema@.retry_job(uuid),
    @extschema@.get_dashboard(uuid, integer),
    @extschema@.create_studio_job(uuid, text, text, integer, timestamptz, text, integer),
    @extschema@.cancel_studio_job(uuid, text),
    @extschema@.retry_studio_job(uuid),
    @extschema@.get_job_attempts(uuid),
    @extschema@.get_job_statistics(text, uuid, interval),
    pipeline.create_job(text, jsonb, uuid),
    pipeline.get_job(text),
    pipeline.cancel_job(text),
    pipeline.retry_job(text),
    pipeline.events_since(text, bigint, integer),
    pipeline.get_prompt(text),
    @extschema@.get_module_content(uuid),
    @extschema@.get_content_sections(uuid),
    @extschema@.get_latest_quality_assessment(uuid),
    @extschema@.search_module_content(text, uuid, integer),
    @extschema@.get_content_statistics(uuid),
    @extschema@.get_session_statistics(uuid)
    TO authenticated, service_role;

  GRANT EXECUTE ON FUNCTION
    @extschema@.get_settings(),
    @extschema@.repair_sign_ups(integer),
    @extschema@.verify_setup(),
    @extschema@.reserve_credits(uuid, uuid, integer),
    @extschema@.settle_credits(uuid, integer, text),
    @extschema@.release_credits(uuid, text),
    @extschema@.grant_credits(uuid, integer, text, text, timestamptz, integer),
    @extschema@.top_up_credits(uuid, integer, text, timestamptz, text),
    @extschema@.charge_credits(uuid, integer, text, text, text),
    @extschema@.hold_credits(uuid, integer, text, text, interval, text),
    @extschema@.capture_hold(uuid, integer, text),
    @extschema@.release_hold(uuid),
    @extschema@.purchase_credits(uuid, integer, text, text, timestamptz),
    @extschema@.subscription_credits(uuid, integer, text, text, timestamptz),
    @extschema@.refund_credits(uuid, integer, text, text),
    @extschema@.reverse_purchase(text, integer, text, text),
    @extschema@.reinstate_purchase(text, text, text),
    @extschema@.void_credits(uuid, integer, text, text),
    @extschema@.transfer_credits(uuid, uuid, integer, text, text),
    @extschema@.merge_accounts(uuid, uuid, text),
    @extschema@.apply_stripe_event(jsonb),
    @extschema@.expire_credits(integer),
    @extschema@.sweep_stale_holds(integer),
    @extschema@.verify_credit_ledger(uuid),
    @extschema@.cleanup_expired_drafts(integer),
    @extschema@.create_job(uuid, integer, integer, timestamptz, text, integer),
    @extschema@.create_job_steps(uuid, jsonb, uuid),
    @extschema@.update_job_step(uuid, text, text, integer, text, text, uuid),
    @extschema@.advance_job(uuid, text, integer, text, uuid, boolean),
    @extschema@.complete_job(uuid, text, jsonb, integer, uuid),
    @extschema@.fail_job(uuid, text, text, text, boolean, uuid, interval),
    @extschema@.record_asset(uuid, text, text, text, bigint, text, jsonb, uuid),
    @extschema@.log_job(uuid, text, text, text, jsonb, uuid),
    @extschema@.claim_jobs(text, text, integer, interval, text[], text),
    @extschema@.heartbeat_job(uuid, uuid, integer, text, interval),
    @extschema@.snooze_job(uuid, uuid, interval),
    @extschema@.release_leases(text, text, uuid[]),
    @extschema@.recover_leases(text, text),
    @extschema@.finish_and_claim(
      text, text, uuid, uuid, jsonb, jsonb, boolean, interval, integer, interval, text[], text),
    @extschema@.complete_jobs(text, jsonb),
    @extschema@.fail_jobs(text, jsonb),
    @extschema@.cancel_jobs(text, uuid[], text),
    @extschema@.retry_failed_jobs(text, text, timestamptz, integer),
    @extschema@.pause_queue(text, text, text),
    @extschema@.resume_queue(text, text),
    @extschema@.limit_stage(text, text, integer),
    @extschema@.get_queue_stages(text),
    @extschema@.get_running_jobs(text, integer),
    @extschema@.reap_expired_leases(integer),
    @extschema@.update_studio_job_status(uuid, text, uuid, boolean),
    @extschema@.store_transcript(uuid, text, uuid, boolean),
    @extschema@.store_enrichment(uuid, jsonb, uuid, boolean),
    @extschema@.store_refined_text(uuid, text, text, uuid),
    @extschema@.fail_studio_job(uuid, jsonb, boolean, uuid, interval),
    pipeline.set_job_status(text, text, text),
    pipeline.record_event(text, text, text, jsonb),
    pipeline.register_artifact(text, text, text, jsonb, bigint, text, text),
    pipeline.upsert_prompt(text, text, text, text),
    pipeline.delete_old_events(interval, integer),
    @extschema@.create_module_content(text, text, text, jsonb, uuid, jsonb, text),
    @extschema@.update_module_section(uuid, text, text),
    @extschema@.update_module_sections(uuid, jsonb),
    @extschema@.store_quality_assessment(uuid, numeric, jsonb, boolean, numeric, numeric, numeric, numeric, numeric, text,
                                         boolean, text[], text[]),
    @extschema@.start_enhancement_session(uuid, uuid, text, text[], text[]),
    @extschema@.complete_enhancement_session(uuid, boolean, boolean, text),
    @extschema@.create_course_plan(uuid, text, text, jsonb, text, integer, integer, jsonb, jsonb, jsonb, jsonb),
    @extschema@.store_research_results(uuid, text, jsonb, jsonb, jsonb, text[], text[], integer, integer, text),
    @extschema@.refresh_content_search(integer),
    @extschema@.archive_module_content(interval, integer),
    @extschema@.create_multimedia_session(uuid, text, text, text, jsonb, text[]),
    @extschema@.update_session_status(uuid, text, numeric, text, text),
    @extschema@.register_multimedia_asset(uuid, uuid, text, text, text, text, numeric, bigint, text, jsonb, text, text, text),
    @extschema@.register_multimedia_assets(uuid, jsonb),
    @extschema@.create_audio_narration(uuid, text, text, text, text, jsonb),
    @extschema@.update_audio_narration(uuid, text, numeric, jsonb, uuid, uuid[], text),
    @extschema@.create_slide_presentation(uuid, text, text, integer, jsonb, text, jsonb),
    @extschema@.update_slide_presentation(uuid, text, integer, jsonb, uuid, uuid, uuid),
    @extschema@.create_script_generation(uuid, text, text, jsonb),
    @extschema@.update_script_generation(uuid, text, text, text),
    @extschema@.record_video_view(uuid, numeric, boolean),
    @extschema@.enqueue_rendering(uuid, jsonb, integer, uuid, timestamptz, text, integer),
    @extschema@.update_rendering(uuid, text, integer, uuid, boolean),
    @extschema@.complete_rendering(uuid, uuid, uuid),
    @extschema@.fail_rendering(uuid, text, text, boolean, uuid, interval),
    @extschema@.cancel_rendering(uuid, text),
    @extschema@.retry_rendering(uuid),
    @extschema@.list_removed_files(integer),
    @extschema@.forget_removed_files(uuid[])
    TO service_role;
END
$grants$;
