-- 640_pipeline_artifacts.sql
--
-- Artifacts and prompts: registered again, changed, owned; who reads prompts.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CALL t.sign_up(1, 2);
CREATE VIEW t.artifacts AS
SELECT run_id AS run, kind, left(url, 30) AS url, meta, t.n(owner_id) AS owner, file_size AS size, content_type AS type, left(checksum, 20) AS checksum
  FROM pipeline.artifacts ORDER BY run_id, kind, checksum NULLS FIRST, url;
GRANT SELECT ON t.artifacts TO service_role, authenticated;

CALL t.as_role('service_role');
SELECT pipeline.create_job('a', '{}', t.id(1)) ->> 'status' AS status;
SELECT pipeline.create_job('b', '{}') ->> 'status' AS status;
-- by checksum: same run, kind and checksum
SELECT pipeline.register_artifact('a', 'zip', 'https://example.com/1', '{"pages": 3}', 9000000000, 'application/zip', 'sha256:1') AS zip \gset
SELECT pipeline.register_artifact('a', 'zip', 'https://example.com/1', '{"pages": 3}', 9000000000, 'application/zip', 'sha256:1') = :'zip' AS same;
SELECT * FROM t.artifacts;
SELECT pipeline.register_artifact('a', 'zip', 'https://example.com/2', '{"words": 7}', p_checksum => 'sha256:1') = :'zip' AS same;
SELECT * FROM t.artifacts;
SELECT pipeline.register_artifact('a', 'zip', 'https://example.com/2', '{"pages": 4}', 5, 'text/plain', 'sha256:1') = :'zip' AS same;
SELECT pipeline.register_artifact('a', 'file', 'https://example.com/2', p_checksum => 'sha256:1') = :'zip' AS other_kind;
SELECT pipeline.register_artifact('a', 'zip', 'https://example.com/2', p_checksum => 'sha256:2') = :'zip' AS other_checksum;
SELECT pipeline.register_artifact('b', 'zip', 'https://example.com/2', p_checksum => 'sha256:1') = :'zip' AS other_run;
-- by address, where there is no checksum
SELECT pipeline.register_artifact('a', 'zip', 'https://example.com/2') AS by_url \gset
SELECT pipeline.register_artifact('a', 'zip', 'https://example.com/2', NULL, 77) = :'by_url' AS same;
SELECT pipeline.register_artifact('a', 'zip', 'https://example.com/3') = :'by_url' AS other_url;
SELECT pipeline.register_artifact('b', 'zip', 'https://example.com/2') = :'by_url' AS other_run;
SELECT pipeline.register_artifact('b', 'data', 'data:' || repeat('x', 100000)) = pipeline.register_artifact('b', 'data', 'data:' || repeat('x', 100000)) AS long_url;
SELECT pipeline.register_artifact('b', 'data', 'data:' || repeat('x', 100001)) <> pipeline.register_artifact('b', 'data', 'data:' || repeat('x', 100000)) AS long_url;
SELECT * FROM t.artifacts;
-- bounds
SELECT t.quiet($$SELECT pipeline.register_artifact('none', 'zip', 'u')$$);
SELECT t.quiet($$SELECT pipeline.register_artifact(NULL, 'zip', 'u')$$);
SELECT t.quiet($$SELECT pipeline.register_artifact('a', NULL, 'u')$$);
SELECT t.quiet($$SELECT pipeline.register_artifact('a', '', 'u')$$);
SELECT t.quiet($$SELECT pipeline.register_artifact('a', 'zip', NULL)$$);
SELECT t.quiet($$SELECT pipeline.register_artifact('a', 'zip', 'u', '[]')$$);
SELECT t.quiet($$SELECT pipeline.register_artifact('a', 'zip', 'u', '{}', -1)$$);
SELECT t.quiet($$SELECT pipeline.register_artifact('a', 'zip', 'u', '{}', 1, '')$$);
SELECT t.quiet($$SELECT pipeline.register_artifact('a', 'zip', 'u', '{}', 1, 't', '')$$);

-- plain SQL: the owner is that of the run
INSERT INTO pipeline.artifacts (run_id, kind, owner_id, meta) VALUES ('a', 'plain', t.id(2), '[1]'), ('b', 'plain', t.id(2), NULL);
SELECT run, kind, meta, owner FROM t.artifacts WHERE kind = 'plain';
UPDATE pipeline.artifacts SET owner_id = t.id(2), checksum = 'c', url = 'u' WHERE kind = 'plain' RETURNING run_id, t.n(owner_id) AS owner;
SELECT pipeline.register_artifact('a', 'plain', 'v', '{"a": 1}', p_checksum => 'c') IS NOT NULL AS taken_over;
SELECT run, meta FROM t.artifacts WHERE kind = 'plain';
SELECT t.try($$INSERT INTO pipeline.artifacts (run_id, kind, checksum) VALUES ('a', 'plain', 'c')$$);
SELECT t.try($$INSERT INTO pipeline.artifacts (run_id, kind) VALUES ('none', 'plain')$$) LIKE '23503%' AS unknown_run;
SELECT t.try($$UPDATE pipeline.artifacts SET run_id = 'b' WHERE run_id = 'a'$$);
UPDATE pipeline.artifacts SET run_id = run_id, kind = 'renamed' WHERE run_id = 'a' AND kind = 'plain';
SELECT (SELECT last_event_seq FROM pipeline.jobs WHERE run_id = 'a') AS no_events_of_artifacts;
UPDATE pipeline.jobs SET owner_id = t.id(2);
SELECT owner, count(*) FROM t.artifacts GROUP BY owner;
CALL t.as_user(t.id(1));
SELECT count(*) AS of_1 FROM pipeline.artifacts;
CALL t.as_user(t.id(2));
SELECT count(*) AS of_2 FROM pipeline.artifacts;
SELECT t.try($$UPDATE pipeline.artifacts SET url = 'x'$$);
SELECT t.try($$SELECT pipeline.register_artifact('a', 'zip', 'u')$$);

-- prompts
CALL t.as_role('service_role');
SELECT p ->> 'id' AS id, p ->> 'category' AS category, p ->> 'context' AS context, p ->> 'prompt_text' AS text
  FROM pipeline.upsert_prompt('welcome', 'copy', 'home page', E'Hello \U0001F44B') p;
SELECT t.quiet($$SELECT pipeline.upsert_prompt('welcome', 'copy', 'home page', E'Hello \U0001F44B') ->> 'id'$$) AS again;
SELECT created_at, updated_at FROM pipeline.prompts WHERE id = 'welcome' \gset first_
SELECT pipeline.upsert_prompt('welcome', 'copy', 'home page', 'Good day') ->> 'prompt_text' AS text;
SELECT created_at = :'first_created_at' AS same_birth, updated_at > :'first_updated_at' AS updated FROM pipeline.prompts WHERE id = 'welcome';
SELECT pipeline.upsert_prompt('other', 'copy', 'x', 'y') ->> 'id' AS id;
SELECT t.quiet($$SELECT pipeline.upsert_prompt(NULL, 'c', 'x', 't')$$);
SELECT t.quiet($$SELECT pipeline.upsert_prompt('p', NULL, 'x', 't')$$);
SELECT t.quiet($$SELECT pipeline.upsert_prompt('p', 'c', NULL, 't')$$);
SELECT t.quiet($$SELECT pipeline.upsert_prompt('p', 'c', 'x', NULL)$$);
SELECT t.quiet($$SELECT pipeline.upsert_prompt('p', 'c', 'x', '')$$);
SELECT t.quiet($$SELECT pipeline.get_prompt('none')$$);
SELECT t.quiet($$SELECT pipeline.get_prompt(NULL)$$);
CALL t.as_user(t.id(1));
SELECT pipeline.get_prompt('welcome') ->> 'prompt_text' AS text;
SELECT id FROM pipeline.prompts WHERE category = 'copy' ORDER BY id;
SELECT t.try($$SELECT pipeline.get_prompt('none')$$);
SELECT t.try($$SELECT pipeline.upsert_prompt('welcome', 'c', 'x', 't')$$);
SELECT t.try($$UPDATE pipeline.prompts SET prompt_text = 'x'$$);
CALL t.as_user(NULL);
SELECT count(*) AS seen_by_nobody FROM pipeline.prompts;
SELECT t.try($$SELECT pipeline.get_prompt('welcome')$$);
CALL t.as_role('anon');
SELECT t.try($$SELECT pipeline.get_prompt('welcome')$$);
SELECT t.try($$SELECT * FROM pipeline.prompts$$);

CALL t.as_admin();
DROP VIEW t.artifacts;
SELECT * FROM t.clean();
