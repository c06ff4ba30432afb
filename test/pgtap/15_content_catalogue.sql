-- Seed 004 to the letter: names, types and references of the content tables in its
-- order; then what we added, and the constraints and triggers on all of it.
-- The pitfall: the seed says array and timestamp; text[], uuid[] for identifiers and
-- timestamptz is what its clients send and get.  Its file_size_bytes is wider here.
SET search_path = tap, public, pg_catalog;
SET client_min_messages = warning;

BEGIN;
SELECT plan(9);

CREATE FUNCTION pg_temp.lines(p_query text) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
	v_lines text[];
BEGIN
	EXECUTE format('SELECT array_agg(q::text) FROM (%s) q', p_query) INTO v_lines;
	RETURN v_lines;
END $$;
CREATE FUNCTION pg_temp.beyond(p_lines text[], p_others text[]) RETURNS text
LANGUAGE sql AS $$
	SELECT COALESCE(string_agg(line, E'\n' ORDER BY line COLLATE "C"), 'nothing more')
	FROM (SELECT unnest(p_lines) EXCEPT ALL SELECT unnest(p_others)) AS t (line);
$$;
CREATE FUNCTION pg_temp.same_rows(p_query text, p_expected text, p_description text) RETURNS text
LANGUAGE sql AS $$
	SELECT is('there is ' || pg_temp.beyond(pg_temp.lines(p_query), pg_temp.lines(p_expected))
			  || E'\nwanted is ' || pg_temp.beyond(pg_temp.lines(p_expected), pg_temp.lines(p_query)),
			  E'there is nothing more\nwanted is nothing more', p_description);
$$;

CREATE TEMPORARY VIEW our_tables AS
	SELECT c.oid, c.relname AS name FROM pg_class c
	WHERE c.relkind = 'r' AND (c.relname ~ '^(cm|mm)_' OR c.relname IN ('companies', 'employees', 'content_search'))
	  AND c.relnamespace IN ('public'::regnamespace, 'studio_engine'::regnamespace);

CREATE TEMPORARY TABLE seed_column (tbl text, pos integer, name text, type text, key text);
INSERT INTO seed_column VALUES
	('cm_module_content', 1, 'content_id', 'uuid', 'PK'),
	('cm_module_content', 2, 'company_id', 'uuid', 'FK'),
	('cm_module_content', 3, 'module_name', 'text', ''),
	('cm_module_content', 4, 'employee_name', 'text', ''),
	('cm_module_content', 5, 'session_id', 'text', ''),
	('cm_module_content', 6, 'introduction', 'text', ''),
	('cm_module_content', 7, 'core_content', 'text', ''),
	('cm_module_content', 8, 'practical_applications', 'text', ''),
	('cm_module_content', 9, 'case_studies', 'text', ''),
	('cm_module_content', 10, 'assessments', 'text', ''),
	('cm_module_content', 11, 'module_spec', 'jsonb', ''),
	('cm_module_content', 12, 'research_context', 'jsonb', ''),
	('cm_module_content', 13, 'total_word_count', 'integer', ''),
	('cm_module_content', 14, 'section_word_counts', 'jsonb', ''),
	('cm_module_content', 15, 'status', 'text', ''),
	('cm_module_content', 16, 'priority_level', 'text', ''),
	('cm_module_content', 17, 'revision_count', 'integer', ''),
	('cm_module_content', 18, 'created_at', 'timestamp with time zone', ''),
	('cm_module_content', 19, 'updated_at', 'timestamp with time zone', ''),
	('cm_course_plans', 1, 'plan_id', 'uuid', 'PK'),
	('cm_course_plans', 2, 'employee_id', 'uuid', 'FK'),
	('cm_course_plans', 3, 'employee_name', 'text', ''),
	('cm_course_plans', 4, 'session_id', 'text', ''),
	('cm_course_plans', 5, 'course_structure', 'jsonb', ''),
	('cm_course_plans', 6, 'prioritized_gaps', 'jsonb', ''),
	('cm_course_plans', 7, 'research_strategy', 'jsonb', ''),
	('cm_course_plans', 8, 'learning_path', 'jsonb', ''),
	('cm_course_plans', 9, 'employee_profile', 'jsonb', ''),
	('cm_course_plans', 10, 'total_modules', 'integer', ''),
	('cm_course_plans', 11, 'course_duration_weeks', 'integer', ''),
	('cm_course_plans', 12, 'course_title', 'text', ''),
	('cm_course_plans', 13, 'status', 'text', ''),
	('cm_course_plans', 14, 'created_at', 'timestamp with time zone', ''),
	('cm_research_results', 1, 'research_id', 'uuid', 'PK'),
	('cm_research_results', 2, 'plan_id', 'uuid', 'FK'),
	('cm_research_results', 3, 'session_id', 'text', ''),
	('cm_research_results', 4, 'research_findings', 'jsonb', ''),
	('cm_research_results', 5, 'content_library', 'jsonb', ''),
	('cm_research_results', 6, 'module_mappings', 'jsonb', ''),
	('cm_research_results', 7, 'total_topics', 'integer', ''),
	('cm_research_results', 8, 'total_sources', 'integer', ''),
	('cm_research_results', 9, 'search_queries', 'text[]', ''),
	('cm_research_results', 10, 'sources_analyzed', 'text[]', ''),
	('cm_research_results', 11, 'status', 'text', ''),
	('cm_research_results', 12, 'created_at', 'timestamp with time zone', ''),
	('cm_quality_assessments', 1, 'assessment_id', 'uuid', 'PK'),
	('cm_quality_assessments', 2, 'content_id', 'uuid', 'FK'),
	('cm_quality_assessments', 3, 'overall_score', 'double precision', ''),
	('cm_quality_assessments', 4, 'section_scores', 'jsonb', ''),
	('cm_quality_assessments', 5, 'accuracy_score', 'double precision', ''),
	('cm_quality_assessments', 6, 'clarity_score', 'double precision', ''),
	('cm_quality_assessments', 7, 'completeness_score', 'double precision', ''),
	('cm_quality_assessments', 8, 'engagement_score', 'double precision', ''),
	('cm_quality_assessments', 9, 'personalization_score', 'double precision', ''),
	('cm_quality_assessments', 10, 'quality_feedback', 'text', ''),
	('cm_quality_assessments', 11, 'passed', 'boolean', ''),
	('cm_quality_assessments', 12, 'requires_revision', 'boolean', ''),
	('cm_quality_assessments', 13, 'sections_needing_work', 'text[]', ''),
	('cm_quality_assessments', 14, 'critical_issues', 'text[]', ''),
	('cm_quality_assessments', 15, 'assessed_at', 'timestamp with time zone', ''),
	('cm_enhancement_sessions', 1, 'session_id', 'uuid', 'PK'),
	('cm_enhancement_sessions', 2, 'content_id', 'uuid', 'FK'),
	('cm_enhancement_sessions', 3, 'quality_assessment_id', 'uuid', 'FK'),
	('cm_enhancement_sessions', 4, 'enhancement_type', 'text', ''),
	('cm_enhancement_sessions', 5, 'sections_to_enhance', 'text[]', ''),
	('cm_enhancement_sessions', 6, 'sections_preserved', 'text[]', ''),
	('cm_enhancement_sessions', 7, 'research_conducted', 'boolean', ''),
	('cm_enhancement_sessions', 8, 'content_regenerated', 'boolean', ''),
	('cm_enhancement_sessions', 9, 'status', 'text', ''),
	('cm_enhancement_sessions', 10, 'created_at', 'timestamp with time zone', ''),
	('cm_enhancement_sessions', 11, 'completed_at', 'timestamp with time zone', ''),
	('mm_multimedia_sessions', 1, 'session_id', 'uuid', 'PK'),
	('mm_multimedia_sessions', 2, 'content_id', 'uuid', 'FK'),
	('mm_multimedia_sessions', 3, 'company_id', 'uuid', 'FK'),
	('mm_multimedia_sessions', 4, 'session_type', 'text', ''),
	('mm_multimedia_sessions', 5, 'module_name', 'text', ''),
	('mm_multimedia_sessions', 6, 'employee_name', 'text', ''),
	('mm_multimedia_sessions', 7, 'generation_config', 'jsonb', ''),
	('mm_multimedia_sessions', 8, 'content_sections', 'text[]', ''),
	('mm_multimedia_sessions', 9, 'status', 'text', ''),
	('mm_multimedia_sessions', 10, 'current_stage', 'text', ''),
	('mm_multimedia_sessions', 11, 'progress_percentage', 'numeric', ''),
	('mm_multimedia_sessions', 12, 'total_assets_generated', 'integer', ''),
	('mm_multimedia_sessions', 13, 'slides_generated', 'integer', ''),
	('mm_multimedia_sessions', 14, 'audio_files_generated', 'integer', ''),
	('mm_multimedia_sessions', 15, 'video_files_generated', 'integer', ''),
	('mm_multimedia_sessions', 16, 'processing_duration_seconds', 'integer', ''),
	('mm_multimedia_sessions', 17, 'started_at', 'timestamp with time zone', ''),
	('mm_multimedia_sessions', 18, 'completed_at', 'timestamp with time zone', ''),
	('mm_multimedia_assets', 1, 'asset_id', 'uuid', 'PK'),
	('mm_multimedia_assets', 2, 'session_id', 'uuid', 'FK'),
	('mm_multimedia_assets', 3, 'content_id', 'uuid', 'FK'),
	('mm_multimedia_assets', 4, 'company_id', 'uuid', 'FK'),
	('mm_multimedia_assets', 5, 'asset_type', 'text', ''),
	('mm_multimedia_assets', 6, 'asset_name', 'text', ''),
	('mm_multimedia_assets', 7, 'file_path', 'text', ''),
	('mm_multimedia_assets', 8, 'file_size_bytes', 'bigint', ''),
	('mm_multimedia_assets', 9, 'mime_type', 'text', ''),
	('mm_multimedia_assets', 10, 'section_name', 'text', ''),
	('mm_multimedia_assets', 11, 'duration_seconds', 'numeric', ''),
	('mm_multimedia_assets', 12, 'generation_config', 'jsonb', ''),
	('mm_multimedia_assets', 13, 'status', 'text', ''),
	('mm_multimedia_assets', 14, 'storage_bucket', 'text', ''),
	('mm_multimedia_assets', 15, 'storage_path', 'text', ''),
	('mm_multimedia_assets', 16, 'public_url', 'text', ''),
	('mm_multimedia_assets', 17, 'created_at', 'timestamp with time zone', ''),
	('mm_audio_narrations', 1, 'narration_id', 'uuid', 'PK'),
	('mm_audio_narrations', 2, 'session_id', 'uuid', 'FK'),
	('mm_audio_narrations', 3, 'content_id', 'uuid', 'FK'),
	('mm_audio_narrations', 4, 'narration_name', 'text', ''),
	('mm_audio_narrations', 5, 'narration_type', 'text', ''),
	('mm_audio_narrations', 6, 'section_name', 'text', ''),
	('mm_audio_narrations', 7, 'total_duration_seconds', 'numeric', ''),
	('mm_audio_narrations', 8, 'audio_segments', 'jsonb', ''),
	('mm_audio_narrations', 9, 'voice_config', 'jsonb', ''),
	('mm_audio_narrations', 10, 'script_content', 'text', ''),
	('mm_audio_narrations', 11, 'master_audio_id', 'uuid', 'FK'),
	('mm_audio_narrations', 12, 'segments_audio_ids', 'uuid[]', ''),
	('mm_audio_narrations', 13, 'synthesis_completed', 'boolean', ''),
	('mm_audio_narrations', 14, 'status', 'text', ''),
	('mm_slide_presentations', 1, 'presentation_id', 'uuid', 'PK'),
	('mm_slide_presentations', 2, 'session_id', 'uuid', 'FK'),
	('mm_slide_presentations', 3, 'content_id', 'uuid', 'FK'),
	('mm_slide_presentations', 4, 'presentation_name', 'text', ''),
	('mm_slide_presentations', 5, 'presentation_type', 'text', ''),
	('mm_slide_presentations', 6, 'total_slides', 'integer', ''),
	('mm_slide_presentations', 7, 'slide_order', 'jsonb', ''),
	('mm_slide_presentations', 8, 'template_used', 'text', ''),
	('mm_slide_presentations', 9, 'theme_config', 'jsonb', ''),
	('mm_slide_presentations', 10, 'pdf_generated', 'boolean', ''),
	('mm_slide_presentations', 11, 'pptx_generated', 'boolean', ''),
	('mm_slide_presentations', 12, 'html_generated', 'boolean', ''),
	('mm_slide_presentations', 13, 'pdf_asset_id', 'uuid', 'FK'),
	('mm_slide_presentations', 14, 'pptx_asset_id', 'uuid', 'FK'),
	('mm_slide_presentations', 15, 'html_asset_id', 'uuid', 'FK'),
	('mm_slide_presentations', 16, 'status', 'text', '');

SELECT pg_temp.same_rows(
	$$ SELECT t.name::text, a.attnum::integer, a.attname::text, format_type(a.atttypid, a.atttypmod)
	   FROM pg_attribute a JOIN our_tables t ON t.oid = a.attrelid
	   WHERE a.attnum BETWEEN 1 AND (SELECT max(s.pos) FROM seed_column s WHERE s.tbl = t.name) $$,
	'SELECT tbl, pos, name, type FROM seed_column',
	'the columns of the seed, with its types, in its order, before all others');
SELECT is_empty(
	$$ SELECT s.tbl, s.name FROM seed_column s
	   WHERE s.key <> '' AND NOT EXISTS (
		 SELECT FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
		 WHERE c.conrelid = format('public.%I', s.tbl)::regclass AND a.attname = s.name AND cardinality(c.conkey) = 1
		   AND c.contype = CASE s.key WHEN 'PK' THEN 'p' ELSE 'f' END) $$,
	'what the seed calls PK is a primary key, what it calls FK a foreign key');
SELECT pg_temp.same_rows(
	$$ SELECT t.name::text, string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
	   FROM pg_attribute a JOIN our_tables t ON t.oid = a.attrelid
	   WHERE a.attnum > COALESCE((SELECT max(s.pos) FROM seed_column s WHERE s.tbl = t.name), 0) GROUP BY t.name $$,
	$$ VALUES
		('cm_course_plans', 'company_id uuid, updated_at timestamp with time zone'),
		('cm_enhancement_sessions', 'updated_at timestamp with time zone, company_id uuid'),
		('cm_module_content', 'archived_at timestamp with time zone'),
		('cm_quality_assessments', 'company_id uuid'),
		('cm_research_results', 'updated_at timestamp with time zone, company_id uuid'),
		('companies', 'id uuid, name text, created_at timestamp with time zone'),
		('content_search', 'content_id uuid, section text, part integer, configuration text, words tsvector, company_id uuid'),
		('employees', 'id uuid, company_id uuid, user_id uuid, name text, email text, created_at timestamp with time zone'),
		('mm_audio_narrations', 'company_id uuid, created_at timestamp with time zone, updated_at timestamp with time zone'),
		('mm_multimedia_assets', 'updated_at timestamp with time zone'),
		('mm_multimedia_sessions', 'error_message text, updated_at timestamp with time zone'),
		('mm_rendering_queue', 'render_id uuid, session_id uuid, content_id uuid, company_id uuid, user_id uuid, asset_id uuid, render_config jsonb, status text, priority integer, progress integer, retry_count integer, error_code text, error_message text, created_at timestamp with time zone, updated_at timestamp with time zone, started_at timestamp with time zone, finished_at timestamp with time zone, cost_credits_reserved integer, run_at timestamp with time zone, idempotency_key text, max_attempts integer, cancel_requested_at timestamp with time zone'),
		('mm_script_generations', 'script_id uuid, session_id uuid, content_id uuid, company_id uuid, section_name text, script_type text, script_content text, word_count integer, generation_config jsonb, status text, error_message text, created_at timestamp with time zone, updated_at timestamp with time zone, completed_at timestamp with time zone'),
		('mm_slide_presentations', 'company_id uuid, created_at timestamp with time zone, updated_at timestamp with time zone'),
		('mm_video_analytics', 'analytics_id uuid, asset_id uuid, content_id uuid, company_id uuid, view_date date, view_count bigint, completed_count bigint, watch_seconds numeric, last_viewed_at timestamp with time zone') $$,
	'what we added: columns at the end, and the tables that the seed plans or refers to');
SELECT is_empty(
	$$ SELECT t.name, a.attname FROM pg_attribute a JOIN our_tables t ON t.oid = a.attrelid
	   WHERE a.attname IN ('status', 'session_id') AND t.name ~ '^(cm|mm)_(module|multimedia)' AND NOT EXISTS (
		 SELECT FROM pg_index i WHERE i.indrelid = t.oid AND i.indkey[0] = a.attnum) $$,
	'an index on status and session_id, which the seed asks for');
SELECT pg_temp.same_rows(
	$$ SELECT c.conrelid::regclass::text || ' ' || c.conname, pg_get_constraintdef(c.oid)
	   FROM pg_constraint c JOIN our_tables t ON t.oid = c.conrelid WHERE c.contype = 'f' $$,
	$$ VALUES
		('cm_course_plans cm_course_plans_company_id_fkey', 'FOREIGN KEY (company_id) REFERENCES companies(id) ON DELETE CASCADE'),
		('cm_course_plans cm_course_plans_employee_id_fkey', 'FOREIGN KEY (employee_id) REFERENCES employees(id) ON DELETE CASCADE'),
		('cm_enhancement_sessions cm_enhancement_sessions_company_id_fkey', 'FOREIGN KEY (company_id) REFERENCES companies(id) ON DELETE CASCADE'),
		('cm_enhancement_sessions cm_enhancement_sessions_content_id_fkey', 'FOREIGN KEY (content_id) REFERENCES cm_module_content(content_id) ON DELETE CASCADE'),
		('cm_enhancement_sessions cm_enhancement_sessions_quality_assessment_id_fkey', 'FOREIGN KEY (quality_assessment_id) REFERENCES cm_quality_assessments(assessment_id) ON DELETE SET NULL'),
		('cm_module_content cm_module_content_company_id_fkey', 'FOREIGN KEY (company_id) REFERENCES companies(id) ON DELETE CASCADE'),
		('cm_quality_assessments cm_quality_assessments_company_id_fkey', 'FOREIGN KEY (company_id) REFERENCES companies(id) ON DELETE CASCADE'),
		('cm_quality_assessments cm_quality_assessments_content_id_fkey', 'FOREIGN KEY (content_id) REFERENCES cm_module_content(content_id) ON DELETE CASCADE'),
		('cm_research_results cm_research_results_company_id_fkey', 'FOREIGN KEY (company_id) REFERENCES companies(id) ON DELETE CASCADE'),
		('cm_research_results cm_research_results_plan_id_fkey', 'FOREIGN KEY (plan_id) REFERENCES cm_course_plans(plan_id) ON DELETE CASCADE'),
		('employees employees_company_id_fkey', 'FOREIGN KEY (company_id) REFERENCES companies(id) ON DELETE CASCADE'),
		('employees employees_user_id_fkey', 'FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE SET NULL'),
		('mm_audio_narrations mm_audio_narrations_company_id_fkey', 'FOREIGN KEY (company_id) REFERENCES companies(id) ON DELETE CASCADE'),
		('mm_audio_narrations mm_audio_narrations_content_id_fkey', 'FOREIGN KEY (content_id) REFERENCES cm_module_content(content_id) ON DELETE CASCADE'),
		('mm_audio_narrations mm_audio_narrations_master_audio_id_fkey', 'FOREIGN KEY (master_audio_id) REFERENCES mm_multimedia_assets(asset_id) ON DELETE SET NULL'),
		('mm_audio_narrations mm_audio_narrations_session_id_fkey', 'FOREIGN KEY (session_id) REFERENCES mm_multimedia_sessions(session_id) ON DELETE CASCADE'),
		('mm_multimedia_assets mm_multimedia_assets_company_id_fkey', 'FOREIGN KEY (company_id) REFERENCES companies(id) ON DELETE CASCADE'),
		('mm_multimedia_assets mm_multimedia_assets_content_id_fkey', 'FOREIGN KEY (content_id) REFERENCES cm_module_content(content_id) ON DELETE CASCADE'),
		('mm_multimedia_assets mm_multimedia_assets_session_id_fkey', 'FOREIGN KEY (session_id) REFERENCES mm_multimedia_sessions(session_id) ON DELETE CASCADE'),
		('mm_multimedia_sessions mm_multimedia_sessions_company_id_fkey', 'FOREIGN KEY (company_id) REFERENCES companies(id) ON DELETE CASCADE'),
		('mm_multimedia_sessions mm_multimedia_sessions_content_id_fkey', 'FOREIGN KEY (content_id) REFERENCES cm_module_content(content_id) ON DELETE CASCADE'),
		('mm_rendering_queue mm_rendering_queue_asset_id_fkey', 'FOREIGN KEY (asset_id) REFERENCES mm_multimedia_assets(asset_id) ON DELETE SET NULL'),
		('mm_rendering_queue mm_rendering_queue_company_id_fkey', 'FOREIGN KEY (company_id) REFERENCES companies(id) ON DELETE CASCADE'),
		('mm_rendering_queue mm_rendering_queue_content_id_fkey', 'FOREIGN KEY (content_id) REFERENCES cm_module_content(content_id) ON DELETE CASCADE'),
		('mm_rendering_queue mm_rendering_queue_session_id_fkey', 'FOREIGN KEY (session_id) REFERENCES mm_multimedia_sessions(session_id) ON DELETE CASCADE'),
		('mm_rendering_queue mm_rendering_queue_user_id_fkey', 'FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE SET NULL'),
		('mm_script_generations mm_script_generations_company_id_fkey', 'FOREIGN KEY (company_id) REFERENCES companies(id) ON DELETE CASCADE'),
		('mm_script_generations mm_script_generations_content_id_fkey', 'FOREIGN KEY (content_id) REFERENCES cm_module_content(content_id) ON DELETE CASCADE'),
		('mm_script_generations mm_script_generations_session_id_fkey', 'FOREIGN KEY (session_id) REFERENCES mm_multimedia_sessions(session_id) ON DELETE CASCADE'),
		('mm_slide_presentations mm_slide_presentations_company_id_fkey', 'FOREIGN KEY (company_id) REFERENCES companies(id) ON DELETE CASCADE'),
		('mm_slide_presentations mm_slide_presentations_content_id_fkey', 'FOREIGN KEY (content_id) REFERENCES cm_module_content(content_id) ON DELETE CASCADE'),
		('mm_slide_presentations mm_slide_presentations_html_asset_id_fkey', 'FOREIGN KEY (html_asset_id) REFERENCES mm_multimedia_assets(asset_id) ON DELETE SET NULL'),
		('mm_slide_presentations mm_slide_presentations_pdf_asset_id_fkey', 'FOREIGN KEY (pdf_asset_id) REFERENCES mm_multimedia_assets(asset_id) ON DELETE SET NULL'),
		('mm_slide_presentations mm_slide_presentations_pptx_asset_id_fkey', 'FOREIGN KEY (pptx_asset_id) REFERENCES mm_multimedia_assets(asset_id) ON DELETE SET NULL'),
		('mm_slide_presentations mm_slide_presentations_session_id_fkey', 'FOREIGN KEY (session_id) REFERENCES mm_multimedia_sessions(session_id) ON DELETE CASCADE'),
		('mm_video_analytics mm_video_analytics_asset_id_fkey', 'FOREIGN KEY (asset_id) REFERENCES mm_multimedia_assets(asset_id) ON DELETE CASCADE'),
		('mm_video_analytics mm_video_analytics_company_id_fkey', 'FOREIGN KEY (company_id) REFERENCES companies(id) ON DELETE CASCADE'),
		('mm_video_analytics mm_video_analytics_content_id_fkey', 'FOREIGN KEY (content_id) REFERENCES cm_module_content(content_id) ON DELETE CASCADE'),
		('studio_engine.content_search content_search_content_id_fkey', 'FOREIGN KEY (content_id) REFERENCES cm_module_content(content_id) ON DELETE CASCADE') $$,
	'the foreign keys, and what deleting does');
SELECT pg_temp.same_rows(
	$$ SELECT c.conrelid::regclass::text || ' ' || c.conname, pg_get_constraintdef(c.oid)
	   FROM pg_constraint c JOIN our_tables t ON t.oid = c.conrelid WHERE c.contype = 'c' $$,
	$q$ VALUES
		('cm_course_plans cm_course_plans_course_duration_weeks_check', $c$CHECK ((course_duration_weeks >= 0))$c$),
		('cm_course_plans cm_course_plans_status_check', $c$CHECK ((status = ANY (ARRAY['draft'::text, 'active'::text, 'completed'::text, 'failed'::text])))$c$),
		('cm_course_plans cm_course_plans_total_modules_check', $c$CHECK ((total_modules >= 0))$c$),
		('cm_enhancement_sessions cm_enhancement_sessions_sections_check', $c$CHECK (((sections_to_enhance || sections_preserved) <@ ARRAY['introduction'::text, 'core_content'::text, 'practical_applications'::text, 'case_studies'::text, 'assessments'::text]))$c$),
		('cm_enhancement_sessions cm_enhancement_sessions_status_check', $c$CHECK ((status = ANY (ARRAY['started'::text, 'processing'::text, 'completed'::text, 'failed'::text])))$c$),
		('cm_module_content cm_module_content_priority_level_check', $c$CHECK ((priority_level = ANY (ARRAY['critical'::text, 'high'::text, 'medium'::text, 'low'::text])))$c$),
		('cm_module_content cm_module_content_revision_count_check', $c$CHECK ((revision_count >= 0))$c$),
		('cm_module_content cm_module_content_status_check', $c$CHECK ((status = ANY (ARRAY['draft'::text, 'quality_check'::text, 'approved'::text, 'revision'::text, 'failed'::text])))$c$),
		('cm_quality_assessments cm_quality_assessments_overall_score_check', $c$CHECK (((overall_score >= (0)::double precision) AND (overall_score <= (10)::double precision)))$c$),
		('cm_quality_assessments cm_quality_assessments_accuracy_score_check', $c$CHECK (((accuracy_score >= (0)::double precision) AND (accuracy_score <= (10)::double precision)))$c$),
		('cm_quality_assessments cm_quality_assessments_clarity_score_check', $c$CHECK (((clarity_score >= (0)::double precision) AND (clarity_score <= (10)::double precision)))$c$),
		('cm_quality_assessments cm_quality_assessments_completeness_score_check', $c$CHECK (((completeness_score >= (0)::double precision) AND (completeness_score <= (10)::double precision)))$c$),
		('cm_quality_assessments cm_quality_assessments_engagement_score_check', $c$CHECK (((engagement_score >= (0)::double precision) AND (engagement_score <= (10)::double precision)))$c$),
		('cm_quality_assessments cm_quality_assessments_personalization_score_check', $c$CHECK (((personalization_score >= (0)::double precision) AND (personalization_score <= (10)::double precision)))$c$),
		('cm_quality_assessments cm_quality_assessments_sections_check', $c$CHECK ((sections_needing_work <@ ARRAY['introduction'::text, 'core_content'::text, 'practical_applications'::text, 'case_studies'::text, 'assessments'::text]))$c$),
		('cm_research_results cm_research_results_status_check', $c$CHECK ((status = ANY (ARRAY['pending'::text, 'in_progress'::text, 'completed'::text, 'failed'::text])))$c$),
		('cm_research_results cm_research_results_total_sources_check', $c$CHECK ((total_sources >= 0))$c$),
		('cm_research_results cm_research_results_total_topics_check', $c$CHECK ((total_topics >= 0))$c$),
		('mm_audio_narrations mm_audio_narrations_status_check', $c$CHECK ((status = ANY (ARRAY['pending'::text, 'synthesizing'::text, 'completed'::text, 'failed'::text])))$c$),
		('mm_audio_narrations mm_audio_narrations_total_duration_seconds_check', $c$CHECK ((total_duration_seconds >= (0)::numeric))$c$),
		('mm_multimedia_assets mm_multimedia_assets_asset_type_check', $c$CHECK ((asset_type = ANY (ARRAY['video'::text, 'audio'::text, 'slide'::text, 'script'::text, 'thumbnail'::text, 'image'::text, 'document'::text])))$c$),
		('mm_multimedia_assets mm_multimedia_assets_duration_seconds_check', $c$CHECK ((duration_seconds >= (0)::numeric))$c$),
		('mm_multimedia_assets mm_multimedia_assets_file_size_bytes_check', $c$CHECK ((file_size_bytes >= 0))$c$),
		('mm_multimedia_assets mm_multimedia_assets_status_check', $c$CHECK ((status = ANY (ARRAY['generated'::text, 'processed'::text, 'failed'::text])))$c$),
		('mm_multimedia_sessions mm_multimedia_sessions_processing_duration_seconds_check', $c$CHECK ((processing_duration_seconds >= 0))$c$),
		('mm_multimedia_sessions mm_multimedia_sessions_progress_percentage_check', $c$CHECK (((progress_percentage >= (0)::numeric) AND (progress_percentage <= (100)::numeric)))$c$),
		('mm_multimedia_sessions mm_multimedia_sessions_status_check', $c$CHECK ((status = ANY (ARRAY['started'::text, 'processing'::text, 'completed'::text, 'failed'::text])))$c$),
		('mm_rendering_queue mm_rendering_queue_cost_credits_reserved_check', $c$CHECK ((cost_credits_reserved >= 0))$c$),
		('mm_rendering_queue mm_rendering_queue_idempotency_key_check', $c$CHECK (((length(idempotency_key) >= 1) AND (length(idempotency_key) <= 200)))$c$),
		('mm_rendering_queue mm_rendering_queue_max_attempts_check', $c$CHECK (((max_attempts >= 1) AND (max_attempts <= 1000)))$c$),
		('mm_rendering_queue mm_rendering_queue_run_at_check', $c$CHECK (isfinite(run_at))$c$),
		('mm_rendering_queue mm_rendering_queue_progress_check', $c$CHECK (((progress >= 0) AND (progress <= 100)))$c$),
		('mm_rendering_queue mm_rendering_queue_retry_count_check', $c$CHECK ((retry_count >= 0))$c$),
		('mm_rendering_queue mm_rendering_queue_status_check', $c$CHECK ((status = ANY (ARRAY['queued'::text, 'rendering'::text, 'completed'::text, 'failed'::text, 'cancelled'::text])))$c$),
		('mm_script_generations mm_script_generations_status_check', $c$CHECK ((status = ANY (ARRAY['pending'::text, 'generating'::text, 'completed'::text, 'failed'::text])))$c$),
		('mm_slide_presentations mm_slide_presentations_status_check', $c$CHECK ((status = ANY (ARRAY['draft'::text, 'generating'::text, 'completed'::text, 'failed'::text])))$c$),
		('mm_slide_presentations mm_slide_presentations_total_slides_check', $c$CHECK ((total_slides >= 0))$c$),
		('mm_video_analytics mm_video_analytics_counts_check', $c$CHECK (((view_count >= 0) AND (completed_count >= 0) AND (completed_count <= view_count) AND (watch_seconds >= (0)::numeric)))$c$) $q$,
	'the check constraints');
SELECT pg_temp.same_rows(
	$$ SELECT t.tgrelid::regclass::text || ' ' || t.tgname, t.tgfoid::regproc::text, t.tgenabled::text,
			  CASE WHEN t.tgtype & 2 <> 0 THEN 'BEFORE' ELSE 'AFTER' END
			  || CASE WHEN t.tgtype & 4 <> 0 THEN ' INSERT' ELSE '' END
			  || CASE WHEN t.tgtype & 16 <> 0 THEN ' UPDATE' ELSE '' END
			  || CASE WHEN t.tgtype & 8 <> 0 THEN ' DELETE' ELSE '' END
			  || CASE WHEN t.tgtype & 32 <> 0 THEN ' TRUNCATE' ELSE '' END
			  || CASE WHEN t.tgtype & 1 <> 0 THEN ' row' ELSE ' statement' END
	   FROM pg_trigger t WHERE NOT t.tgisinternal AND t.tgrelid IN (SELECT oid FROM our_tables) $$,
	$$ VALUES
		('cm_course_plans 00_cm_course_plans_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('cm_enhancement_sessions 00_cm_enhancement_sessions_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('cm_module_content 00_cm_module_content_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('cm_quality_assessments 00_cm_quality_assessments_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('cm_research_results 00_cm_research_results_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('companies 00_companies_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('employees 00_employees_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('mm_audio_narrations 00_mm_audio_narrations_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('mm_multimedia_assets 00_mm_multimedia_assets_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('mm_multimedia_sessions 00_mm_multimedia_sessions_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('mm_rendering_queue 00_mm_rendering_queue_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('mm_script_generations 00_mm_script_generations_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('mm_slide_presentations 00_mm_slide_presentations_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('mm_video_analytics 00_mm_video_analytics_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('cm_course_plans tr_cm_course_plans_company', 'studio_engine.inherit_company', 'O', 'BEFORE INSERT UPDATE row'),
		('cm_course_plans tr_cm_course_plans_pass_on', 'studio_engine.pass_company_on', 'O', 'AFTER UPDATE row'),
		('cm_course_plans tr_cm_course_plans_updated', 'update_updated_at', 'O', 'BEFORE UPDATE row'),
		('cm_course_plans tr_cm_course_plans_workflow', 'studio_engine.enforce_workflow', 'O', 'BEFORE INSERT UPDATE row'),
		('cm_enhancement_sessions tr_cm_enhancement_sessions_company', 'studio_engine.inherit_company', 'O', 'BEFORE INSERT UPDATE row'),
		('cm_enhancement_sessions tr_cm_enhancement_sessions_updated', 'update_updated_at', 'O', 'BEFORE UPDATE row'),
		('cm_enhancement_sessions tr_cm_enhancement_sessions_workflow', 'studio_engine.enforce_workflow', 'O', 'BEFORE INSERT UPDATE row'),
		('companies tr_companies_keep_renderings', 'studio_engine.forbid_delete_of_leased_renderings', 'O', 'BEFORE DELETE row'),
		('cm_module_content tr_cm_module_content_keep_renderings', 'studio_engine.forbid_delete_of_leased_renderings', 'O', 'BEFORE DELETE row'),
		('cm_module_content tr_cm_module_content_pass_on', 'studio_engine.pass_company_on', 'O', 'AFTER UPDATE row'),
		('cm_module_content tr_cm_module_content_search', 'studio_engine.index_content', 'O', 'AFTER INSERT UPDATE row'),
		('cm_module_content tr_cm_module_content_updated', 'update_updated_at', 'O', 'BEFORE UPDATE row'),
		('cm_module_content tr_cm_module_content_words', 'studio_engine.count_section_words', 'O', 'BEFORE INSERT UPDATE row'),
		('cm_module_content tr_cm_module_content_workflow', 'studio_engine.enforce_workflow', 'O', 'BEFORE INSERT UPDATE row'),
		('cm_quality_assessments tr_cm_quality_assessments_company', 'studio_engine.inherit_company', 'O', 'BEFORE INSERT UPDATE row'),
		('cm_research_results tr_cm_research_results_company', 'studio_engine.inherit_company', 'O', 'BEFORE INSERT UPDATE row'),
		('cm_research_results tr_cm_research_results_updated', 'update_updated_at', 'O', 'BEFORE UPDATE row'),
		('cm_research_results tr_cm_research_results_workflow', 'studio_engine.enforce_workflow', 'O', 'BEFORE INSERT UPDATE row'),
		('mm_audio_narrations tr_mm_audio_narrations_company', 'studio_engine.inherit_company', 'O', 'BEFORE INSERT UPDATE row'),
		('mm_audio_narrations tr_mm_audio_narrations_updated', 'update_updated_at', 'O', 'BEFORE UPDATE row'),
		('mm_audio_narrations tr_mm_audio_narrations_workflow', 'studio_engine.enforce_workflow', 'O', 'BEFORE INSERT UPDATE row'),
		('mm_multimedia_assets tr_mm_multimedia_assets_company', 'studio_engine.inherit_company', 'O', 'BEFORE INSERT UPDATE row'),
		('mm_multimedia_assets tr_mm_multimedia_assets_count_deleted', 'studio_engine.count_assets', 'O', 'AFTER DELETE statement'),
		('mm_multimedia_assets tr_mm_multimedia_assets_count_inserted', 'studio_engine.count_assets', 'O', 'AFTER INSERT statement'),
		('mm_multimedia_assets tr_mm_multimedia_assets_count_truncated', 'studio_engine.count_assets', 'O', 'AFTER TRUNCATE statement'),
		('mm_multimedia_assets tr_mm_multimedia_assets_count_updated', 'studio_engine.count_assets', 'O', 'AFTER UPDATE statement'),
		('mm_multimedia_assets tr_mm_multimedia_assets_files', 'studio_engine.track_file', 'O', 'AFTER INSERT DELETE row'),
		('mm_multimedia_assets tr_mm_multimedia_assets_files_update', 'studio_engine.track_file', 'O', 'AFTER UPDATE row'),
		('mm_multimedia_assets tr_mm_multimedia_assets_url', 'studio_engine.fill_public_url', 'O', 'BEFORE INSERT UPDATE row'),
		('mm_multimedia_assets tr_mm_multimedia_assets_pass_on', 'studio_engine.pass_company_on', 'O', 'AFTER UPDATE row'),
		('mm_multimedia_assets tr_mm_multimedia_assets_updated', 'update_updated_at', 'O', 'BEFORE UPDATE row'),
		('mm_multimedia_assets tr_mm_multimedia_assets_workflow', 'studio_engine.enforce_workflow', 'O', 'BEFORE INSERT UPDATE row'),
		('mm_multimedia_sessions tr_mm_multimedia_sessions_company', 'studio_engine.inherit_company', 'O', 'BEFORE INSERT UPDATE row'),
		('mm_multimedia_sessions tr_mm_multimedia_sessions_counters', 'studio_engine.protect_session_counters', 'O', 'BEFORE INSERT UPDATE row'),
		('mm_multimedia_sessions tr_mm_multimedia_sessions_keep_renderings', 'studio_engine.forbid_delete_of_leased_renderings', 'O', 'BEFORE DELETE row'),
		('mm_multimedia_sessions tr_mm_multimedia_sessions_pass_on', 'studio_engine.pass_company_on', 'O', 'AFTER UPDATE row'),
		('mm_multimedia_sessions tr_mm_multimedia_sessions_updated', 'update_updated_at', 'O', 'BEFORE UPDATE row'),
		('mm_multimedia_sessions tr_mm_multimedia_sessions_workflow', 'studio_engine.enforce_workflow', 'O', 'BEFORE INSERT UPDATE row'),
		('mm_rendering_queue 00_mm_rendering_queue_queue', 'studio_engine.maintain_queue', 'O', 'AFTER INSERT DELETE row'),
		('mm_rendering_queue 00_mm_rendering_queue_queue_truncate', 'studio_engine.clear_queue', 'O', 'AFTER TRUNCATE statement'),
		('mm_rendering_queue 00_mm_rendering_queue_queue_update', 'studio_engine.maintain_queue', 'O', 'AFTER UPDATE row'),
		('mm_rendering_queue tr_mm_rendering_queue_company', 'studio_engine.inherit_company', 'O', 'BEFORE INSERT UPDATE row'),
		('mm_rendering_queue tr_mm_rendering_queue_keep_worked_on', 'studio_engine.forbid_delete_of_leased_job', 'O', 'BEFORE DELETE row'),
		('mm_rendering_queue tr_mm_rendering_queue_price', 'studio_engine.price_new_job', 'O', 'BEFORE INSERT row'),
		('mm_rendering_queue tr_mm_rendering_queue_hold_price', 'studio_engine.keep_price', 'O', 'AFTER INSERT row'),
		('mm_rendering_queue tr_mm_rendering_queue_keep_price', 'studio_engine.keep_price', 'O', 'AFTER UPDATE row'),
		('mm_rendering_queue tr_mm_rendering_queue_return_price', 'studio_engine.keep_price', 'O', 'AFTER DELETE row'),
		('mm_rendering_queue tr_mm_rendering_queue_updated', 'update_updated_at', 'O', 'BEFORE UPDATE row'),
		('mm_rendering_queue tr_mm_rendering_queue_workflow', 'studio_engine.enforce_workflow', 'O', 'BEFORE INSERT UPDATE row'),
		('mm_script_generations tr_mm_script_generations_company', 'studio_engine.inherit_company', 'O', 'BEFORE INSERT UPDATE row'),
		('mm_script_generations tr_mm_script_generations_updated', 'update_updated_at', 'O', 'BEFORE UPDATE row'),
		('mm_script_generations tr_mm_script_generations_words', 'studio_engine.count_script_words', 'O', 'BEFORE INSERT UPDATE row'),
		('mm_script_generations tr_mm_script_generations_workflow', 'studio_engine.enforce_workflow', 'O', 'BEFORE INSERT UPDATE row'),
		('mm_slide_presentations tr_mm_slide_presentations_company', 'studio_engine.inherit_company', 'O', 'BEFORE INSERT UPDATE row'),
		('mm_slide_presentations tr_mm_slide_presentations_updated', 'update_updated_at', 'O', 'BEFORE UPDATE row'),
		('mm_slide_presentations tr_mm_slide_presentations_workflow', 'studio_engine.enforce_workflow', 'O', 'BEFORE INSERT UPDATE row'),
		('mm_video_analytics tr_mm_video_analytics_company', 'studio_engine.inherit_company', 'O', 'BEFORE INSERT UPDATE row') $$,
	'the triggers');
SELECT is_empty(
	$$ SELECT t.name FROM our_tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attname = 'status'
	   WHERE NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = t.oid
						 AND g.tgfoid = 'studio_engine.enforce_workflow'::regproc
						 AND encode(g.tgargs, 'escape') = t.name || '\000') $$,
	'whatever has a status has a flow of its name');
SELECT is_empty(
	$$ SELECT t.name, s.attname FROM our_tables t JOIN pg_attribute s ON s.attrelid = t.oid AND s.attname = 'company_id'
	   -- content_search is written by the trigger of its content only
	   WHERE t.name NOT IN ('employees', 'cm_module_content', 'content_search') AND NOT EXISTS (
		 SELECT FROM pg_trigger g WHERE g.tgrelid = t.oid AND g.tgfoid = 'studio_engine.inherit_company'::regproc) $$,
	'whatever has a company takes it from what it belongs to');

SELECT * FROM finish();
ROLLBACK;
