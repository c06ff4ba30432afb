-- 780_bounds.sql
--
-- What users may pass is bounded, and so is what they are answered.
-- Pitfall: what an answer costs is measured in test/tap/100_costs.pl; here is
-- what the bounds are.

\set VERBOSITY terse
\set SHOW_CONTEXT never

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
    ('400 after the point', format('{"n": 0.%s}', repeat('9', 400))),
    ('401 after the point', format('{"n": 0.%s}', repeat('9', 401))),
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

SELECT * FROM t.clean();
