-- What an API role can lock, and so keep from others for as long as its transaction is open: whole tables by LOCK TABLE,
-- rows by SELECT ... FOR UPDATE. And what of ours waits for whole tables gives up after a while.
-- The pitfall: LOCK TABLE asks for rights on the table, FOR UPDATE is content with one on a column; and the right to
-- delete rows is one to lock the table against everybody, which SQL has no way to part.
SET search_path = tap, public, pg_catalog;
SET client_min_messages = warning;

BEGIN;
SELECT plan(5);

CREATE TEMPORARY TABLE ours AS
	SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind IN ('r', 'p') AND (n.nspname IN ('pipeline', 'studio_engine') OR n.nspname = 'public');
SELECT cmp_ok((SELECT count(*) FROM ours), '>', 30::bigint, 'there are tables');

-- Is it refused, for the right that is missing?
CREATE FUNCTION pg_temp.may(p_role text, p_statement text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('request.jwt.claims', '{"sub": "35000000-0000-4000-8000-00000000000a"}', true), set_config('role', p_role, true);
	EXECUTE p_statement;
	RAISE EXCEPTION USING ERRCODE = 'UNDO0';
EXCEPTION
	WHEN SQLSTATE 'UNDO0' THEN RETURN true;
	WHEN insufficient_privilege THEN RETURN false;
END $$;

SELECT set_eq(
	$$ SELECT r.role, o.name, m.mode
		 FROM unnest('{anon,authenticated}'::text[]) AS r (role), ours o,
			  unnest('{ACCESS SHARE,ROW SHARE,ROW EXCLUSIVE,SHARE UPDATE EXCLUSIVE,SHARE,SHARE ROW EXCLUSIVE,EXCLUSIVE,ACCESS EXCLUSIVE}'::text[]) AS m (mode)
		WHERE m.mode <> 'ACCESS SHARE' AND pg_temp.may(r.role, format('LOCK TABLE %s IN %s MODE', o.name, m.mode)) $$,
	$$ SELECT 'authenticated' AS role, 'projects' AS name, m.mode
		 FROM unnest('{ROW SHARE,ROW EXCLUSIVE,SHARE UPDATE EXCLUSIVE,SHARE,SHARE ROW EXCLUSIVE,EXCLUSIVE,ACCESS EXCLUSIVE}'::text[]) AS m (mode) $$,
	'nobody locks a table as a whole against others but projects, whose rows users may delete');

SELECT set_eq(
	$$ SELECT r.role, o.name, m.mode
		 FROM unnest('{anon,authenticated}'::text[]) AS r (role), ours o, unnest('{UPDATE,NO KEY UPDATE,SHARE,KEY SHARE}'::text[]) AS m (mode)
		WHERE pg_temp.may(r.role, format('SELECT FROM %s FOR %s', o.name, m.mode)) $$,
	$$ SELECT 'authenticated' AS role, t AS name, m AS mode FROM unnest('{profiles,projects,studio_jobs}'::text[]) AS t, unnest('{UPDATE,NO KEY UPDATE,SHARE,KEY SHARE}'::text[]) AS m $$,
	'users lock rows of the three tables that they may change, where they see none but their own');

SELECT is_empty(
	$$ SELECT p.oid::regprocedure FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
		WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
		  AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'studio_engine')
		  AND p.prosrc ~* '(LOCK TABLE .* IN (SHARE ROW |ACCESS )?EXCLUSIVE|DETACH PARTITION|ATTACH PARTITION)'
		  AND NOT coalesce(p.proconfig && ARRAY['lock_timeout=5s'], false) $$,
	'whatever waits for a whole table, others behind it, gives up after five seconds');
SELECT isnt_empty($$ SELECT FROM pg_proc p WHERE p.proconfig && ARRAY['lock_timeout=5s'] $$, 'which is seen by their settings');

SELECT * FROM finish();
ROLLBACK;
