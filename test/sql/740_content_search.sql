-- 740_content_search.sql
--
-- Full-text search over content, what keeps its words, and the archive.
-- Pitfall: rank is a float and differs with the server's version, so only the
-- order is printed.

\set VERBOSITY terse
\set SHOW_CONTEXT never

INSERT INTO cm_module_content (content_id, module_name, introduction, core_content, assessments) VALUES
  (t.id(1), 'Budget planning', 'Welcome to the course.', 'A budget is a plan. Budgets are revised.', NULL),
  (t.id(2), 'Risk', 'What about the budget?', 'Risks and their owners', 'Who owns a risk?'),
  (t.id(3), 'Cooking', '<script>alert(1)</script> Knives & pans', NULL, '');
CREATE FUNCTION t.found(p_query text, p_limit integer DEFAULT 20) RETURNS TABLE (content text, section text, headline text) LANGUAGE sql AS $$
  SELECT t.n(content_id), section, headline FROM public.search_module_content(p_query, p_limit => p_limit) $$;
-- the name weighs more; words are found in their other forms; one hit per module, the best
SELECT * FROM t.found('budget');
SELECT * FROM t.found('budgets risk');
SELECT * FROM t.found('owner');
SELECT * FROM t.found('"budget is a plan"');
SELECT * FROM t.found('cooking OR risks');
SELECT * FROM t.found('budget -plan');
SELECT * FROM t.found('knives');
-- words meet, and are excluded, within a part of a section; where two parts overlap, in both
BEGIN;
UPDATE cm_module_content SET core_content = 'alpha ' || repeat('x ', 20000) || 'omega' WHERE content_id = t.id(3);
SELECT q, (SELECT count(*) FROM t.found(q)) AS found FROM unnest('{alpha,omega,alpha omega,alpha -omega,omega -alpha,alpha -x}'::text[]) q;
ROLLBACK;
SELECT * FROM t.found('cook');
-- one, none, and what people type
SELECT * FROM t.found('budget', 1);
SELECT count(*) AS rows FROM t.found('nothing');
SELECT left(q, 20) AS q, t.ask(format('SELECT count(*) FROM t.found(%L)', q)) AS answer
  FROM unnest(ARRAY['the', '&|!()', '"', '''; DROP TABLE x', '   ', 'ünïcödé 你好', '', repeat('x', 1000), repeat('x', 1001)]) q;
SELECT l, t.ask(format('SELECT count(*) FROM t.found(''budget'', %s)', l)) AS answer FROM unnest('{0,-1,NULL::integer,1,1000,1001}'::text[]) l;
SELECT t.ask('SELECT search_module_content(NULL)') AS no_query;
SELECT rank > 0 AS ranked, pg_typeof(rank) AS type FROM search_module_content('budget') LIMIT 1;

-- the words follow the text
UPDATE cm_module_content SET core_content = 'Nothing of the kind', module_name = 'Plain' WHERE content_id = t.id(1);
SELECT * FROM t.found('budget');
UPDATE cm_module_content SET introduction = NULL WHERE content_id = t.id(2);
SELECT count(*) AS rows FROM t.found('budget');
-- only what changed is written
SELECT string_agg(xmin::text, ' ' ORDER BY section) AS before FROM studio_engine.content_search WHERE content_id = t.id(2) AND section <> 'assessments' \gset
UPDATE cm_module_content SET status = 'quality_check', assessments = 'Name an owner.' WHERE content_id = t.id(2);
SELECT string_agg(xmin::text, ' ' ORDER BY section) = :'before' AS others_left FROM studio_engine.content_search WHERE content_id = t.id(2) AND section <> 'assessments';
SELECT section, part, configuration FROM studio_engine.content_search WHERE content_id = t.id(2) ORDER BY section;
DELETE FROM cm_module_content WHERE content_id = t.id(3);
SELECT count(*) AS gone FROM studio_engine.content_search WHERE content_id = t.id(3);

-- another configuration: from the next statement on for new text, for the rest after refreshing
UPDATE studio_engine.settings SET value = 'simple' WHERE name = 'search_configuration';
INSERT INTO cm_module_content (content_id, module_name, introduction) VALUES (t.id(4), 'Owners', 'the owners');
SELECT * FROM t.found('owners');
SELECT refresh_content_search(1) AS one;
SELECT refresh_content_search() AS rest;
SELECT refresh_content_search() AS nothing_left;
SELECT configuration, count(*) FROM studio_engine.content_search GROUP BY configuration;
SELECT * FROM t.found('owners');
SELECT * FROM t.found('the');
SELECT l, t.ask(format('SELECT refresh_content_search(%s)', l)) AS answer FROM unnest('{0,-1,NULL::integer,10001,10000}'::text[]) l;
-- one of the installation's own, by its schema
CREATE TEXT SEARCH CONFIGURATION t.mine (COPY = german);
UPDATE studio_engine.settings SET value = 't.mine' WHERE name = 'search_configuration';
SELECT refresh_content_search() AS refreshed;
SELECT * FROM t.found('Owner');
DROP TEXT SEARCH CONFIGURATION t.mine;
-- no such configuration: content is stored, with a warning; searching and refreshing say what is wrong
SELECT v AS value, set_config('t.v', v, false) IS NOT NULL AS set, t.ask('SELECT t.force_setting(''search_configuration'', current_setting(''t.v'')) IS NULL') AS changed,
       t.ask('SELECT count(*) FROM search_module_content(''x'')') AS search, t.ask('SELECT refresh_content_search()') AS refresh
  FROM unnest('{klingon,"",public.klingon,a.b.c,"no;such",nowhere.english,t.mine," "}'::text[]) v;
SELECT t.force_setting('search_configuration', 'klingon');
UPDATE cm_module_content SET introduction = 'stored nevertheless' WHERE content_id = t.id(4);
SELECT introduction FROM cm_module_content WHERE content_id = t.id(4);
INSERT INTO cm_module_content (content_id, module_name) VALUES (t.id(5), 'New');
UPDATE studio_engine.settings SET value = 'english' WHERE name = 'search_configuration';
SELECT refresh_content_search() AS refreshed;
SELECT * FROM t.found('stored');
SELECT * FROM t.found('new');
-- a module of which one column only has been written since the change; one without a name, once; one with nothing at all
UPDATE studio_engine.settings SET value = 'simple' WHERE name = 'search_configuration';
UPDATE cm_module_content SET module_name = module_name || ' again' WHERE content_id = t.id(4);
SELECT section, configuration FROM studio_engine.content_search WHERE content_id = t.id(4) ORDER BY section;
INSERT INTO cm_module_content (content_id, module_name, introduction) VALUES (t.id(6), '', 'nameless');
SELECT refresh_content_search() AS with_the_half, refresh_content_search() AS nothing_left;
SELECT string_agg(DISTINCT configuration, ' ') AS configurations FROM studio_engine.content_search;
UPDATE studio_engine.settings SET value = 'english' WHERE name = 'search_configuration';
UPDATE cm_module_content SET introduction = introduction || ' stories' WHERE content_id = t.id(6);
SELECT refresh_content_search() AS of_one_text, refresh_content_search() AS nothing_left;
SELECT * FROM t.found('nameless story');
DELETE FROM studio_engine.content_search WHERE content_id = t.id(6);
SELECT refresh_content_search() AS lost, refresh_content_search() AS nothing_left;
DELETE FROM cm_module_content WHERE content_id = t.id(6);
-- without the row: the default
BEGIN;
DELETE FROM studio_engine.settings WHERE name = 'search_configuration';
SELECT count(*) AS found FROM t.found('owners');
ROLLBACK;
-- one session changes it, another that has read it already heeds it: the same mechanism as of numbers
SELECT count(*) AS found FROM t.found('owner');

--
-- The archive
--

DELETE FROM cm_module_content;
-- older than a year: 1 approved, 2 failed, 3 draft, 4 approved with a running session, 5 approved with an ended one; 6 is new
BEGIN;
SET LOCAL studio_engine.maintenance = on;
INSERT INTO cm_module_content (content_id, module_name, introduction, status, updated_at)
SELECT t.id(n), 'Module', 'ancient', s, CASE WHEN n < 6 THEN now() - INTERVAL '400 days' - n * INTERVAL '1 day' ELSE now() END
  FROM unnest('{approved,failed,draft,approved,approved,approved}'::text[]) WITH ORDINALITY u (s, n2), LATERAL (SELECT n2::integer) v (n);
COMMIT;
SELECT refresh_content_search() AS indexed;
INSERT INTO mm_multimedia_sessions (content_id, status) VALUES (t.id(4), 'processing'), (t.id(5), 'completed');
SELECT count(*) AS found FROM t.found('ancient');
SELECT a AS older_than, t.ask(format('SELECT archive_module_content(%s)', a)) AS answer FROM unnest(ARRAY['NULL', '''-1 day''', '''1 month -40 days''', '''1 year'', 0', '''1 year'', NULL', '''1 year'', 100001', '''1000 years''', '''10000 years''', '''178000000 years''', '''2147483647 days''', '''2562047788 hours''']) a;
SELECT archive_module_content('1 year', 1) AS the_oldest;
SELECT t.n(content_id) AS archived FROM cm_module_content WHERE archived_at IS NOT NULL;
SELECT archive_module_content('1 year') AS the_others, archive_module_content('1 year') AS nothing_left;
SELECT t.n(content_id) AS content, status, archived_at IS NOT NULL AS archived FROM cm_module_content ORDER BY 1;
SELECT t.n(content_id) AS found FROM search_module_content('ancient') ORDER BY 1;
SELECT get_content_statistics() -> 'content' AS content;
SELECT refresh_content_search() AS left_alone;
-- archived content can be read, changed without becoming searchable, and brought back
SELECT get_module_content(t.id(1)) ->> 'introduction' AS introduction;
UPDATE cm_module_content SET core_content = 'more' WHERE content_id = t.id(1);
SELECT count(*) AS words FROM studio_engine.content_search WHERE content_id = t.id(1);
UPDATE cm_module_content SET archived_at = NULL WHERE content_id = t.id(1);
SELECT section FROM studio_engine.content_search WHERE content_id = t.id(1) ORDER BY section;

DROP FUNCTION t.found;
SELECT * FROM t.clean();
