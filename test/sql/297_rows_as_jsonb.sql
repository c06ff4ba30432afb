-- 297_rows_as_jsonb.sql
--
-- A row as jsonb is what to_jsonb() makes of it: odd values of each type, columns
-- that the owner has added, renamed and dropped, and any format of times and
-- numbers; on the fast path and by statements.
-- Pitfall: equal jsonb may be written differently, 1.0 and 1, so the texts are
-- compared as well, and the sizes.  Where Assert is compiled in, each row that
-- any test shows is compared byte for byte (src/core/row_jsonb.c).

\set VERBOSITY terse
\set SHOW_CONTEXT never

CALL t.sign_up(1);

-- Claim all jobs, and return how many of them are not what to_jsonb() says.
CREATE FUNCTION t.shown_differently() RETURNS TABLE (claimed bigint, different bigint)
LANGUAGE plpgsql AS $$
DECLARE
  v_shown jsonb[];
BEGIN
  SELECT array_agg(c.job) INTO v_shown FROM public.claim_jobs('studio_jobs', 'w', 1000) c;
  RETURN QUERY
  SELECT count(*), count(*) FILTER (WHERE s IS DISTINCT FROM to_jsonb(j) OR s::text <> to_jsonb(j)::text
                                       OR pg_column_size(s) <> pg_column_size(to_jsonb(j)))
  FROM unnest(v_shown) s JOIN public.studio_jobs j ON j.job_id = (s ->> 'job_id')::uuid;
END
$$;

-- ------------------------------------------------------------------------
-- The columns of the product
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url, raw_transcript, enrichment_entities, priority, created_at)
SELECT gen_random_uuid(), t.id(1), 'https://example.org/' || n, v.transcript, v.entities, (n + 1) % 3,
       CASE n % 4 WHEN 0 THEN '-infinity' WHEN 1 THEN now() WHEN 2 THEN '0044-03-15 BC' ELSE '2026-03-29 02:30:00.000001+00' END
FROM generate_series(1, 8) n,
     (VALUES (NULL, NULL), ('', '{}'::jsonb), (E'"\\\t\x01 \u2603 \U0001F600', '{"b": [1, 1.0, 1e3, -0.00, "x", null, true, {}, []], "a": {"aa": {"b": {}}, "": 1}}'),
             (repeat('long ', 700), jsonb_build_object('k', repeat('x', 1500)))) v (transcript, entities);
SELECT * FROM t.shown_differently();
DELETE FROM studio_jobs;

-- ------------------------------------------------------------------------
-- Columns of the owner: all kinds of types, a name that is last, one that has to
-- be quoted, a default that old rows do not contain
CREATE TYPE t.mood AS ENUM ('sad', 'a "quoted" one', '☃');
CREATE TYPE t.told AS ENUM ('one', 'two');
CREATE FUNCTION t.tell(t.told) RETURNS json LANGUAGE sql AS $$ SELECT json_build_object('told', $1::text) $$;
CREATE CAST (t.told AS json) WITH FUNCTION t.tell(t.told);
CREATE TYPE t.pair AS (z integer, a timestamptz);
CREATE DOMAIN t.small AS integer CHECK (VALUE < 1000);
CREATE DOMAIN t.document AS jsonb;
CREATE DOMAIN t.feeling AS t.mood;
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url) SELECT t.id(20 + n), t.id(1), 'a' FROM generate_series(1, 7) n;
ALTER TABLE studio_jobs
  ADD COLUMN gone text DEFAULT 'x', ADD COLUMN added text DEFAULT 'without a rewrite',
  ADD COLUMN o_varchar varchar(20), ADD COLUMN o_char char(5), ADD COLUMN o_name name, ADD COLUMN o_int2 smallint,
  ADD COLUMN o_int8 bigint, ADD COLUMN o_float4 real, ADD COLUMN o_float8 double precision, ADD COLUMN o_numeric numeric,
  ADD COLUMN o_date date, ADD COLUMN o_time time, ADD COLUMN o_timetz timetz, ADD COLUMN o_timestamp timestamp,
  ADD COLUMN o_timestamptz timestamptz(3), ADD COLUMN o_interval interval, ADD COLUMN o_bytea bytea, ADD COLUMN o_uuids uuid[],
  ADD COLUMN o_numbers integer[], ADD COLUMN o_json json, ADD COLUMN o_jsonb jsonb, ADD COLUMN o_mood t.mood, ADD COLUMN o_told t.told,
  ADD COLUMN o_pair t.pair, ADD COLUMN o_small t.small, ADD COLUMN o_document t.document, ADD COLUMN o_feeling t.feeling,
  ADD COLUMN o_moods t.mood[], ADD COLUMN o_inet inet, ADD COLUMN o_range int4range, ADD COLUMN o_oid oid, ADD COLUMN o_money money,
  ADD COLUMN "Z, the ""last"" ☃ of all names, as long as any name ever can be" bool;
ALTER TABLE studio_jobs ADD COLUMN " " text DEFAULT 'a name of one blank', DROP COLUMN gone;

CREATE PROCEDURE t.odd_values()
LANGUAGE sql AS $$
  UPDATE studio_jobs SET o_varchar = '', o_char = 'ab', o_name = 'n', o_int2 = -32768, o_int8 = 9223372036854775807, o_float4 = 'NaN',
    o_float8 = 'Infinity', o_numeric = 'NaN', o_date = 'infinity', o_time = '24:00', o_timetz = '00:00+14', o_timestamp = '-infinity',
    o_timestamptz = 'infinity', o_interval = '1 year -2 days', o_bytea = '\x00ff', o_uuids = '{}', o_numbers = '{}', o_json = '[1.0, {"b": 1, "a": 2, "a": 3}]',
    o_jsonb = 'null', o_mood = 'sad', o_told = 'one', o_pair = (1, 'infinity'), o_small = 1, o_document = '[]', o_feeling = 'sad',
    o_moods = '{sad, NULL}', o_inet = '::1', o_range = 'empty', o_oid = 4294967295, o_money = 1.5
    WHERE job_id = t.id(22);
  UPDATE studio_jobs SET o_int2 = 0, o_int8 = -9223372036854775808, o_float4 = 1e-30, o_float8 = 0.1::float8 + 0.2, o_numeric = 1.00,
    o_date = '0044-03-15 BC', o_timestamp = '2026-10-25 02:30', o_timestamptz = '2026-10-25 00:30:00.1234567+00', o_uuids = ARRAY[t.id(1), NULL],
    o_numbers = '{{1,2},{3,NULL}}', o_jsonb = '"scalar"', o_mood = '☃', o_told = 'two', o_pair = (NULL, NULL), o_document = '1.50',
    o_interval = '-1 month 1 day -00:00:00.5', o_range = '[1,5)'
    WHERE job_id = t.id(23);
  UPDATE studio_jobs SET o_int8 = 100000000, o_float8 = 1e300, o_numeric = 1e100, o_date = '5874897-12-31', o_timestamptz = '294276-12-31 00:00+00',
    o_jsonb = '[[[]], {"": {"x": [{}]}}]', o_mood = 'a "quoted" one', o_varchar = '☃"\', "Z, the ""last"" ☃ of all names, as long as any name ever can be" = true
    WHERE job_id = t.id(24);
  UPDATE studio_jobs SET o_float8 = '-0', o_numeric = -0.0000001, o_int8 = 10000, o_jsonb = '{}', o_document = 'true', o_timestamptz = '0001-01-01 00:00+00'
    WHERE job_id = t.id(25);
  UPDATE studio_jobs SET o_jsonb = jsonb_build_object('long', repeat('x', 3000)), o_numeric = 123456789.123456789000, o_varchar = repeat('y', 20)
    WHERE job_id = t.id(26);
$$;
CREATE PROCEDURE t.compare(p_settings text[])
LANGUAGE plpgsql AS $$
DECLARE
  v_claimed bigint; v_different bigint;
BEGIN
  PERFORM set_config(split_part(s, '=', 1), split_part(s, '=', 2), true) FROM unnest(p_settings) s;
  SELECT * INTO v_claimed, v_different FROM t.shown_differently();
  RAISE NOTICE '%: % claimed, % different', p_settings, v_claimed, v_different;
  PERFORM release_leases('w');
END
$$;

CALL t.odd_values();
CALL t.compare('{}');
CALL t.compare('{DateStyle=German,TimeZone=America/New_York,IntervalStyle=iso_8601,bytea_output=escape}');
CALL t.compare('{DateStyle=SQL,TimeZone=Asia/Kathmandu,IntervalStyle=sql_standard,extra_float_digits=-5}');
CALL t.compare('{extra_float_digits=3,TimeZone=XYZ-12:34}');
-- what the columns are called, and which there are, is read each time
ALTER TABLE studio_jobs RENAME COLUMN o_int8 TO an_eight;
CALL t.compare('{}');
ALTER TABLE studio_jobs RENAME COLUMN an_eight TO o_date_;
ALTER TABLE studio_jobs DROP COLUMN o_varchar, DROP COLUMN o_char;
CALL t.compare('{}');
ALTER TABLE studio_jobs ALTER COLUMN o_int2 TYPE text;
CALL t.compare('{}');
-- a cast is used from the moment on that it exists
CREATE FUNCTION t.tell(t.mood) RETURNS json LANGUAGE sql AS $$ SELECT json_build_object('mood', $1::text) $$;
CREATE CAST (t.mood AS json) WITH FUNCTION t.tell(t.mood);
CALL t.compare('{}');
-- by a statement, after the fast path, and for the same function
SET studio_engine.direct_rows = off;
CALL t.compare('{}');
CALL t.compare('{DateStyle=German,TimeZone=America/New_York,IntervalStyle=iso_8601,bytea_output=escape}');
RESET studio_engine.direct_rows;

DELETE FROM studio_jobs;
SELECT format('ALTER TABLE studio_jobs DROP COLUMN %I', a.attname)
FROM pg_attribute a WHERE a.attrelid = 'studio_jobs'::regclass AND (a.attname ~ '^(o_|added|Z| )') AND NOT a.attisdropped \gexec
DROP PROCEDURE t.compare, t.odd_values;
DROP FUNCTION t.shown_differently;
DROP CAST (t.mood AS json);
DROP CAST (t.told AS json);
DROP FUNCTION t.tell(t.mood), t.tell(t.told);
DROP TYPE t.pair, t.small, t.document, t.feeling, t.mood, t.told;
SELECT * FROM t.clean();
