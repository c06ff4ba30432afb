-- Partitions by month of pipeline.job_events and logs, for large installations.
-- The owner of the data enables it; no other table can be partitioned.
--
-- The old table becomes the first partition, and its rows are not copied. The
-- objects that belong to the name of a table (triggers, policies, grants, foreign
-- keys, indexes, publications) are created on the new parent. Partitions are in
-- schema studio_engine, so that no client bypasses the row security of the parent.
--
-- Pitfall: a row that fits no partition would be refused, and with it the change
-- of status that inserts it. Hence there is a default partition, and
-- add_partitions() moves the rows of the month that it adds out of it.

CREATE FUNCTION studio_engine.partitionable(p_table text) RETURNS text
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF p_table = 'job_events' THEN
    RETURN 'pipeline.job_events';
  ELSIF p_table = 'logs' THEN
    RETURN format('%I.logs', (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
                               WHERE e.extname = 'studio_engine'));
  END IF;
  RAISE EXCEPTION USING
    ERRCODE = CASE WHEN p_table IS NULL THEN 'null_value_not_allowed' ELSE 'invalid_parameter_value' END,
    MESSAGE = CASE WHEN p_table IS NULL THEN 'argument must not be null' ELSE 'argument is out of bounds' END,
    DETAIL = 'p_table must be one of job_events, logs.';
END
$$;
COMMENT ON FUNCTION studio_engine.partitionable(text) IS
'Returns the full name of a table that can be partitioned.

- p_table: job_events or logs.

Errors: 22004 p_table is NULL; 22023 it is no such table.';

-- Reasons why a table cannot be converted: objects that prevent it or would be lost.
CREATE FUNCTION studio_engine.partition_obstacles(p_table text, OUT obstacle text) RETURNS SETOF text
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  WITH t AS (SELECT to_regclass(studio_engine.partitionable(p_table)) AS oid)
  SELECT DISTINCT 'view ' || r.ev_class::regclass::text
    FROM t JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite r ON r.oid = d.objid
   WHERE r.ev_class <> t.oid
  UNION ALL
  SELECT 'rule ' || r.rulename FROM t JOIN pg_rewrite r ON r.ev_class = t.oid
  UNION ALL
  SELECT format('foreign key %s of %s', c.conname, c.conrelid::regclass) FROM t JOIN pg_constraint c ON c.confrelid = t.oid
  UNION ALL
  SELECT format('constraint %s', c.conname) FROM t JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype IN ('u', 'x')
  UNION ALL
  SELECT format('unique index %s', i.indexrelid::regclass)
    FROM t JOIN pg_index i ON i.indrelid = t.oid AND i.indisunique
    JOIN pg_class c ON c.oid = i.indexrelid
   WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)
     AND c.relname <> 'idx_job_events_seq'
  UNION ALL
  SELECT format('publication %s has rows or columns chosen', b.pubname)
    FROM t JOIN pg_publication_rel p ON p.prrelid = t.oid JOIN pg_publication b ON b.oid = p.prpubid
   WHERE p.prqual IS NOT NULL OR p.prattrs IS NOT NULL
  UNION ALL
  SELECT 'inheritance' FROM t WHERE EXISTS (SELECT FROM pg_inherits i WHERE t.oid IN (i.inhparent, i.inhrelid));
END;
COMMENT ON FUNCTION studio_engine.partition_obstacles(text) IS
'Returns the reasons why partition_by_month() cannot convert a table.

- p_table: job_events or logs.

Reasons are views, rules, foreign keys to the table, and unique constraints that the owner of the data added.
Empty when there is none.';

-- Statements that create all objects that belong to the name of a table, for the
-- table that has this name when they are run.
CREATE FUNCTION studio_engine.table_belongings(p_table text, OUT step integer, OUT statement text, OUT undo text)
  RETURNS SETOF record
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  WITH t AS (
    SELECT c.*, n.name FROM (SELECT studio_engine.partitionable(p_table)) n (name) JOIN pg_class c ON c.oid = to_regclass(n.name)
  )
  SELECT 1, format('ALTER TABLE %s OWNER TO %s', t.name, t.relowner::regrole), NULL FROM t
  UNION ALL
  SELECT 1, format('COMMENT ON TABLE %s IS %L', t.name, obj_description(t.oid, 'pg_class')), NULL FROM t
  UNION ALL
  SELECT 1, format('ALTER TABLE %s %s ROW LEVEL SECURITY', t.name, a.action), NULL
    FROM t, LATERAL (VALUES (t.relrowsecurity, 'ENABLE'), (t.relforcerowsecurity, 'FORCE')) a (is_so, action) WHERE a.is_so
  UNION ALL
  SELECT 2, pg_get_indexdef(i.indexrelid), NULL
    FROM t JOIN pg_index i ON i.indrelid = t.oid AND NOT i.indisunique AND i.indisvalid
  UNION ALL
  SELECT 3, format('ALTER TABLE %s ADD CONSTRAINT %I %s', t.name, c.conname, pg_get_constraintdef(c.oid)), NULL
    FROM t JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype = 'f'
  UNION ALL
  SELECT 4, pg_get_triggerdef(g.oid), format('DROP TRIGGER %I ON %%s', g.tgname)
    FROM t JOIN pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal
  UNION ALL
  SELECT 5, format('ALTER TABLE %s %s TRIGGER %I', t.name,
                   CASE g.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE REPLICA' END, g.tgname), NULL
    FROM t JOIN pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal AND g.tgenabled <> 'O'
  UNION ALL
  SELECT 4, format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', p.polname, t.name,
                   CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                   CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                   (SELECT string_agg(CASE r.role WHEN 0 THEN 'PUBLIC' ELSE r.role::regrole::text END, ', ') FROM unnest(p.polroles) r (role)),
                   ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
                   ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'),
         format('DROP POLICY %I ON %%s', p.polname)
    FROM t JOIN pg_policy p ON p.polrelid = t.oid
  UNION ALL
  SELECT 4, format('GRANT %s%s ON %s TO %s%s', a.privilege_type, c.columns, t.name,
                   CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
                   CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END),
         format('REVOKE ALL%s ON %%s FROM %s', c.columns, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
    FROM t, LATERAL (
      SELECT '', t.relacl
      UNION ALL
      SELECT format(' (%I)', b.attname), b.attacl FROM pg_attribute b WHERE b.attrelid = t.oid AND b.attacl IS NOT NULL) c (columns, acl),
      LATERAL aclexplode(c.acl) a
   WHERE a.grantee <> t.relowner
  UNION ALL
  SELECT 4, format('ALTER PUBLICATION %I ADD TABLE %s', b.pubname, t.name), format('ALTER PUBLICATION %I DROP TABLE %%s', b.pubname)
    FROM t JOIN pg_publication_rel p ON p.prrelid = t.oid JOIN pg_publication b ON b.oid = p.prpubid;
END;
COMMENT ON FUNCTION studio_engine.table_belongings(text) IS
'Returns statements that move what a table has by its name.

- p_table: job_events or logs.

That is its owner, indexes, foreign keys, triggers, policies, grants and publications. statement gives one of
them to the table that has the name when it is run, undo takes it from the table %s. They are run in the order
of step.';

CREATE FUNCTION studio_engine.add_partitions_as_owner(p_table text, p_ahead integer) RETURNS integer
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  v_parent text;
  v_style text := current_setting('datestyle');
  v_month timestamp;
  v_last timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
  v_new text;
  v_range text;
  v_added integer := 0;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
                  WHERE n.nspname = 'studio_engine' AND r.rolname = current_user) THEN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'only the owner of the data may run this',
      HINT = 'Call studio_engine.add_partitions().';
  END IF;
  v_parent := studio_engine.partitionable(p_table);
  IF p_ahead IS NULL OR p_ahead NOT BETWEEN 0 AND 120 THEN
    RAISE EXCEPTION USING
      ERRCODE = CASE WHEN p_ahead IS NULL THEN 'null_value_not_allowed' ELSE 'invalid_parameter_value' END,
      MESSAGE = CASE WHEN p_ahead IS NULL THEN 'argument must not be null' ELSE 'argument is out of bounds' END,
      DETAIL = 'p_ahead must be between 0 and 120.';
  END IF;
  IF (SELECT c.relkind FROM pg_class c WHERE c.oid = to_regclass(v_parent)) IS DISTINCT FROM 'p' THEN
    RAISE EXCEPTION USING
      ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = 'the table is not partitioned',
      DETAIL = format('Table %s.', v_parent),
      HINT = format('SELECT studio_engine.partition_by_month(%L);', p_table);
  END IF;

  -- the first month that no partition has; bounds are printed in the style of the session
  PERFORM set_config('datestyle', 'ISO', true);
  SELECT max(substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \(''([^'']+)''\)')::timestamptz) AT TIME ZONE 'UTC' INTO v_month
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass(v_parent);
  PERFORM set_config('datestyle', v_style, true);
  v_month := coalesce(v_month, v_last);
  v_last := v_last + make_interval(months => p_ahead);
  IF v_month > v_last THEN
    RETURN 0;
  END IF;

  -- first the referenced table, which is the order of writers of both
  EXECUTE (SELECT format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', string_agg(c.confrelid::regclass::text, ', '))
             FROM pg_constraint c WHERE c.conrelid = to_regclass(v_parent) AND c.contype = 'f');
  EXECUTE format('LOCK TABLE studio_engine.%s_default IN ACCESS EXCLUSIVE MODE', p_table);
  WHILE v_month <= v_last LOOP
    v_new := format('studio_engine.%s_y%sm%s', p_table, to_char(v_month, 'YYYY'), to_char(v_month, 'MM'));
    v_range := format('FROM (%L) TO (%L)', to_char(v_month, 'YYYY-MM-DD') || ' 00:00:00+00',
                      to_char(v_month + INTERVAL '1 month', 'YYYY-MM-DD') || ' 00:00:00+00');
    EXECUTE format('CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS INCLUDING STORAGE INCLUDING GENERATED)',
                   v_new, v_parent);
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', v_new);
    EXECUTE format('COMMENT ON TABLE %s IS %L', v_new, format('Rows of %s of month %s, UTC', v_parent, to_char(v_month, 'YYYY-MM')));
    EXECUTE format('WITH late AS (DELETE FROM studio_engine.%s_default WHERE created_at >= %L AND created_at < %L RETURNING *) INSERT INTO %s SELECT * FROM late',
                   p_table, v_month AT TIME ZONE 'UTC', (v_month + INTERVAL '1 month') AT TIME ZONE 'UTC', v_new);
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES %s', v_parent, v_new, v_range);
    v_added := v_added + 1;
    v_month := v_month + INTERVAL '1 month';
  END LOOP;
  RETURN v_added;
END
$$;
COMMENT ON FUNCTION studio_engine.add_partitions_as_owner(text, integer) IS
'Do the work of add_partitions() as the owner of the data.

- p_table, p_ahead: those of add_partitions().

Callers: the owner of the data, by way of add_partitions().
Errors: 42501 for all others.';

CREATE FUNCTION studio_engine.add_partitions(p_table text, p_ahead integer DEFAULT 3) RETURNS integer
  LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'add_partitions';
COMMENT ON FUNCTION studio_engine.add_partitions(text, integer) IS
'Add the monthly partitions of a partitioned table.

Months are in UTC. Rows of a new month that are in the default partition move to it. Call it every month, or
every night.

- p_table: job_events or logs.
- p_ahead: up to how many months after this one, 0 to 120.

Blocks changes of the table that the rows refer to until the transaction ends. Returns the number of
partitions added.
Callers: the owner of the data.
Errors: 22004 an argument is NULL; 22023 a value is out of bounds; 55000 the table is not partitioned; 40P01
deadlock, or 55P03 another session used the table for more than five seconds; retry these two.';

CREATE FUNCTION studio_engine.detach_partitions_as_owner(p_table text, p_older_than interval, p_limit integer) RETURNS integer
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  v_parent text;
  v_style text := current_setting('datestyle');
  v_old regclass[];
  v_partition regclass;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
                  WHERE n.nspname = 'studio_engine' AND r.rolname = current_user) THEN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'only the owner of the data may run this',
      HINT = 'Call studio_engine.detach_partitions().';
  END IF;
  v_parent := studio_engine.partitionable(p_table);
  IF p_older_than IS NULL OR p_limit IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'argument must not be null',
      DETAIL = format('%s is null.', CASE WHEN p_older_than IS NULL THEN 'p_older_than' ELSE 'p_limit' END);
  END IF;
  IF p_older_than <= INTERVAL '0' OR p_older_than > INTERVAL '1000 years' OR p_limit NOT BETWEEN 1 AND 1000 THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'argument is out of bounds',
      DETAIL = 'p_older_than must be more than nothing and at most 1000 years, p_limit between 1 and 1000.';
  END IF;

  PERFORM set_config('datestyle', 'ISO', true);
  SELECT array_agg(o.oid ORDER BY o.ends) INTO v_old
    FROM (SELECT c.oid, b.ends
            FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid,
                 LATERAL (SELECT substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \(''([^'']+)''\)')::timestamptz) b (ends)
           WHERE i.inhparent = to_regclass(v_parent) AND b.ends <= now() - p_older_than
           ORDER BY b.ends LIMIT p_limit) o;
  PERFORM set_config('datestyle', v_style, true);

  FOREACH v_partition IN ARRAY coalesce(v_old, '{}') LOOP
    EXECUTE format('ALTER TABLE %s DETACH PARTITION %s', v_parent, v_partition);
  END LOOP;
  RETURN coalesce(cardinality(v_old), 0);
END
$$;
COMMENT ON FUNCTION studio_engine.detach_partitions_as_owner(text, interval, integer) IS
'Do the work of detach_partitions() as the owner of the data.

- p_table, p_older_than, p_limit: those of detach_partitions().

Callers: the owner of the data, by way of detach_partitions().
Errors: 42501 for all others.';

CREATE FUNCTION studio_engine.detach_partitions(p_table text, p_older_than interval, p_limit integer DEFAULT 1) RETURNS integer
  LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'detach_partitions';
COMMENT ON FUNCTION studio_engine.detach_partitions(text, interval, integer) IS
'Detach the partitions in which every row is old enough.

They stay as tables in schema studio_engine, to be dumped or dropped. Their rows are still deleted with the
run or job that they refer to.

- p_table: job_events or logs.
- p_older_than: minimum age of the rows, more than 0 and at most 1000 years.
- p_limit: at most how many partitions, 1 to 1000, the oldest first.

Blocks the table for a moment. Returns the number of partitions detached.
Callers: the owner of the data.
Errors: 22004 an argument is NULL; 22023 a value is out of bounds; 55P03 another session used the table for
more than five seconds, in which others queued behind: retry.';

CREATE FUNCTION studio_engine.partition_by_month_as_owner(p_table text, p_ahead integer) RETURNS integer
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  v_name text;
  v_schema text;
  v_history text := format('studio_engine.%s_history', p_table);
  v_default text := format('studio_engine.%s_default', p_table);
  v_end timestamptz := (date_trunc('month', now() AT TIME ZONE 'UTC') + INTERVAL '1 month') AT TIME ZONE 'UTC';
  v_belongings text[];
  v_undo text[];
  v_statement text;
  v_obstacles text;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
                  WHERE n.nspname = 'studio_engine' AND r.rolname = current_user) THEN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'only the owner of the data may run this',
      HINT = 'Call studio_engine.partition_by_month().';
  END IF;
  v_name := studio_engine.partitionable(p_table);
  v_schema := (SELECT c.relnamespace::regnamespace FROM pg_class c WHERE c.oid = to_regclass(v_name));
  IF p_ahead IS NULL OR p_ahead NOT BETWEEN 0 AND 120 THEN
    RAISE EXCEPTION USING
      ERRCODE = CASE WHEN p_ahead IS NULL THEN 'null_value_not_allowed' ELSE 'invalid_parameter_value' END,
      MESSAGE = CASE WHEN p_ahead IS NULL THEN 'argument must not be null' ELSE 'argument is out of bounds' END,
      DETAIL = 'p_ahead must be between 0 and 120.';
  END IF;
  IF (SELECT c.relkind FROM pg_class c WHERE c.oid = to_regclass(v_name)) = 'p' THEN
    RETURN studio_engine.add_partitions_as_owner(p_table, p_ahead);
  END IF;

  -- first the referenced table, which is the order of writers of both
  EXECUTE (SELECT format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', string_agg(c.confrelid::regclass::text, ', '))
             FROM pg_constraint c WHERE c.conrelid = to_regclass(v_name) AND c.contype = 'f');
  EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', v_name);

  SELECT string_agg(o.obstacle, ', ' ORDER BY o.obstacle) INTO v_obstacles FROM studio_engine.partition_obstacles(p_table) o;
  IF v_obstacles IS NOT NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'feature_not_supported',
      MESSAGE = 'the table cannot be partitioned',
      DETAIL = format('In the way: %s.', v_obstacles),
      HINT = 'Drop what is in the way, and create it again afterwards.';
  END IF;
  EXECUTE format('SELECT string_agg(DISTINCT CASE WHEN created_at IS NULL THEN %L ELSE %L END, %L) FROM %s WHERE created_at IS NULL OR created_at >= %L',
                 'rows without created_at', 'rows of a month to come', ', ', v_name, v_end) INTO v_obstacles;
  IF v_obstacles IS NOT NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = 'the rows of the table cannot be partitioned',
      DETAIL = format('There are %s.', v_obstacles),
      HINT = 'Give them another created_at: BEGIN, SET LOCAL studio_engine.maintenance = on, UPDATE, and COMMIT.';
  END IF;

  SELECT array_agg(b.statement ORDER BY b.step), array_agg(format(b.undo, v_history)) FILTER (WHERE b.undo IS NOT NULL)
    INTO v_belongings, v_undo
    FROM studio_engine.table_belongings(p_table) b;

  -- the old table is renamed, and the objects that belong to its name are dropped
  EXECUTE format('ALTER TABLE %s RENAME TO %s_history', v_name, p_table);
  EXECUTE format('ALTER TABLE %s.%s_history SET SCHEMA studio_engine', v_schema, p_table);
  FOREACH v_statement IN ARRAY v_undo LOOP
    EXECUTE v_statement;
  END LOOP;
  EXECUTE format('COMMENT ON TABLE %s IS %L', v_history, format('Rows of %s from before it was partitioned', v_name));
  EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %s_pkey, ALTER COLUMN created_at SET NOT NULL', v_history, p_table);
  IF p_table = 'job_events' THEN
    DROP INDEX studio_engine.idx_job_events_seq;
  END IF;

  -- create a parent of the old name
  EXECUTE format('CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS INCLUDING STORAGE INCLUDING GENERATED) PARTITION BY RANGE (created_at)',
                 v_name, v_history);
  EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %s_pkey PRIMARY KEY (id, created_at)', v_name, p_table);
  IF p_table = 'job_events' THEN
    CREATE UNIQUE INDEX idx_job_events_seq ON pipeline.job_events (run_id, seq, created_at);
  END IF;
  FOREACH v_statement IN ARRAY v_belongings LOOP
    EXECUTE v_statement;
  END LOOP;
  EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (MINVALUE) TO (%L)', v_name, v_history, v_end);
  EXECUTE format('CREATE TABLE %s PARTITION OF %s DEFAULT', v_default, v_name);
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', v_default);
  EXECUTE format('COMMENT ON TABLE %s IS %L', v_default, format('Rows of %s of months that have no partition', v_name));
  RETURN studio_engine.add_partitions_as_owner(p_table, p_ahead);
END
$$;
COMMENT ON FUNCTION studio_engine.partition_by_month_as_owner(text, integer) IS
'Do the work of partition_by_month() as the owner of the data.

- p_table, p_ahead: those of partition_by_month().

Callers: the owner of the data, by way of partition_by_month().
Errors: 42501 for all others.';

CREATE FUNCTION studio_engine.partition_by_month(p_table text, p_ahead integer DEFAULT 3) RETURNS integer
  LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'partition_by_month';
COMMENT ON FUNCTION studio_engine.partition_by_month(text, integer) IS
'Convert a table into one that is partitioned by month.

The key is created_at, and months are in UTC. The rows so far become one partition, without a copy. The
primary key becomes (id, created_at), so that ON CONFLICT (id) and references to id no longer work. A table
that is partitioned gets the partitions that are missing.

- p_table: job_events or logs.
- p_ahead: up to how many months after this one get a partition, 0 to 120.

It is one transaction, which locks the table and the one it refers to, reads all rows two or three times and
builds one or two indexes. Returns the number of months added.
Callers: the owner of the data.
Errors: 22004 an argument is NULL; 22023 a value is out of bounds; 0A000 a view or another object prevents it,
see partition_obstacles(); 55000 rows without created_at or of the future; 55P03 another session used one of
the tables for more than five seconds, in which others queued behind: retry.';
