-- :users users with 5 projects each and 2 jobs each, and the seed's query.
-- Pitfall: the rows of one user are spread over the tables, as they would be
-- after a year; loaded user by user they would share a page.

SET maintenance_work_mem = '256MB';
SET session_replication_role = replica;

CREATE TABLE bench.indexes AS
SELECT format('%I.%I', schemaname, indexname) AS name, indexdef AS definition
  FROM pg_indexes WHERE schemaname = 'public' AND tablename IN ('projects', 'jobs') AND indexdef NOT LIKE 'CREATE UNIQUE%';
SELECT format('DROP INDEX %s', name) FROM bench.indexes \gexec

INSERT INTO auth.users (id, email)
SELECT md5('user ' || u)::uuid, 'user' || u || '@example.com' FROM generate_series(0, :users - 1) u;
INSERT INTO public.projects (id, user_id, title, prompt_text, niche_preset, created_at)
SELECT md5('project ' || p)::uuid, md5('user ' || p % :users)::uuid, 'Ship ' || p, 'Why the ship sank, and who knew', 'history',
       now() - p * INTERVAL '1 second'
  FROM generate_series(0, 5 * :users - 1) p;
INSERT INTO public.jobs (id, project_id, user_id, status, progress, created_at)
SELECT md5('job ' || j)::uuid, md5('project ' || j % (5 * :users))::uuid, md5('user ' || j % :users)::uuid, 'READY', 100,
       now() - j * INTERVAL '1 second'
  FROM generate_series(0, 10 * :users - 1) j;
SELECT definition FROM bench.indexes \gexec
RESET session_replication_role;
VACUUM (FREEZE, ANALYZE);

CREATE TABLE bench.started (pid integer DEFAULT pg_backend_pid(), cpu double precision);
CREATE PROCEDURE bench.start() LANGUAGE sql AS $$ INSERT INTO bench.started (cpu) VALUES (bench.cpu()) $$;
CREATE FUNCTION bench.stop() RETURNS double precision LANGUAGE sql VOLATILE AS $$ SELECT bench.cpu() - max(cpu) FROM bench.started WHERE pid = pg_backend_pid() $$;

-- The dashboards of so many users, with the claims that PostgREST would set.
CREATE PROCEDURE bench.dashboards(p_calls integer)
LANGUAGE plpgsql AS $$
DECLARE
  v_user uuid;
  v_rows integer;
BEGIN
  FOR i IN 1..p_calls LOOP
    v_user := md5('user ' || (i * 7919) % 10000)::uuid;
    PERFORM set_config('request.jwt.claims', format('{"sub": "%s", "role": "authenticated"}', v_user), true);
    PERFORM p.*, j.status, j.progress
       FROM public.projects p
       LEFT JOIN LATERAL (
         SELECT status, progress FROM public.jobs WHERE project_id = p.id ORDER BY created_at DESC LIMIT 1
       ) j ON true
      WHERE p.user_id = v_user
      ORDER BY p.created_at DESC
      LIMIT 20;
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    IF v_rows <> 5 THEN
      RAISE EXCEPTION 'a dashboard has % rows', v_rows;
    END IF;
  END LOOP;
END
$$;
GRANT USAGE ON SCHEMA bench TO authenticated;
