-- What COMMENT ON says is the reference of the API: PostgREST shows the first line as summary, the rest as description.
-- Pitfall: whether what it says is true is not looked at here, but by test/rest/20_rpc.test.mjs for callers and errors.
SET search_path = tap, public, pg_catalog;

BEGIN;
SELECT plan(12);

CREATE TEMPORARY VIEW our_functions AS
	SELECT p.*, p.oid::regprocedure::text AS signature, split_part(d.comment, E'\n', 1) AS summary,
		   substr(d.comment, length(split_part(d.comment, E'\n', 1)) + 1) AS details
	FROM pg_proc p
	JOIN pg_depend m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid AND m.deptype = 'e'
	JOIN pg_extension e ON m.refclassid = 'pg_extension'::regclass AND m.refobjid = e.oid AND e.extname = 'studio_engine',
	LATERAL (SELECT obj_description(p.oid, 'pg_proc') AS comment) d;

CREATE TEMPORARY VIEW our_data AS
	SELECT o.name, split_part(o.comment, E'\n', 1) AS summary,
		   substr(o.comment, length(split_part(o.comment, E'\n', 1)) + 1) AS details
	FROM (SELECT c.oid::regclass::text, c.relnamespace, obj_description(c.oid, 'pg_class') FROM pg_class c WHERE c.relkind IN ('r', 'p')
		  UNION ALL
		  SELECT t.oid::regtype::text, t.typnamespace, obj_description(t.oid, 'pg_type') FROM pg_type t WHERE t.typtype = 'e')
		 AS o (name, namespace, comment)
	WHERE o.namespace IN ('public'::regnamespace, 'pipeline'::regnamespace, 'studio_engine'::regnamespace);

--------------------------------------------------------------------------------
-- Functions
--------------------------------------------------------------------------------

SELECT cmp_ok((SELECT count(*) FROM our_functions), '>', 140::bigint, 'there are functions to look at');
SELECT is_empty($$ SELECT signature, length(summary) FROM our_functions WHERE length(summary) NOT BETWEEN 10 AND 80 $$,
				'the first line of a comment on a function is short');
SELECT is_empty($$ SELECT signature, summary FROM our_functions WHERE summary !~ '^[A-Z][^?]*[^?. ]\.$' $$,
				'... and a sentence, no question');
SELECT is_empty(
	$$ SELECT summary, array_agg(signature) FROM our_functions GROUP BY summary HAVING count(*) > 1 $$,
	'... that no other function has');
SELECT is_empty($$ SELECT signature FROM our_functions WHERE details !~ E'^\n\n\\S.*\\S$' $$,
				'an empty line and the details follow');
SELECT is_empty(
	$$ SELECT f.signature, a.name FROM our_functions f, unnest(f.proargnames) WITH ORDINALITY AS a (name, place)
	   WHERE coalesce(f.proargmodes[a.place], 'i') IN ('i', 'b', 'v') AND f.details !~ ('\m' || a.name || '\M') $$,
	'... which name every argument');
SELECT is_empty(
	$$ SELECT signature FROM our_functions WHERE prorettype = 'trigger'::regtype AND details !~ E'\nTrigger[ ,]' $$,
	'... when a trigger fires');
SELECT is_empty(
	$$ SELECT signature FROM our_functions
	   WHERE EXISTS (SELECT FROM unnest('{anon,authenticated,service_role}'::text[]) AS r (role) WHERE has_function_privilege(r.role, oid, 'EXECUTE'))
		 AND details !~ E'\nCallers: ' $$,
	'... and who may call what API roles may');

--------------------------------------------------------------------------------
-- Tables and types
--------------------------------------------------------------------------------

SELECT cmp_ok((SELECT count(*) FROM our_data), '>', 35::bigint, 'there are tables and types to look at');
SELECT is_empty(
	$$ SELECT name, summary FROM our_data WHERE length(summary) NOT BETWEEN 10 AND 80 OR summary !~ '^[A-Z][^?]*[^?. ]\.$' $$,
	'the first line of a comment on a table or type is short, ends with a full stop and is no question');
SELECT is_empty($$ SELECT name FROM our_data WHERE details !~ E'^(\n\n\\S.*\\S)?$' $$, 'an empty line and the details follow, if there are any');
SELECT is_empty($$ SELECT summary, array_agg(name) FROM our_data GROUP BY summary HAVING count(*) > 1 $$, 'no two are alike');

SELECT * FROM finish();
ROLLBACK;
