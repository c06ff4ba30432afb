-- 060_settings.sql
--
-- get_settings(), set_setting() and the rows of studio_engine.settings: what is
-- there, what is accepted by every road, and who may.

SELECT name, value = default_value AS untouched, type, min_value, max_value FROM get_settings() ORDER BY name COLLATE "C";
-- the rows of the installation are these
SELECT count(*) FILTER (WHERE s.value = g.default_value AND s.description = g.description) = count(*) AS same, count(s.name) = count(g.name) AS all
  FROM studio_engine.settings s FULL JOIN get_settings() g USING (name);

-- set, and back to the default
SELECT set_setting('max_active_jobs', '7');
SELECT value, default_value FROM get_settings() WHERE name = 'max_active_jobs';
SELECT set_setting('max_active_jobs', NULL);
SELECT set_setting('default_system_prompt', E'\u00fc \u6f22\u5b57'), set_setting('default_system_prompt', '') = '' AS empty;
SELECT set_setting('default_system_prompt', NULL) = default_value AS default FROM get_settings() WHERE name = 'default_system_prompt';

-- a copy of the schema alone has no rows: defaults, and every setting can be changed
BEGIN;
DELETE FROM studio_engine.settings;
SELECT count(*) FILTER (WHERE value = default_value) = count(*) AS defaults FROM get_settings();
SELECT count(*) AS set FROM get_settings() g, LATERAL set_setting(g.name, g.default_value);
SELECT count(*) FILTER (WHERE s.value = g.default_value AND s.description = g.description) = count(*) AS same
  FROM studio_engine.settings s FULL JOIN get_settings() g USING (name);
ROLLBACK;
-- it counts at once, whatever the session has read before
BEGIN;
DELETE FROM studio_engine.settings WHERE name = 'welcome_credits';
INSERT INTO auth.users (id) VALUES (t.id(1));
SELECT set_setting('welcome_credits', '3');
INSERT INTO auth.users (id) VALUES (t.id(2));
TRUNCATE studio_engine.settings;
INSERT INTO auth.users (id) VALUES (t.id(3));
SELECT t.n(user_id) AS "user", amount FROM credit_ledger ORDER BY 1;
ROLLBACK;

-- what is not accepted, by the function and by plain SQL
CREATE TABLE t.trials AS
SELECT row_number() OVER () AS no, name, value FROM (VALUES
  ('lease_seconds', 'abc'), ('lease_seconds', ''), ('lease_seconds', '0'), ('lease_seconds', '86401'), ('lease_seconds', '86400'),
  ('lease_seconds', ' 60'), ('lease_seconds', '+60'), ('lease_seconds', '6e1'), ('lease_seconds', '60.0'), ('lease_seconds', E'\u0666'),
  ('max_attempts', '-1'), ('max_attempts', '2147483647'), ('max_attempts', '2147483648'), ('max_attempts', '99999999999999999999'), ('max_attempts', '007'),
  ('ledger_hash_chain', '2'), ('ledger_hash_chain', 'true'), ('ledger_hash_chain', '1'),
  ('quality_pass_score', '11'), ('draft_lifetime_days', '36501'),
  ('search_configuration', 'klingon'), ('search_configuration', ''), ('search_configuration', 'pg_catalog.english'), ('search_configuration', 'a.b.c'),
  ('search_configuration', '"'),
  ('stripe_prices', ''), ('stripe_prices', '[]'), ('stripe_prices', '1'), ('stripe_prices', '{"p": 1.5}'), ('stripe_prices', '{"p": 0}'),
  ('stripe_prices', '{"p": 2147483648}'), ('stripe_prices', '{"p": "1"}'), ('stripe_prices', '{"p": {"q": 1}}'), ('stripe_prices', '{"p": [1]}'),
  ('stripe_prices', '{"p": null}'), ('stripe_prices', '{"p": 1'), ('stripe_prices', '{"p": 1, "q": 2e3}'),
  ('no_such_setting', '1'), ('', '1'), ('Max_attempts', '1'), (NULL, '1')
) AS v (name, value);
CREATE TEMP TABLE answers AS SELECT no, name, value,
  t.ask(format('SELECT set_setting(%L, %L)', name, value)) AS function,
  t.ask(format('UPDATE studio_engine.settings SET value = %L WHERE name = %L RETURNING value', value, name)) AS updated,
  t.ask(format('INSERT INTO studio_engine.settings VALUES (%L, %L) ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value RETURNING value', name, value)) AS inserted
  FROM t.trials;
SELECT no, name, value, function FROM answers ORDER BY no;
-- where they differ: an UPDATE finds no row of a name that is none
SELECT no, name, value, CASE WHEN updated IS DISTINCT FROM function THEN updated END AS updated, CASE WHEN inserted IS DISTINCT FROM function THEN inserted END AS inserted
  FROM answers WHERE updated IS DISTINCT FROM function OR inserted IS DISTINCT FROM function ORDER BY no;
SELECT count(set_setting(name, NULL)) > 20 AS reset FROM get_settings();
SELECT t.ask($$SELECT set_setting('default_system_prompt', repeat('x', 500001))$$);
SELECT t.ask($$UPDATE studio_engine.settings SET name = 'another' WHERE name = 'max_attempts'$$);

-- a dump may bring what is none; whoever reads it says so
BEGIN;
SELECT t.force_setting('lease_seconds', 'abc');
SELECT value FROM get_settings() WHERE name = 'lease_seconds';
SELECT t.ask($$SELECT count(*) FROM claim_jobs('studio_jobs', 'worker')$$);
ROLLBACK;

-- who may
CREATE FUNCTION t.as_role(p_role text, p_sql text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('SET LOCAL ROLE %I', p_role);
  EXECUTE p_sql;
  RESET ROLE;
  RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
SELECT r AS role, t.as_role(r, $$SELECT public.set_setting('max_attempts', '3')$$) AS set_setting,
       t.as_role(r, $$SELECT public.get_settings()$$) AS get_settings
  FROM unnest('{anon,authenticated,service_role}'::text[]) r;
DROP FUNCTION t.as_role(text, text);
DROP TABLE t.trials;
SELECT * FROM t.clean();
