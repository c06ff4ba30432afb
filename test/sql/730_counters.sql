-- 730_counters.sql
--
-- What triggers count: the words of sections and scripts, and the files of
-- sessions, however the rows come and go.
-- Pitfall: a counter may be right by luck, so each statement is followed by a
-- comparison with what is there.

\set VERBOSITY terse
\set SHOW_CONTEXT never

--
-- Words
--

CREATE VIEW t.words AS
SELECT total_word_count AS total, section_word_counts ->> 'introduction' AS introduction, section_word_counts ->> 'core_content' AS core,
       section_word_counts ->> 'practical_applications' AS practical, section_word_counts ->> 'case_studies' AS cases, section_word_counts ->> 'assessments' AS assessments
  FROM cm_module_content ORDER BY module_name;
-- by plain INSERT, whatever the statement says about them
INSERT INTO cm_module_content (content_id, module_name, introduction, core_content, total_word_count, section_word_counts)
VALUES (t.id(1), 'a', 'Don''t count state-of-the-art twice.', '  ', 99, '{"introduction": 99}');
SELECT * FROM t.words;
-- by plain UPDATE: one section, two, none
UPDATE cm_module_content SET core_content = 'Привет мир, 你好 and a ½';
SELECT * FROM t.words;
UPDATE cm_module_content SET introduction = NULL, assessments = 'one';
SELECT * FROM t.words;
UPDATE cm_module_content SET employee_name = 'x', module_spec = '{"a": 1}';
SELECT * FROM t.words;
-- a count that is edited is put right, a count that was lost is found again
UPDATE cm_module_content SET total_word_count = 5000;
UPDATE cm_module_content SET section_word_counts = '{}';
UPDATE cm_module_content SET section_word_counts = '[]', total_word_count = 0;
SELECT * FROM t.words;
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE cm_module_content SET section_word_counts = '{"core_content": "many", "assessments": 1e30}', total_word_count = 7;
SET LOCAL studio_engine.maintenance = off;
UPDATE cm_module_content SET case_studies = 'three little words';
SELECT * FROM t.words;
ROLLBACK;
-- COPY, ON CONFLICT
COPY cm_module_content (module_name, introduction) FROM stdin;
b	One\ntwo three
c	\N
\.
INSERT INTO cm_module_content (content_id, module_name) VALUES (t.id(1), 'x') ON CONFLICT (content_id) DO UPDATE SET introduction = 'four words of text';
SELECT * FROM t.words;
-- long texts, moved out of the row: another column changes, then the text
UPDATE cm_module_content SET core_content = (SELECT string_agg(md5(i::text), ' ') FROM generate_series(1, 30000) i) WHERE module_name = 'c';
UPDATE cm_module_content SET employee_name = 'y', introduction = 'hello' WHERE module_name = 'c';
SELECT * FROM t.words;
UPDATE cm_module_content SET core_content = core_content || ' more' WHERE module_name = 'c';
SELECT total FROM t.words ORDER BY total DESC LIMIT 1;
-- a megabyte, also of words that are all different, is stored and found
UPDATE cm_module_content SET core_content = (SELECT string_agg('word' || i, ' ') FROM generate_series(1, 100000) i) || ' needle' WHERE module_name = 'c';
SELECT length(core_content) > 980000 AS megabyte, total_word_count FROM cm_module_content WHERE module_name = 'c';
SELECT module_name, section, headline FROM search_module_content('needle');
SELECT module_name, section FROM search_module_content('word99999 OR word5');
SELECT count(*) AS parts, max(pg_column_size(words)) < 1000000 AS bounded FROM studio_engine.content_search WHERE section = 'core_content';
-- the time grows with the length: this is as long as a section may be, and has letters of more than one byte
SET statement_timeout = '10min';
UPDATE cm_module_content SET core_content = repeat('nothing ', 131070) || 'ünïcödé' WHERE module_name = 'c';
RESET statement_timeout;
SELECT module_name, section FROM search_module_content('ünïcödé');
SELECT count(*) AS parts, max(part) AS last FROM studio_engine.content_search WHERE section = 'core_content';
-- words are found where two parts meet, and a phrase too
UPDATE cm_module_content SET core_content = repeat('x ', 14990) || 'straddling border phrase' || repeat(' y', 30000) WHERE module_name = 'c';
SELECT module_name FROM search_module_content('"straddling border phrase"');
DROP VIEW t.words;
DELETE FROM cm_module_content;
-- scripts
INSERT INTO mm_script_generations (script_id, script_content, word_count) VALUES (t.id(1), 'Three short words', 77), (t.id(2), NULL, 5);
UPDATE mm_script_generations SET word_count = 9 WHERE script_id = t.id(1);
SELECT t.n(script_id) AS script, word_count FROM mm_script_generations ORDER BY 1;
UPDATE mm_script_generations SET script_content = 'Now there are five words';
SELECT t.n(script_id) AS script, word_count FROM mm_script_generations ORDER BY 1;
DELETE FROM mm_script_generations;

--
-- Files
--

CREATE VIEW t.counted AS
SELECT t.n(s.session_id) AS session, s.total_assets_generated AS total, s.slides_generated AS slides, s.audio_files_generated AS audio, s.video_files_generated AS video,
       (s.total_assets_generated, s.slides_generated, s.audio_files_generated, s.video_files_generated) IS NOT DISTINCT FROM
       (SELECT (count(*)::integer, count(*) FILTER (WHERE a.asset_type = 'slide')::integer, count(*) FILTER (WHERE a.asset_type = 'audio')::integer,
                count(*) FILTER (WHERE a.asset_type = 'video')::integer) FROM mm_multimedia_assets a WHERE a.session_id = s.session_id) AS sound
  FROM mm_multimedia_sessions s ORDER BY s.session_id;
INSERT INTO mm_multimedia_sessions (session_id, total_assets_generated, slides_generated) VALUES (t.id(1), 7, 7), (t.id(2), 0, 0), (t.id(3), 0, 0);
SELECT * FROM t.counted;
-- many rows of many sessions in one statement; every type
INSERT INTO mm_multimedia_assets (session_id, asset_type)
SELECT t.id(s), y FROM generate_series(1, 3) s, unnest('{video,audio,slide,script,thumbnail,image,document}'::text[]) y, generate_series(1, s);
SELECT * FROM t.counted;
-- what others write into them is ignored
UPDATE mm_multimedia_sessions SET total_assets_generated = 0, slides_generated = slides_generated + 1, audio_files_generated = 1000000000, video_files_generated = -1;
SELECT * FROM t.counted;
-- COPY
COPY mm_multimedia_assets (session_id, asset_type) FROM stdin;
00000000-0000-4000-8000-000000000001	video
00000000-0000-4000-8000-000000000002	slide
\N	slide
\.
SELECT * FROM t.counted;
-- another type, another session, none, both at once; a change of neither, and of nothing
UPDATE mm_multimedia_assets SET asset_type = 'audio' WHERE session_id = t.id(1) AND asset_type = 'video';
SELECT * FROM t.counted;
UPDATE mm_multimedia_assets SET session_id = t.id(2) WHERE session_id = t.id(1) AND asset_type = 'audio';
SELECT * FROM t.counted;
UPDATE mm_multimedia_assets SET session_id = CASE WHEN session_id = t.id(3) THEN t.id(1) ELSE t.id(3) END, asset_type = 'slide' WHERE session_id IS NOT NULL;
SELECT * FROM t.counted;
UPDATE mm_multimedia_assets SET session_id = NULL WHERE session_id = t.id(3) AND ctid IN (SELECT ctid FROM mm_multimedia_assets WHERE session_id = t.id(3) LIMIT 5);
SELECT * FROM t.counted;
SELECT xmin AS before FROM mm_multimedia_sessions WHERE session_id = t.id(1) \gset
UPDATE mm_multimedia_assets SET status = 'processed', mime_type = 'x';
UPDATE mm_multimedia_assets SET asset_type = 'audio' WHERE false;
SELECT xmin = :'before' AS not_written FROM mm_multimedia_sessions WHERE session_id = t.id(1);
SELECT * FROM t.counted;
-- ON CONFLICT inserts one and moves another
INSERT INTO mm_multimedia_assets (asset_id, session_id, asset_type) VALUES (t.id(90), t.id(1), 'video');
INSERT INTO mm_multimedia_assets (asset_id, session_id, asset_type) VALUES (t.id(90), t.id(2), 'video'), (t.id(91), t.id(2), 'audio')
ON CONFLICT (asset_id) DO UPDATE SET session_id = t.id(3);
SELECT * FROM t.counted;
-- MERGE does all three
MERGE INTO mm_multimedia_assets a USING (VALUES (t.id(90), 1), (t.id(91), 2), (t.id(92), 3)) v (id, what) ON a.asset_id = v.id
 WHEN MATCHED AND v.what = 1 THEN DELETE
 WHEN MATCHED THEN UPDATE SET asset_type = 'video'
 WHEN NOT MATCHED THEN INSERT (asset_id, session_id, asset_type) VALUES (v.id, t.id(3), 'audio');
SELECT * FROM t.counted;
-- a statement that fails, and one that is rolled back, count nothing
SELECT t.try($$INSERT INTO mm_multimedia_assets (session_id, asset_type) VALUES (t.id(1), 'video'), (t.id(1), 'film')$$);
BEGIN;
INSERT INTO mm_multimedia_assets (session_id, asset_type) VALUES (t.id(1), 'video');
ROLLBACK;
SELECT * FROM t.counted;
-- after an error while counting nobody else may write counters
CREATE FUNCTION t.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
CREATE TRIGGER zz_fail BEFORE UPDATE ON mm_multimedia_sessions FOR EACH ROW EXECUTE FUNCTION t.fail();
SELECT t.try($$INSERT INTO mm_multimedia_assets (session_id, asset_type) VALUES (t.id(1), 'video')$$);
DROP TRIGGER zz_fail ON mm_multimedia_sessions;
DROP FUNCTION t.fail;
UPDATE mm_multimedia_sessions SET total_assets_generated = 0;
SELECT * FROM t.counted;
-- deleting some, a session, all; TRUNCATE
DELETE FROM mm_multimedia_assets WHERE session_id = t.id(1) AND ctid IN (SELECT ctid FROM mm_multimedia_assets WHERE session_id = t.id(1) LIMIT 3);
SELECT * FROM t.counted;
DELETE FROM mm_multimedia_sessions WHERE session_id = t.id(2);
SELECT * FROM t.counted;
BEGIN;
DELETE FROM mm_multimedia_assets;
SELECT * FROM t.counted;
ROLLBACK;
BEGIN;
TRUNCATE mm_multimedia_assets CASCADE;
SELECT * FROM t.counted;
ROLLBACK;
-- content that goes takes its files from a session
INSERT INTO cm_module_content (content_id, module_name) VALUES (t.id(1), 'm');
INSERT INTO mm_multimedia_sessions (session_id, content_id) VALUES (t.id(4), t.id(1));
INSERT INTO mm_multimedia_assets (session_id, asset_type) SELECT t.id(4), 'audio' FROM generate_series(1, 3);
DELETE FROM cm_module_content;
SELECT * FROM t.counted;
-- many sessions at once, in no order
INSERT INTO mm_multimedia_sessions (session_id) SELECT md5(i::text)::uuid FROM generate_series(1, 500) i;
INSERT INTO mm_multimedia_assets (session_id, asset_type) SELECT md5((i % 500 + 1)::text)::uuid, 'slide' FROM generate_series(1, 5000) i;
SELECT count(*) AS sessions, count(*) FILTER (WHERE sound) AS sound, sum(slides) AS slides FROM t.counted;
-- columns of the user's own, dropped and new, do not confuse the triggers
ALTER TABLE mm_multimedia_assets ADD COLUMN mine text, ADD COLUMN gone integer;
ALTER TABLE mm_multimedia_assets DROP COLUMN gone;
INSERT INTO mm_multimedia_assets (session_id, asset_type, mine) VALUES (t.id(1), 'video', 'x');
SELECT * FROM t.counted WHERE session = '1';
ALTER TABLE mm_multimedia_assets DROP COLUMN mine;
-- a type that the owner lets be unknown counts in the total only; so it does where the trigger is on a table of his own
BEGIN;
ALTER TABLE mm_multimedia_assets ALTER COLUMN asset_type DROP NOT NULL;
INSERT INTO mm_multimedia_assets (asset_id, session_id, asset_type) VALUES (t.id(95), t.id(1), NULL), (t.id(96), t.id(1), 'slide');
SELECT * FROM t.counted WHERE session = '1';
UPDATE mm_multimedia_assets SET asset_type = NULL WHERE asset_id = t.id(96);
SELECT * FROM t.counted WHERE session = '1';
DELETE FROM mm_multimedia_assets WHERE asset_type IS NULL;
SELECT * FROM t.counted WHERE session = '1';
CREATE TABLE t.files (session_id uuid, asset_type text);
CREATE TRIGGER count AFTER INSERT ON t.files REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION studio_engine.count_assets();
SELECT total_assets_generated AS before FROM mm_multimedia_sessions WHERE session_id = t.id(1) \gset
INSERT INTO t.files VALUES (t.id(1), NULL), (NULL, NULL), (t.id(1), 'other');
SELECT total_assets_generated - :before AS more FROM mm_multimedia_sessions WHERE session_id = t.id(1);
ROLLBACK;

DROP VIEW t.counted;
DELETE FROM mm_multimedia_sessions;
DELETE FROM mm_multimedia_assets;
SELECT * FROM t.clean();
