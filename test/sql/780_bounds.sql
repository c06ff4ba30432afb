-- 780_bounds.sql
--
-- What users may pass is bounded, and so is what they are answered.
-- Pitfall: what an answer costs is measured in test/tap/100_costs.pl; here is
-- what the bounds are.

\set VERBOSITY terse
\set SHOW_CONTEXT never
-- that a word is too long, or no word of a query counts
SET client_min_messages = warning;

--
-- Jsonb: bytes, as it is stored and as it is shown, depth, and digits of numbers
--

CREATE TABLE t.given AS
SELECT row_number() OVER () AS no, name, given, NULL::text AS draft, NULL::text AS run
  FROM (VALUES
    ('a large number', '{"n": 1e131071}'),
    ('a small one', '{"n": [true, {"m": -1e-16383}]}'),
    ('400 digits', format('{"n": %s, "m": -%s}', repeat('9', 400), repeat('9', 400))),
    ('401 digits', format('{"n": %s}', repeat('9', 401))),
    ('-401 digits', format('{"n": -%s}', repeat('9', 401))),
    ('399 after the point', format('{"n": 0.%s}', repeat('9', 399))),
    ('400 after the point', format('{"n": 0.%s}', repeat('9', 400))),
    ('zeros after the point', format('{"n": 1.%s}', repeat('0', 401))),
    ('the largest and smallest float', '{"n": [1.7976931348623157e308, 4.9406564584124654e-324]}'),
    ('64 levels', repeat('{"a":', 64) || '1' || repeat('}', 64)),
    ('65 levels', repeat('{"a":', 65) || '1' || repeat('}', 65)),
    ('64 levels of both', repeat('{"a":[', 32) || repeat(']}', 32)),
    ('65 levels of both', '{"a":[' || repeat('{"a":[', 31) || '[]' || repeat(']}', 32)),
    ('6000 levels', '{"a":' || repeat('[', 6000) || repeat(']', 6000) || '}'),
    ('many side by side', '{"a": [' || repeat('[], ', 100) || '{}], "b": [[[]]]}'),
    ('long text', format('{"a": "%s"}', repeat('x', 16300))),
    ('longer text', format('{"a": "%s"}', repeat('x', 16400))),
    ('shown longer: controls', format('{"a": "%s"}', repeat('\u0001', 3000))),
    ('controls', format('{"a": "%s"}', repeat('\u0001', 2000))),
    ('shown longer: quotes', format('{"a": "%s"}', repeat('\"', 9000))),
    ('shown longer: numbers', format('{"a": [%s0]}', repeat('1e399, ', 50))),
    ('numbers', format('{"a": [%s0]}', repeat('1e399, ', 30)))) g (name, given);
GRANT SELECT, UPDATE ON t.given TO authenticated;
INSERT INTO studio_engine.settings (name, value) VALUES ('max_active_runs', '0') ON CONFLICT (name) DO UPDATE SET value = '0';
CALL t.sign_up(1);
CALL t.as_user(t.id(1));
UPDATE t.given SET
  draft = t.try(format('SELECT save_draft_prompt(''session-token-0001'', ''p'', NULL, %L)', given)),
  run = t.try(format('SELECT pipeline.create_job(%L, %L)', name, given));
SELECT name, draft, run FROM t.given ORDER BY no;
-- what is no object: a scalar has no depth
SELECT g AS given, t.try(format('SELECT pipeline.create_job(%L, %L)', g, g)) AS run
  FROM unnest('{1,-1e400,1e400,1e399,[1e400],"\"1e400\"","null",true,[]}'::text[]) g;
CALL t.as_admin();
UPDATE studio_engine.settings SET value = '5' WHERE name = 'max_active_runs';
DROP TABLE t.given;

--
-- Searching: what is found does not depend on how it is looked for, what it takes neither
--

INSERT INTO cm_module_content (content_id, module_name, introduction) VALUES
  (t.id(1), 'Both', 'A ship with a gun, and the ship gun itself'),
  (t.id(2), 'Apart', 'A gun is on the ship'),
  (t.id(3), 'One', 'A ship'),
  (t.id(4), 'None', 'A well-known road');
CREATE FUNCTION t.found(p_query text) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(t.n(content_id), ' ' ORDER BY content_id) FROM public.search_module_content(p_query) $$;
SELECT q AS query, t.found(q) AS found
  FROM unnest(ARRAY['ship gun', '"ship gun"', 'ship -gun', 'ship -"ship gun"', '-ship', '-"ship gun"', '-ship -road', 'road or "ship gun"',
                    'road or -ship', 'road or -"ship gun"', '"ship gun" or "gun on the ship"', 'gun is -"gun ship" -road', 'well-known', '-well-known', 'the', '-the', 'the ship']) q;
SELECT headline FROM search_module_content('-ship -"ship gun"');
-- two phrases more were four times the memory, and seventy gigabytes
SELECT n AS phrases, t.ask(format('SELECT headline FROM search_module_content(%L)', string_agg('"ship gun"', ' or '))) AS answer
  FROM (VALUES (1), (32), (33), (70)) v (n), generate_series(1, n) GROUP BY n ORDER BY n;
SELECT o AS words, t.ask(format('SELECT count(*) FROM search_module_content(%L)', string_agg('w' || i, o))) AS answer
  FROM unnest('{" "," or "," -"}'::text[]) o, generate_series(1, 64) i GROUP BY o ORDER BY o;
SELECT t.ask(format('SELECT count(*) FROM search_module_content(%L)', string_agg('w' || i, ' '))) AS answer FROM generate_series(1, 65) i;
SELECT t.ask('SELECT count(*) FROM search_module_content(repeat(''x '', 500))') AS many, t.ask('SELECT count(*) FROM search_module_content(repeat(''the '', 250))') AS stop_words;

-- an excerpt shows the words, wherever in a part they are, whatever is around them
UPDATE cm_module_content SET introduction = repeat('x ', 14000) || 'a gun is on the ship' || repeat(' y', 500), core_content = NULL WHERE content_id = t.id(2);
SELECT headline FROM search_module_content('ship gun') WHERE content_id = t.id(2);
UPDATE cm_module_content SET introduction = repeat('x', 30000) || ' ship' WHERE content_id = t.id(2);
SELECT right(headline, 20) AS headline FROM search_module_content('"ship"') WHERE content_id = t.id(2);
-- a hundred excerpts
INSERT INTO cm_module_content (module_name, introduction) SELECT 'Fleet ' || i, repeat('on the way, ', 100) || 'a fleet' FROM generate_series(1, 120) i;
SELECT count(*) AS found, count(headline) AS with_excerpt, count(*) FILTER (WHERE headline LIKE '%<b>%') AS with_words FROM search_module_content('fleet', NULL, 1000);
DELETE FROM cm_module_content WHERE module_name LIKE 'Fleet%';

-- text that the parser of PostgreSQL takes minutes for is stored, and the words in it are found
SET statement_timeout = '20s';
CREATE TABLE t.texts AS
SELECT name, chr(10) || 'harbour ' || left(repeat(pattern, 100000), 100000) || ' lighthouse' AS text
  FROM (VALUES ('underscores', 'a_'), ('paths', './'), ('homes', '~/'), ('addresses', '1e@'), ('comments', '<!--'), ('spaced comments', '<!-- '),
               ('slashes', '/.'), ('controls', U&'a\0001'), ('one word', 'x'), ('letters', 'x '), ('wide', '船'), ('hyphens', 'a-b'), ('tags', '<a')) p (name, pattern);
INSERT INTO cm_module_content (content_id, module_name, core_content) SELECT t.id(100 + row_number() OVER (ORDER BY name)::integer), name, text FROM t.texts;
SELECT module_name, section, substring(headline FROM '<b>.*</b>') AS words FROM search_module_content('lighthouse') ORDER BY module_name;
SELECT count(*) FROM search_module_content('harbour');
-- a million different words too
UPDATE cm_module_content SET core_content = (SELECT string_agg(to_hex(i * 7919), ' ') || ' lighthouse' FROM generate_series(1, 119000) i) WHERE module_name = 'wide';
SELECT length(core_content) > 1000000 AS long, total_word_count FROM cm_module_content WHERE module_name = 'wide';
SELECT module_name FROM search_module_content('lighthouse') WHERE module_name = 'wide';
RESET statement_timeout;
DROP TABLE t.texts;
DROP FUNCTION t.found;
-- what is left of an address, a path, a tag, a rule
DELETE FROM cm_module_content;
INSERT INTO cm_module_content (content_id, module_name, introduction) VALUES (t.id(1), 'Links',
  'See https://www.example.com/a/b-c/d.html?x=1&y=2 or mail someone@example.org <b>now</b> ' || repeat('-', 30) || ' end <!-- hidden --> of it');
SELECT q AS query, (SELECT count(*) FROM search_module_content(q)) AS found FROM unnest('{www.example.com,someone@example.org,now,end,hidden}'::text[]) q;

--
-- The dashboard: what is long is cut, and said to be
--

CALL t.sign_up(2);
CALL t.project(2, 11);
CALL t.project(2, 12);
CALL t.job(11, 101, 'FAILED');
ALTER TABLE projects ADD COLUMN mine text DEFAULT 'm', ADD COLUMN many integer[];
UPDATE projects SET title = 'short', transcript_text = repeat('ß', 1000), settings = (SELECT jsonb_agg(1e399::numeric) FROM generate_series(1, 10)) WHERE id = t.id(12);
UPDATE projects SET transcript_text = repeat('ß', 1001), prompt_text = repeat('x', 60000), settings = jsonb_build_object('a', repeat('y', 1000)),
       mine = repeat('z', 2000), many = (SELECT array_agg(i) FROM generate_series(1, 300) i) WHERE id = t.id(11);
UPDATE jobs SET error_message = repeat('e', 5000), manifest_json = jsonb_build_object('a', repeat('y', 5000)) WHERE id = t.id(101);
CALL t.as_user(t.id(2));
SELECT t.n((d ->> 'id')::uuid) AS project, d ->> 'title' AS title, length(d ->> 'prompt_text') AS prompt, length(d ->> 'transcript_text') AS transcript, d -> 'settings' AS settings,
       length(d ->> 'mine') AS mine, d -> 'many' AS many, d #>> '{job,status}' AS job, length(d #>> '{job,error_message}') AS message, d -> 'job' ? 'manifest_json' AS manifest,
       d -> 'truncated' AS truncated
  FROM jsonb_array_elements(get_dashboard()) d ORDER BY 1;
CALL t.as_admin();
ALTER TABLE projects DROP COLUMN mine, DROP COLUMN many;
CALL t.as_user(t.id(2));
SELECT jsonb_object_agg(t.n((d ->> 'id')::uuid), d -> 'truncated') AS truncated FROM jsonb_array_elements(get_dashboard()) d;
CALL t.as_admin();

--
-- Events: a client that goes on from the last number reads all of them
--

INSERT INTO pipeline.jobs (run_id, project_spec, owner_id) VALUES ('long', '{}', t.id(2));
INSERT INTO pipeline.job_events (run_id, bot_name, event_type, payload)
SELECT 'long', 'bot', 'x', CASE WHEN i <= 20 THEN jsonb_build_object('a', repeat('y', 1000000)) WHEN i <= 50 THEN (SELECT jsonb_agg(1e399::numeric) FROM generate_series(1, 2500)) END
  FROM generate_series(1, 60) i;
CALL t.as_user(t.id(2));
WITH RECURSIVE answer (number, last, rows, bytes) AS (
  SELECT 1, max(seq), count(*), sum(length(payload::text)) FROM pipeline.events_since('long', 0, 1000)
  UNION ALL
  SELECT a.number + 1, n.last, n.rows, n.bytes
    FROM answer a, LATERAL (SELECT max(seq) AS last, count(*) AS rows, sum(length(payload::text)) AS bytes FROM pipeline.events_since('long', a.last, 1000)) n
   WHERE a.last IS NOT NULL
) SELECT number, last, rows, round(bytes / 1e6, 1) AS megabytes FROM answer ORDER BY number;
SELECT count(*) AS two FROM pipeline.events_since('long', 0, 2);
CALL t.as_admin();

SELECT * FROM t.clean();
