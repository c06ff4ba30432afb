-- 700_content_workflows.sql
--
-- What the clients of the design document do with content and multimedia, step
-- by step and in their words: each call has the keywords of the manager's
-- method, with p_ before them.
-- Pitfall: supabase-py sends named arguments only, and so does this test.

\set VERBOSITY terse
\set SHOW_CONTEXT never

INSERT INTO companies (id, name) VALUES ('67d7bff4-1149-4f37-952e-af1841fb67fa', 'LXERA');
CALL t.as_role('service_role');

-- 1. content creation
SELECT create_module_content(
  p_module_name => 'Financial Analysis Fundamentals', p_employee_name => 'John Doe', p_session_id => 'session_123',
  p_module_spec => '{"level": "basic"}', p_company_id => '67d7bff4-1149-4f37-952e-af1841fb67fa') AS content_id \gset
SELECT module_name, employee_name, session_id, module_spec, research_context, status, priority_level, revision_count,
       total_word_count, introduction IS NULL AS empty
  FROM cm_module_content WHERE content_id = :'content_id';
SELECT update_module_section(p_content_id => :'content_id', p_section_name => 'introduction',
                             p_section_content => 'Welcome to Financial Analysis...') AS words;
SELECT store_quality_assessment(p_content_id => :'content_id', p_overall_score => 8.5,
                                p_section_scores => '{"introduction": 9, "core_content": 8}', p_passed => true) AS assessment_id \gset
SELECT status, revision_count, total_word_count, section_word_counts FROM cm_module_content WHERE content_id = :'content_id';
SELECT to_jsonb(a) - 'assessment_id' - 'content_id' - 'assessed_at' AS assessment FROM cm_quality_assessments a;

-- 2. multimedia generation
SELECT create_multimedia_session(p_content_id => :'content_id', p_module_name => 'Financial Analysis',
                                 p_employee_name => 'John Doe', p_session_type => 'full_generation') AS session_id \gset
SELECT register_multimedia_asset(
  p_session_id => :'session_id', p_content_id => :'content_id', p_asset_type => 'video', p_file_path => '/path/to/video.mp4',
  p_duration_seconds => 600, p_storage_bucket => 'multimedia-assets') AS asset_id \gset
SELECT update_session_status(p_session_id => :'session_id', p_status => 'completed', p_progress_percentage => 100) ->> 'status' AS status;
SELECT status, progress_percentage, total_assets_generated, slides_generated, audio_files_generated, video_files_generated,
       processing_duration_seconds - floor(extract(epoch FROM completed_at - started_at))::integer AS rest, completed_at >= started_at AS in_order, company_id = '67d7bff4-1149-4f37-952e-af1841fb67fa' AS same_company
  FROM mm_multimedia_sessions;
SELECT asset_type, asset_name, file_path, status, storage_bucket, duration_seconds,
       regexp_replace(storage_path, '[0-9]{8}T[0-9]{12}', '<time>') AS storage_path, company_id IS NOT NULL AS has_company
  FROM mm_multimedia_assets;

-- 3. retrieval
SELECT key, value FROM jsonb_each(get_module_content(p_content_id => :'content_id'))
 WHERE key NOT IN ('content_id', 'company_id', 'created_at', 'updated_at') ORDER BY key;
SELECT * FROM jsonb_each(get_content_sections(p_content_id => :'content_id')) ORDER BY key;
SELECT count(*) AS assets FROM mm_multimedia_assets WHERE session_id = :'session_id';
SELECT get_latest_quality_assessment(p_content_id => :'content_id') ->> 'overall_score' AS score;

--
-- Sections
--

SELECT update_module_sections(:'content_id', '{"core_content": "One two three.", "case_studies": ""}') AS total;
SELECT status, total_word_count, section_word_counts FROM cm_module_content;
-- all or nothing, and the bad member is named
SELECT t.ask(format('SELECT update_module_sections(%L, %L)', :'content_id', s)) AS answer
  FROM unnest(ARRAY['{"core_content": "lost", "Introduction": "x"}', '{"core_content": "lost", "assessments": 5}',
                    '{"core_content": "lost", "assessments": null}', '{"core_content": "lost", "assessments": ["x"]}',
                    '{}', '[]', '"x"', 'null', format('{%s: "x"}', to_jsonb(repeat('ä', 1000))), '{"": "x"}']) s;
SELECT t.ask(format('SELECT update_module_section(%L, %s, %s)', :'content_id', s, c)) AS answer
  FROM (VALUES ('''summary''', '''x'''), ('''''', '''x'''), ('''module_name''', '''x'''), ('''INTRODUCTION''', '''x'''),
               ('''introduction = NULL, status''', '''x'''), ('NULL', '''x'''), ('''introduction''', 'NULL')) v (s, c);
SELECT core_content, total_word_count FROM cm_module_content;
-- every section
SELECT s, update_module_section(:'content_id', s, repeat('word ', n::integer)) AS words
  FROM unnest('{introduction,core_content,practical_applications,case_studies,assessments}'::text[]) WITH ORDINALITY u (s, n);
SELECT total_word_count, section_word_counts FROM cm_module_content;
SELECT t.ask(format('SELECT update_module_section(%L, ''introduction'', ''x'')', t.id(99))) AS unknown_id;

--
-- Assessments and the way of the content
--

-- the verdict by itself: the score, then critical issues
CREATE FUNCTION pg_temp.assessed(p_from text, p_arguments text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_id uuid;
  v_answer text;
BEGIN
  INSERT INTO public.cm_module_content (module_name, status) VALUES ('m', p_from) RETURNING content_id INTO v_id;
  v_answer := t.ask(format('SELECT public.store_quality_assessment(%L, %s) IS NOT NULL', v_id, p_arguments));
  SELECT concat_ws(' ', v_answer, c.status, c.revision_count,
                   (SELECT format('passed %s, revise %s', a.passed, a.requires_revision) FROM public.cm_quality_assessments a WHERE a.content_id = v_id))
    INTO v_answer FROM public.cm_module_content c WHERE c.content_id = v_id;
  DELETE FROM public.cm_module_content WHERE content_id = v_id;
  RETURN v_answer;
END
$$;
SELECT a AS arguments, pg_temp.assessed('draft', a) AS outcome
  FROM unnest(ARRAY['7', '6.99', '10', '0', '9, p_critical_issues => ''{plagiarism}''', '9, p_critical_issues => ''{}''',
                    '9, p_passed => false', '2, p_passed => true', '2, p_passed => true, p_critical_issues => ''{x}''',
                    '9, p_requires_revision => true', '3, p_requires_revision => false']) a;
SELECT s AS from_status, pg_temp.assessed(s, '9') AS good, pg_temp.assessed(s, '1') AS bad
  FROM unnest('{draft,quality_check,approved,revision,failed}'::text[]) s;
CALL t.as_admin();
UPDATE studio_engine.settings SET value = '9' WHERE name = 'quality_pass_score';
SELECT pg_temp.assessed('draft', '8.9') AS below, pg_temp.assessed('draft', '9') AS enough;
SELECT t.force_setting('quality_pass_score', 'seven');
SELECT pg_temp.assessed('draft', '9') AS no_number, pg_temp.assessed('draft', '9, p_passed => true') AS not_asked;
UPDATE studio_engine.settings SET value = '7' WHERE name = 'quality_pass_score';
CALL t.as_role('service_role');
-- out of bounds
SELECT a AS arguments, pg_temp.assessed('draft', a) AS answer
  FROM unnest(ARRAY['10.01', '-0.01', '''NaN''', '''Infinity''', 'NULL', '5, p_accuracy_score => 11', '5, p_personalization_score => -1',
                    '5, p_section_scores => ''{"intro": 5}''', '5, p_section_scores => ''{"introduction": "5"}''',
                    '5, p_section_scores => ''{"introduction": 11}''', '5, p_section_scores => ''[]''',
                    '5, p_sections_needing_work => ''{introduction,summary}''', '5, p_sections_needing_work => ''{introduction,NULL}''']) a;
SELECT t.ask(format('SELECT store_quality_assessment(%L, 5)', t.id(99))) AS unknown_id;

-- the way through revision: back by an edit, +1 each time it is checked again
SELECT update_module_section(:'content_id', 'introduction', 'Final.') AS words;
UPDATE cm_module_content SET status = 'quality_check' WHERE content_id = :'content_id';
UPDATE cm_module_content SET status = 'approved' WHERE content_id = :'content_id';
SELECT status, revision_count FROM cm_module_content;
-- the same text is no edit, whoever writes it; another is, by plain UPDATE too
SELECT update_module_section(:'content_id', 'introduction', 'Final.') AS words;
UPDATE cm_module_content SET employee_name = 'Jane Doe', case_studies = case_studies;
SELECT status FROM cm_module_content;
UPDATE cm_module_content SET introduction = 'Final!';
SELECT status, revision_count FROM cm_module_content;
SELECT store_quality_assessment(:'content_id', 9, p_quality_feedback => 'Good.') IS NOT NULL AS stored;
SELECT status, revision_count FROM cm_module_content;
SELECT get_latest_quality_assessment(:'content_id') ->> 'quality_feedback' AS newest;
-- long texts, which are stored elsewhere: the same again is no edit either
SELECT update_module_section(:'content_id', 'assessments', (SELECT string_agg(md5(i::text), ' ') FROM generate_series(1, 10000) i)) AS words;
UPDATE cm_module_content SET status = 'quality_check';
UPDATE cm_module_content SET status = 'approved';
SELECT update_module_section(:'content_id', 'assessments', (SELECT string_agg(md5(i::text), ' ') FROM generate_series(1, 10000) i)) AS words;
SELECT status, total_word_count FROM cm_module_content;

--
-- Enhancement
--

SELECT store_quality_assessment(:'content_id', 4, p_sections_needing_work => '{case_studies,assessments}') AS assessment_id \gset
SELECT start_enhancement_session(p_content_id => :'content_id', p_quality_assessment_id => :'assessment_id') AS enhancement_id \gset
SELECT enhancement_type, sections_to_enhance, sections_preserved, research_conducted, status, completed_at FROM cm_enhancement_sessions;
SELECT e ->> 'status' AS status, e ->> 'content_regenerated' AS regenerated, e ->> 'research_conducted' AS researched,
       e ->> 'completed_at' IS NOT NULL AS completed
  FROM complete_enhancement_session(p_session_id => :'enhancement_id', p_content_regenerated => true) e;
SELECT complete_enhancement_session(:'enhancement_id') ->> 'content_regenerated' AS again;
SELECT t.ask(format('SELECT complete_enhancement_session(%L, p_status => ''failed'')', :'enhancement_id')) AS ended_differently;
SELECT t.ask(format('SELECT complete_enhancement_session(%L)', t.id(99))) AS unknown_id;
SELECT create_module_content('Other') AS other_id \gset
SELECT t.ask(format('SELECT start_enhancement_session(%L, %L)', :'other_id', :'assessment_id')) AS of_other_content;
SELECT t.ask(format('SELECT start_enhancement_session(%L, p_sections_to_enhance => ''{x}'')', :'other_id')) AS bad_section;
SELECT start_enhancement_session(:'other_id', p_sections_to_enhance => '{introduction}', p_sections_preserved => '{}') IS NOT NULL AS started;
SELECT sections_to_enhance, sections_preserved FROM cm_enhancement_sessions WHERE content_id = :'other_id';

--
-- Plans and research
--

INSERT INTO employees (id, company_id, name) VALUES (t.id(7), '67d7bff4-1149-4f37-952e-af1841fb67fa', 'John Doe');
SELECT create_course_plan(p_employee_id => t.id(7), p_employee_name => 'John Doe', p_session_id => 'session_123',
  p_course_structure => '{"modules": [1, 2, 3]}', p_course_title => 'Finance', p_course_duration_weeks => 4) AS plan_id \gset
SELECT total_modules, course_duration_weeks, course_title, status, company_id = '67d7bff4-1149-4f37-952e-af1841fb67fa' AS company FROM cm_course_plans;
SELECT store_research_results(p_plan_id => :'plan_id', p_research_findings => '{"a": 1}', p_search_queries => '{q}',
  p_sources_analyzed => '{https://a.example,https://b.example}', p_total_topics => 2) IS NOT NULL AS stored;
SELECT session_id, total_topics, total_sources, search_queries, sources_analyzed, status FROM cm_research_results;
SELECT t.ask(format('SELECT create_course_plan(%L)', t.id(99))) AS unknown_employee;
SELECT t.ask(format('SELECT store_research_results(%L)', t.id(99))) AS unknown_plan;
SELECT t.ask(format('SELECT store_research_results(%L, p_status => ''done'')', :'plan_id')) AS unknown_status;

--
-- Narrations, slides, scripts, views, rendering
--

SELECT register_multimedia_assets(:'session_id', '[{"asset_type": "audio", "file_path": "/tmp/all.mp3"},
  {"asset_type": "audio", "file_path": "/tmp/1.mp3", "section_name": "introduction", "duration_seconds": 12.5, "file_size_bytes": 5000000000},
  {"asset_type": "document", "file_path": "C:\\decks\\deck.pdf", "section_name": "presentations", "generation_config": {"a": 1}}]') AS ids \gset
SELECT asset_type, asset_name, section_name, duration_seconds, file_size_bytes, generation_config,
       regexp_replace(storage_path, '[0-9]{8}T[0-9]{12}', '<time>') AS storage_path
  FROM mm_multimedia_assets ORDER BY created_at, storage_path;
SELECT create_audio_narration(p_session_id => :'session_id', p_narration_name => 'All', p_voice_config => '{"voice": "nova"}',
                              p_script_content => 'Welcome.') AS narration_id \gset
SELECT update_audio_narration(:'narration_id', 'synthesizing') ->> 'synthesis_completed' AS completed;
SELECT n ->> 'status' AS status, n ->> 'synthesis_completed' AS completed, n ->> 'total_duration_seconds' AS seconds,
       n ->> 'master_audio_id' = :'ids'::jsonb ->> 0 AS master, jsonb_array_length(n -> 'segments_audio_ids') AS segments
  FROM update_audio_narration(p_narration_id => :'narration_id', p_status => 'completed', p_total_duration_seconds => 90.5,
    p_master_audio_id => (:'ids'::jsonb ->> 0)::uuid, p_segments_audio_ids => ARRAY[(:'ids'::jsonb ->> 1)::uuid]) n;
SELECT t.ask(format('SELECT update_audio_narration(%L, p_master_audio_id => %L)', :'narration_id', :'ids'::jsonb ->> 2)) AS no_audio;
SELECT t.ask(format('SELECT update_audio_narration(%L, p_segments_audio_ids => ARRAY[%L, NULL]::uuid[])', :'narration_id', :'ids'::jsonb ->> 0)) AS null_segment;
SELECT t.ask(format('SELECT update_audio_narration(%L, p_segments_audio_ids => ''{%s}'')', :'narration_id', t.id(99))) AS unknown_segment;
SELECT t.ask(format('SELECT update_audio_narration(%L, ''synthesizing'')', :'narration_id')) AS illegal;
SELECT create_slide_presentation(p_session_id => :'session_id', p_presentation_name => 'Deck', p_total_slides => 12,
                                 p_template_used => 'dark') AS presentation_id \gset
SELECT p ->> 'status' AS status, p ->> 'pdf_generated' AS pdf, p ->> 'pptx_generated' AS pptx, p ->> 'total_slides' AS slides
  FROM update_slide_presentation(:'presentation_id', 'completed', p_pdf_asset_id => (:'ids'::jsonb ->> 2)::uuid) p;
SELECT t.ask(format('SELECT update_slide_presentation(%L, p_html_asset_id => %L)', :'presentation_id', t.id(99))) AS unknown_asset;
SELECT create_script_generation(:'session_id', 'introduction') AS script_id \gset
SELECT s ->> 'status' AS status, s ->> 'word_count' AS words, s ->> 'completed_at' IS NOT NULL AS completed
  FROM update_script_generation(:'script_id', 'completed', 'Four words of it') s;
SELECT v ->> 'view_count' AS views, v ->> 'completed_count' AS completed, v ->> 'watch_seconds' AS seconds
  FROM (SELECT record_video_view(p_asset_id => :'asset_id', p_watch_seconds => s, p_completed => s > 100)
          FROM unnest('{30,120.5,0}'::numeric[]) s) r (v);
SELECT enqueue_rendering(p_session_id => :'session_id', p_render_config => '{"fps": 30}', p_priority => 5) IS NOT NULL AS queued;
SELECT status, priority, progress, company_id IS NOT NULL AS company, content_id = :'content_id' AS content FROM mm_rendering_queue;
SELECT key, value FROM jsonb_each(get_session_statistics(:'session_id'))
 WHERE key NOT IN ('session_id', 'processing_duration_seconds') ORDER BY key;
SELECT jsonb_pretty(get_content_statistics() #- '{sessions,p95_seconds}' #- '{sessions,average_seconds}') AS statistics;

-- files in bulk: all or nothing, and the bad element is named
SELECT t.ask(format('SELECT register_multimedia_assets(%L, %L)', :'session_id', a)) AS answer
  FROM unnest(ARRAY['[{"asset_type": "audio", "file_path": "a"}, {"asset_type": "film", "file_path": "b"}]',
    '[{"asset_type": "audio"}]', '[{"file_path": "a"}]', '[{"asset_type": "audio", "file_path": ""}]',
    '[{"asset_type": "audio", "file_path": "a", "colour": 1}]', '[{"asset_type": "audio", "file_path": "a", "duration_seconds": -1}]',
    '[{"asset_type": "audio", "file_path": "a", "duration_seconds": "1"}]', '[{"asset_type": "audio", "file_path": "a", "file_size_bytes": 1.5}]',
    '[{"asset_type": "audio", "file_path": "a", "file_size_bytes": 9223372036854775808}]', '[{"asset_type": "audio", "file_path": "a", "generation_config": []}]',
    '[{"asset_type": "audio", "file_path": "a", "storage_path": "../b"}]', format('[{"asset_type": "audio", "file_path": "a", "content_id": "%s"}]', t.id(99)),
    '[{"asset_type": "audio", "file_path": "a"}, "b"]', '[]', '{}', 'null', '"x"']) a;
SELECT t.ask(format('SELECT register_multimedia_assets(%L, %L)', :'session_id', (SELECT jsonb_agg('{"asset_type": "audio", "file_path": "a"}'::jsonb) FROM generate_series(1, 10001)))) AS too_many;
SELECT jsonb_array_length(register_multimedia_assets(:'session_id', format('[{"asset_type": "image", "file_path": "/a/x.png", "content_id": "%s", "mime_type": null, "file_size_bytes": 9223372036854775807},
  {"asset_type": "image", "file_path": "/b/x.png"}]', :'content_id')::jsonb)) AS two;
SELECT count(DISTINCT storage_path) AS different_paths, max(file_size_bytes) FROM mm_multimedia_assets WHERE asset_type = 'image';
SELECT total_assets_generated FROM mm_multimedia_sessions;

-- paths: whatever the file is called, it stays in its place
DELETE FROM mm_multimedia_assets;
SELECT count(register_multimedia_asset(:'session_id', NULL, 'video', f, p_section_name => s)) AS registered
  FROM (VALUES ('/etc/../passwd', '..'), ('..', '.hidden'), ('a/..', '../../etc'), ('a b (1).mp4', 'core content'), ('видео.mp4', 'введение'),
               ('/path/', '_'), ('x' || repeat('y', 200) || '.mp4', NULL), (E'new\nline\ttab.mp4', 'a/b\c')) v (f, s);
SELECT left(file_path, 20) AS file, section_name, regexp_replace(storage_path, '[0-9]{8}T[0-9]{12}', '<time>') AS storage_path, left(asset_name, 20) AS asset_name
  FROM mm_multimedia_assets ORDER BY created_at, file_path COLLATE "C";
SELECT p AS storage_path, t.ask(format('SELECT register_multimedia_asset(%L, NULL, ''video'', ''f'', p_storage_path => %L) IS NOT NULL', :'session_id', p)) AS answer
  FROM unnest(ARRAY['video/x.mp4', 'x', 'a/..b', '/x', 'a//b', 'a/', '../x', 'a/../b', 'a/./b', 'a/..', '.', 'a\b', '']) p;
-- one file and many go by the same rules
CREATE FUNCTION pg_temp.one(p_session uuid, p_member text, p_value jsonb) RETURNS text LANGUAGE sql AS $$
  SELECT t.ask(format('SELECT public.register_multimedia_asset(p_session_id => %L, p_content_id => NULL%s) IS NOT NULL', p_session,
    (SELECT string_agg(format(', p_%s => %L', m.key, m.value), '') FROM jsonb_each_text(jsonb_build_object('asset_type', 'video', 'file_path', 'f', p_member, p_value)) m))) $$;
CREATE FUNCTION pg_temp.many(p_session uuid, p_member text, p_value jsonb) RETURNS text LANGUAGE sql AS $$
  SELECT t.ask(format('SELECT public.register_multimedia_assets(%L, %L) IS NOT NULL', p_session,
    jsonb_build_array(jsonb_build_object('asset_type', 'video', 'file_path', 'f', p_member, p_value)))) $$;
SELECT c.member, CASE WHEN length(c.value::text) > 30 THEN left(c.value::text, 4) || '... ' || length(c.value #>> '{}') ELSE c.value::text END AS value,
       left(o.answer, 5) AS answer, left(o.answer, 5) = left(m.answer, 5) OR (o.answer ~ '^22004' AND m.answer ~ '^22023') AS same
  FROM (SELECT n AS member, v AS value FROM unnest('{file_path,asset_name,section_name,mime_type,public_url,storage_bucket,storage_path}'::text[]) n,
               unnest(ARRAY['null', '""', to_jsonb(repeat('x', 1000)), to_jsonb(repeat('x', 1001)), to_jsonb(repeat('ä', 1000)), to_jsonb(repeat('ä', 4096)), to_jsonb(repeat('x', 4097))]::jsonb[]) v
        UNION ALL SELECT 'asset_type', v FROM unnest(ARRAY['null', '""', '"audio"', '"Audio"', '"audio "']::jsonb[]) v
        UNION ALL SELECT 'duration_seconds', v::jsonb FROM unnest('{null,0,0.5,-0.1,1000000000,1000000000.1}'::text[]) v
        UNION ALL SELECT 'file_size_bytes', v::jsonb FROM unnest('{null,0,-1,9223372036854775807}'::text[]) v
        UNION ALL SELECT 'generation_config', v::jsonb FROM unnest(ARRAY['null', '{}', '{"a": [1]}', '[]', '[{}]', '1']) v
        UNION ALL SELECT n, to_jsonb(v) FROM unnest('{storage_bucket,storage_path}'::text[]) n,
               unnest(ARRAY['a', 'a.b', 'видео', '.', '..', '...', '.a', 'a/b', 'a/...', 'a/..b', '/a', 'a/', 'a//b', 'a/../b', 'a\b', 'a%2e', 'a' || chr(1), 'a' || chr(10) || 'b', chr(127)]) v) c,
       LATERAL pg_temp.one(:'session_id', member, value) o (answer), LATERAL pg_temp.many(:'session_id', member, value) m (answer);
SELECT t.ask(format('SELECT register_multimedia_asset(%L, %L, ''video'', ''f'')', :'session_id', :'other_id')) AS other_content;
SELECT t.ask(format('SELECT register_multimedia_asset(%L, NULL, ''video'', ''f'')', t.id(99))) AS unknown_session;
SELECT t.ask(format('SELECT register_multimedia_asset(%L, NULL, %L, ''f'')', :'session_id', 'Video')) AS unknown_type;
SELECT t.ask(format('SELECT create_multimedia_session(%L)', t.id(99))) AS unknown_content;
SELECT t.ask(format('SELECT create_multimedia_session(%L, p_content_sections => ''{all}'')', :'content_id')) AS unknown_section;
SELECT t.ask(format('SELECT record_video_view(%L)', t.id(99))) AS unknown_asset;
SELECT t.ask(format('SELECT enqueue_rendering(%L, p_user_id => %L)', :'session_id', t.id(99))) AS unknown_user;

CALL t.as_admin();
-- a status that the owner of the tables made possible: no verdict moves it, and none crashes
BEGIN;
ALTER TABLE cm_module_content ALTER COLUMN status DROP NOT NULL, DROP CONSTRAINT cm_module_content_status_check;
SET LOCAL studio_engine.maintenance = on;
INSERT INTO cm_module_content (content_id, module_name, status) VALUES (t.id(1), 'm', 'published'), (t.id(2), 'm', NULL);
SET LOCAL studio_engine.maintenance = off;
SELECT t.ask(format('SELECT store_quality_assessment(t.id(%s), %s)', n, score)) AS answer FROM generate_series(1, 2) n, unnest('{9,2}'::integer[]) score;
SELECT count(*) AS assessments FROM cm_quality_assessments WHERE content_id IN (t.id(1), t.id(2));
ROLLBACK;
SELECT * FROM t.clean();
