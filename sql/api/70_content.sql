-- Companies, content, plans, research and search.
-- Pitfall: argument names are those that clients of the design document use as
-- keywords, with p_ before them.

CREATE FUNCTION studio_engine.inherit_company() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'inherit_company'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.inherit_company() IS
'Trigger, BEFORE INSERT OR UPDATE, argument: content, session, asset, employee or plan. Fills in company_id, and content_id of what belongs to a session or an asset, from the parent, and refuses what contradicts it (PT409).';

CREATE FUNCTION studio_engine.pass_company_on() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'pass_company_on'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.pass_company_on() IS
'Trigger, AFTER UPDATE, argument: content, session, asset or plan. What belongs to a row follows it into another company.';

CREATE FUNCTION studio_engine.count_section_words() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'count_section_words'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.count_section_words() IS
'Trigger, BEFORE INSERT OR UPDATE on cm_module_content: counts the words of sections that changed into section_word_counts and total_word_count, whatever the statement says about them.';

CREATE FUNCTION studio_engine.count_script_words() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'count_script_words'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.count_script_words() IS
'Trigger, BEFORE INSERT OR UPDATE on mm_script_generations: counts the words of the script into word_count.';

CREATE FUNCTION studio_engine.index_content() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'index_content'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.index_content() IS
'Trigger, AFTER INSERT OR UPDATE on cm_module_content: keeps the words that search_module_content() looks into; of archived content there are none. An unknown search_configuration is a WARNING, and the content is stored without words.';

CREATE FUNCTION @extschema@.create_module_content(
    p_module_name text, p_employee_name text DEFAULT NULL, p_session_id text DEFAULT NULL,
    p_module_spec jsonb DEFAULT '{}', p_company_id uuid DEFAULT NULL, p_research_context jsonb DEFAULT '{}',
    p_priority_level text DEFAULT 'medium')
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'create_module_content'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.create_module_content(text, text, text, jsonb, uuid, jsonb, text) IS
'Makes a module in status draft. p_priority_level: critical, high, medium or low; without p_company_id services only see it. Returns its id. Services only; 22004, 22023 unknown level, or a name of more than 1000 characters or a session id of more than 500, PT404 no such company.';

CREATE FUNCTION @extschema@.update_module_section(p_content_id uuid, p_section_name text, p_section_content text)
  RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'update_module_section'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.update_module_section(uuid, text, text) IS
'Writes a section: introduction, core_content, practical_applications, case_studies or assessments; an empty text clears it. Approved content whose text changes goes to revision. Returns the words of the section. Services only; 22004, 22023 unknown section, PT404.';

CREATE FUNCTION @extschema@.update_module_sections(p_content_id uuid, p_sections jsonb)
  RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'update_module_sections'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.update_module_sections(uuid, jsonb) IS
'Writes several sections at once, or none: p_sections is a JSON object of section names and texts. All of it is checked first; DETAIL names the member that is wrong. Approved content whose text changes goes to revision. Returns the words of the module. Services only; 22004, 22023, PT404.';

CREATE FUNCTION @extschema@.get_module_content(p_content_id uuid)
  RETURNS jsonb
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'get_module_content'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_module_content(uuid) IS
'A module with all its columns. Services, and users of its company; 22004, 42501 not of the caller''s companies, PT404, 54000 it takes more than 16 MB as JSON.';

CREATE FUNCTION @extschema@.get_content_sections(p_content_id uuid)
  RETURNS jsonb
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'get_content_sections'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_content_sections(uuid) IS
'The five sections of a module by name, null where one is not written yet. Services, and users of its company; 22004, 42501 not of the caller''s companies, PT404, 54000 they take more than 16 MB as JSON.';

CREATE FUNCTION @extschema@.store_quality_assessment(
    p_content_id uuid, p_overall_score numeric, p_section_scores jsonb DEFAULT '{}',
    p_passed boolean DEFAULT NULL, p_accuracy_score numeric DEFAULT NULL, p_clarity_score numeric DEFAULT NULL,
    p_completeness_score numeric DEFAULT NULL, p_engagement_score numeric DEFAULT NULL,
    p_personalization_score numeric DEFAULT NULL, p_quality_feedback text DEFAULT NULL,
    p_requires_revision boolean DEFAULT NULL, p_sections_needing_work text[] DEFAULT '{}',
    p_critical_issues text[] DEFAULT '{}')
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'store_quality_assessment'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.store_quality_assessment(uuid, numeric, jsonb, boolean, numeric, numeric, numeric, numeric, numeric, text, boolean, text[], text[]) IS
'Stores a verdict on a module, and moves it to approved or revision, through quality_check where it was a draft or in revision. Scores are 0 to 10. p_passed NULL: passed from setting quality_pass_score on, unless there are critical issues. p_requires_revision NULL: where it did not pass; true sends it to revision in any case. p_section_scores: a JSON object of section names and scores. Returns the id of the assessment. Services only; 22004, 22023 a score or section that is none, PT404, 23514 the content has failed.';

CREATE FUNCTION @extschema@.get_latest_quality_assessment(p_content_id uuid)
  RETURNS jsonb
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'get_latest_quality_assessment'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_latest_quality_assessment(uuid) IS
'The newest assessment of a module; NULL where there is none. Services, and users of its company; 22004, 42501 not of the caller''s companies, PT404.';

CREATE FUNCTION @extschema@.start_enhancement_session(
    p_content_id uuid, p_quality_assessment_id uuid DEFAULT NULL,
    p_enhancement_type text DEFAULT 'quality_improvement', p_sections_to_enhance text[] DEFAULT NULL,
    p_sections_preserved text[] DEFAULT NULL)
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'start_enhancement_session'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.start_enhancement_session(uuid, uuid, text, text[], text[]) IS
'Notes that work on a module begins. p_sections_to_enhance NULL: what the assessment says needs work; p_sections_preserved NULL: the others. Returns the id of the session. Services only; 22004, 22023 unknown section, PT404, PT409 the assessment is of other content.';

CREATE FUNCTION @extschema@.complete_enhancement_session(
    p_session_id uuid, p_research_conducted boolean DEFAULT NULL, p_content_regenerated boolean DEFAULT NULL,
    p_status text DEFAULT 'completed')
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'complete_enhancement_session'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.complete_enhancement_session(uuid, boolean, boolean, text) IS
'Ends an enhancement session. p_status: completed or failed; NULL leaves a flag as it is. Returns the session. Services only; 22004, 22023, PT404, 23514 illegal transition.';

CREATE FUNCTION @extschema@.create_course_plan(
    p_employee_id uuid, p_employee_name text DEFAULT NULL, p_session_id text DEFAULT NULL,
    p_course_structure jsonb DEFAULT '{}', p_course_title text DEFAULT NULL,
    p_course_duration_weeks integer DEFAULT NULL, p_total_modules integer DEFAULT NULL,
    p_prioritized_gaps jsonb DEFAULT '{}', p_research_strategy jsonb DEFAULT '{}',
    p_learning_path jsonb DEFAULT '{}', p_employee_profile jsonb DEFAULT '{}')
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'create_course_plan'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.create_course_plan(uuid, text, text, jsonb, text, integer, integer, jsonb, jsonb, jsonb, jsonb) IS
'Makes a course plan for an employee, in status draft and in the employee''s company. p_total_modules NULL: the length of array modules in p_course_structure. Returns its id. Names have up to 1000 characters, session ids up to 500. Services only; 22004, 22023 a negative number, PT404 no such employee.';

CREATE FUNCTION @extschema@.store_research_results(
    p_plan_id uuid, p_session_id text DEFAULT NULL, p_research_findings jsonb DEFAULT '{}',
    p_content_library jsonb DEFAULT '{}', p_module_mappings jsonb DEFAULT '{}',
    p_search_queries text[] DEFAULT '{}', p_sources_analyzed text[] DEFAULT '{}',
    p_total_topics integer DEFAULT NULL, p_total_sources integer DEFAULT NULL, p_status text DEFAULT 'completed')
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'store_research_results'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.store_research_results(uuid, text, jsonb, jsonb, jsonb, text[], text[], integer, integer, text) IS
'Stores what was found out for a course plan. p_session_id NULL: that of the plan; p_total_sources NULL: the number of p_sources_analyzed; p_status: pending, in_progress, completed or failed. Returns the id of the results. Services only; 22004, 22023, PT404.';

CREATE FUNCTION @extschema@.search_module_content(
    p_query text, p_company_id uuid DEFAULT NULL, p_limit integer DEFAULT 20)
  RETURNS TABLE (content_id uuid, module_name text, section text, rank real, headline text)
  LANGUAGE c STABLE ROWS 20 AS 'MODULE_PATHNAME', 'search_module_content'
  SET search_path = pg_catalog, pg_temp
  SET enable_seqscan = off;
COMMENT ON FUNCTION @extschema@.search_module_content(text, uuid, integer) IS
'Modules with p_query in their name or in one of their sections, best first, each with the section that fits best (NULL: the name), its rank and, up to the hundredth, an excerpt with the words in <b>, which is not escaped for HTML. p_query, of up to 1000 characters and 64 words, as people type it: words, "a phrase", or, -without. Looked into are up to 5000 parts that have the words: names, then what was changed last. Words must meet in one section, of a long one within a part of about 30000 characters; -without leaves out the part that has the word, not the module. p_company_id NULL: all companies of the caller, for a service all. p_limit: 1 to 1000. Archived content is not found. Users see their companies; 22004, 22023, 42501 or PT404 the company, 55000 setting search_configuration names no configuration.';

CREATE FUNCTION @extschema@.refresh_content_search(p_limit integer DEFAULT 1000)
  RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'refresh_content_search'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.refresh_content_search(integer) IS
'Makes the search words of up to p_limit (1 to 10000) modules anew that were made with another search_configuration than is set now, or are missing. Returns how many; repeat until 0. Modules that somebody is writing are left for the next call. Services only; 22004, 22023, 55000 the setting names no configuration.';

CREATE FUNCTION @extschema@.archive_module_content(p_older_than interval, p_limit integer DEFAULT 1000)
  RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'archive_module_content'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.archive_module_content(interval, integer) IS
'Archives up to p_limit (1 to 100000) modules, the oldest first, that are approved or failed, have not changed for p_older_than (up to 1000 years) and have no running session: sets archived_at, which takes them out of search. Nothing is deleted; archived_at = NULL brings one back. Returns how many; repeat until 0. Services only; 22004, 22023.';

CREATE FUNCTION @extschema@.get_content_statistics(p_company_id uuid DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'get_content_statistics'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_content_statistics(uuid) IS
'Numbers of a company: content by status, words and revisions; assessments with average score; sessions by status with average and 95th percentile of seconds; assets by type with bytes and seconds; views. p_company_id NULL: all companies of the caller, for a service everything. Users see their companies; 42501 or PT404 the company.';
