-- Companies, content, plans, research and search.
-- Pitfall: argument names are those that clients of the design document use as
-- keywords, with p_ before them.

CREATE FUNCTION studio_engine.inherit_company() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'inherit_company'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.inherit_company() IS
'Take the company of a new or changed row from its parent.

Trigger, BEFORE INSERT OR UPDATE. Its argument names the parent: content, session, asset, employee or plan.
Fills in company_id, and content_id of what belongs to a session or an asset. A value that contradicts the
parent is refused (PT409).';

CREATE FUNCTION studio_engine.pass_company_on() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'pass_company_on'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.pass_company_on() IS
'Propagate a new company of a row to what belongs to it.

Trigger, AFTER UPDATE. Its argument names the row: content, session, asset or plan.';

CREATE FUNCTION studio_engine.count_section_words() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'count_section_words'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.count_section_words() IS
'Count the words of the sections of a module.

Trigger, BEFORE INSERT OR UPDATE on cm_module_content. Counts the sections that changed into
section_word_counts and total_word_count; what the statement writes there is ignored.';

CREATE FUNCTION studio_engine.count_script_words() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'count_script_words'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.count_script_words() IS
'Count the words of a script into word_count.

Trigger, BEFORE INSERT OR UPDATE on mm_script_generations.';

CREATE FUNCTION studio_engine.index_content() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'index_content'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.index_content() IS
'Maintain the words that search_module_content() searches.

Trigger, AFTER INSERT OR UPDATE on cm_module_content. Archived content has no words there. An unknown setting
search_configuration raises a warning, and the content is stored without words.';

CREATE FUNCTION @extschema@.create_module_content(
    p_module_name text, p_employee_name text DEFAULT NULL, p_session_id text DEFAULT NULL,
    p_module_spec jsonb DEFAULT '{}', p_company_id uuid DEFAULT NULL, p_research_context jsonb DEFAULT '{}',
    p_priority_level text DEFAULT 'medium')
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'create_module_content'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.create_module_content(text, text, text, jsonb, uuid, jsonb, text) IS
'Create a module, in status draft.

- p_module_name: 1 to 1000 characters.
- p_employee_name: at most 1000 characters.
- p_session_id: at most 500 characters.
- p_module_spec: JSON of at most 1 MiB; NULL is {}.
- p_company_id: the company whose users see the module; NULL: services only see it.
- p_research_context: JSON of at most 1 MiB; NULL is {}.
- p_priority_level: critical, high, medium or low.

Returns the id of the module.
Callers: services only.
Errors: 22004 a required argument is NULL; 22023 unknown level, or a value is out of bounds; PT404 no such
company.';

CREATE FUNCTION @extschema@.update_module_section(p_content_id uuid, p_section_name text, p_section_content text)
  RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'update_module_section'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.update_module_section(uuid, text, text) IS
'Write a section of a module.

Approved content whose text changes moves to revision.

- p_content_id: the module.
- p_section_name: introduction, core_content, practical_applications, case_studies or assessments.
- p_section_content: the text, at most 1 MiB; an empty one clears the section.

Returns the number of words of the section.
Callers: services only.
Errors: 22004 an argument is NULL; 22023 unknown section, or the text is too large; PT404 no such module.';

CREATE FUNCTION @extschema@.update_module_sections(p_content_id uuid, p_sections jsonb)
  RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'update_module_sections'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.update_module_sections(uuid, jsonb) IS
'Write several sections of a module at once.

All of them are checked and written, or none. Approved content whose text changes moves to revision.

- p_content_id: the module.
- p_sections: a JSON object of section names, as in update_module_section(), and texts.

Returns the number of words of the module.
Callers: services only.
Errors: 22004 an argument is NULL; 22023 p_sections is out of bounds, and DETAIL names the wrong member; PT404
no such module.';

CREATE FUNCTION @extschema@.get_module_content(p_content_id uuid)
  RETURNS jsonb
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'get_module_content'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_module_content(uuid) IS
'Returns a module with all its columns.

- p_content_id: the module.

Callers: services, and users of its company.
Errors: 22004 p_content_id is NULL; 42501 not of a company of the caller; PT404 no such module; 54000 it takes
more than 16 MiB as JSON.';

CREATE FUNCTION @extschema@.get_content_sections(p_content_id uuid)
  RETURNS jsonb
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'get_content_sections'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_content_sections(uuid) IS
'Returns the five sections of a module by name.

A section that is not written yet is null.

- p_content_id: the module.

Callers: services, and users of its company.
Errors: 22004 p_content_id is NULL; 42501 not of a company of the caller; PT404 no such module; 54000 they
take more than 16 MiB as JSON.';

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
'Store an assessment of a module, and approve it or send it to revision.

The module moves to approved or revision, through quality_check where it was a draft or in revision.

- p_content_id: the module.
- p_overall_score: 0 to 10, as all scores.
- p_section_scores: a JSON object of section names and scores; NULL is {}.
- p_passed: NULL: true where p_overall_score is at least setting quality_pass_score and there are no critical
  issues.
- p_accuracy_score, p_clarity_score, p_completeness_score, p_engagement_score, p_personalization_score:
  scores, or NULL.
- p_quality_feedback: text of at most 64 KiB.
- p_requires_revision: NULL: where it did not pass; true sends the module to revision in any case.
- p_sections_needing_work: names of sections; NULL is none.
- p_critical_issues: texts; NULL is none.

Returns the id of the assessment.
Callers: services only.
Errors: 22004 p_content_id or p_overall_score is NULL; 22023 an unknown section, or a value is out of bounds;
PT404 no such module; 23514 the content has failed.';

CREATE FUNCTION @extschema@.get_latest_quality_assessment(p_content_id uuid)
  RETURNS jsonb
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'get_latest_quality_assessment'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_latest_quality_assessment(uuid) IS
'Returns the newest assessment of a module.

- p_content_id: the module.

Returns NULL where there is none.
Callers: services, and users of its company.
Errors: 22004 p_content_id is NULL; 42501 not of a company of the caller; PT404 no such module.';

CREATE FUNCTION @extschema@.start_enhancement_session(
    p_content_id uuid, p_quality_assessment_id uuid DEFAULT NULL,
    p_enhancement_type text DEFAULT 'quality_improvement', p_sections_to_enhance text[] DEFAULT NULL,
    p_sections_preserved text[] DEFAULT NULL)
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'start_enhancement_session'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.start_enhancement_session(uuid, uuid, text, text[], text[]) IS
'Record that the work on a module begins.

- p_content_id: the module.
- p_quality_assessment_id: the assessment that asked for it, or NULL.
- p_enhancement_type: 1 to 1000 characters.
- p_sections_to_enhance: names of sections; NULL: those that the assessment found to need work.
- p_sections_preserved: names of sections; NULL: all others.

Returns the id of the session.
Callers: services only.
Errors: 22004 a required argument is NULL; 22023 unknown section, or a value is out of bounds; PT404 no such
module or assessment; PT409 the assessment is of other content.';

CREATE FUNCTION @extschema@.complete_enhancement_session(
    p_session_id uuid, p_research_conducted boolean DEFAULT NULL, p_content_regenerated boolean DEFAULT NULL,
    p_status text DEFAULT 'completed')
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'complete_enhancement_session'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.complete_enhancement_session(uuid, boolean, boolean, text) IS
'End an enhancement session.

- p_session_id: the session.
- p_research_conducted: true or false; NULL leaves it unchanged.
- p_content_regenerated: true or false; NULL leaves it unchanged.
- p_status: completed or failed.

Returns the session.
Callers: services only.
Errors: 22004 p_session_id or p_status is NULL; 22023 unknown status; PT404 no such session; 23514 illegal
transition.';

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
'Create a course plan for an employee, in status draft.

The plan belongs to the company of the employee.

- p_employee_id: the employee.
- p_employee_name: at most 1000 characters.
- p_session_id: at most 500 characters.
- p_course_structure: JSON of at most 1 MiB, as are all the other JSON values; NULL is {}.
- p_course_title: at most 1000 characters.
- p_course_duration_weeks: 0 or more, or NULL.
- p_total_modules: 0 or more; NULL: the length of the array modules in p_course_structure.
- p_prioritized_gaps, p_research_strategy, p_learning_path, p_employee_profile: JSON; NULL is {}.

Returns the id of the plan.
Callers: services only.
Errors: 22004 p_employee_id is NULL; 22023 a value is out of bounds; PT404 no such employee.';

CREATE FUNCTION @extschema@.store_research_results(
    p_plan_id uuid, p_session_id text DEFAULT NULL, p_research_findings jsonb DEFAULT '{}',
    p_content_library jsonb DEFAULT '{}', p_module_mappings jsonb DEFAULT '{}',
    p_search_queries text[] DEFAULT '{}', p_sources_analyzed text[] DEFAULT '{}',
    p_total_topics integer DEFAULT NULL, p_total_sources integer DEFAULT NULL, p_status text DEFAULT 'completed')
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'store_research_results'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.store_research_results(uuid, text, jsonb, jsonb, jsonb, text[], text[], integer, integer, text) IS
'Store the research for a course plan.

- p_plan_id: the plan.
- p_session_id: at most 500 characters; NULL: that of the plan.
- p_research_findings, p_content_library, p_module_mappings: JSON of at most 1 MiB each; NULL is {}.
- p_search_queries: the queries, at most 256 KiB; NULL is none.
- p_sources_analyzed: the sources, at most 256 KiB; NULL is none.
- p_total_topics: 0 or more; NULL is 0.
- p_total_sources: 0 or more; NULL: the number of p_sources_analyzed.
- p_status: pending, in_progress, completed or failed.

Returns the id of the results.
Callers: services only.
Errors: 22004 p_plan_id or p_status is NULL; 22023 unknown status, or a value is out of bounds; PT404 no such
plan.';

CREATE FUNCTION @extschema@.search_module_content(
    p_query text, p_company_id uuid DEFAULT NULL, p_limit integer DEFAULT 20)
  RETURNS TABLE (content_id uuid, module_name text, section text, rank real, headline text)
  LANGUAGE c STABLE ROWS 20 AS 'MODULE_PATHNAME', 'search_module_content'
  SET search_path = pg_catalog, pg_temp
  SET enable_seqscan = off;
COMMENT ON FUNCTION @extschema@.search_module_content(text, uuid, integer) IS
'Returns the modules that match a query, best first.

Searches the names and the sections of modules that are not archived.

- p_query: 1 to 1000 characters and at most 64 words, as people type them: words, "a phrase", or, -without.
- p_company_id: the company; NULL: all companies of the caller, for a service all.
- p_limit: at most how many modules, 1 to 1000.

Each module comes with the section that fits best (NULL: its name), its rank and, up to the hundredth, a
headline: an excerpt with the words in `<b>`, which is not escaped for HTML.
At most 5000 parts that have the words are ranked: names, then what was changed last. Words must meet in one
section, of a long one within a part of about 30000 characters. -without leaves out the part that has the
word, not the module.
Callers: services, and users, who see their companies.
Errors: 22004 p_query or p_limit is NULL; 22023 a value is out of bounds; 42501 not a company of the caller;
PT404 no such company; 55000 setting search_configuration names no configuration.';

CREATE FUNCTION @extschema@.refresh_content_search(p_limit integer DEFAULT 1000)
  RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'refresh_content_search'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.refresh_content_search(integer) IS
'Rebuild search words that are missing or of another configuration.

Call it after a change of setting search_configuration.

- p_limit: at most how many modules, 1 to 10000.

Skips modules that another session has locked. Returns the number of modules rebuilt; call it until that is 0.
Callers: services only.
Errors: 22004 p_limit is NULL; 22023 p_limit is out of bounds; 55000 the setting names no configuration.';

CREATE FUNCTION @extschema@.archive_module_content(p_older_than interval, p_limit integer DEFAULT 1000)
  RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'archive_module_content'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.archive_module_content(interval, integer) IS
'Archive modules that have not changed for a while.

Sets archived_at of modules that are approved or failed and have no running session, which takes them out of
search. Nothing is deleted; archived_at = NULL brings a module back.

- p_older_than: time since the last change, 0 to 1000 years.
- p_limit: at most how many, 1 to 100000, the oldest first.

Returns the number of modules archived; call it until that is 0.
Callers: services only.
Errors: 22004 an argument is NULL; 22023 a value is out of bounds.';

CREATE FUNCTION @extschema@.get_content_statistics(p_company_id uuid DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'get_content_statistics'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_content_statistics(uuid) IS
'Returns figures about the content of a company.

- p_company_id: the company; NULL: all companies of the caller, for a service everything.

The result is a JSON object: content by status, with words and revisions; assessments with their average
score; sessions by status, with average and 95th percentile of their seconds; assets by type, with bytes and
seconds; views.
Callers: services, and users, who see their companies.
Errors: 42501 not a company of the caller; PT404 no such company.';
