-- :rows steps, files and log lines for each of three users, and their lists.

SET session_replication_role = replica;
INSERT INTO auth.users (id, email) SELECT md5('user ' || u)::uuid, 'user' || u || '@example.com' FROM generate_series(0, 2) u;
INSERT INTO public.projects (id, user_id, title, prompt_text, niche_preset)
SELECT md5('project ' || u)::uuid, md5('user ' || u)::uuid, 'Ships', 'Why ships sink', 'history' FROM generate_series(0, 2) u;
INSERT INTO public.jobs (id, project_id, user_id, status, progress)
SELECT md5('job ' || j)::uuid, md5('project ' || j % 3)::uuid, md5('user ' || j % 3)::uuid, 'READY', 100 FROM generate_series(0, 299) j;
INSERT INTO public.job_steps (job_id, user_id, step_name, step_order, state, progress_pct)
SELECT md5('job ' || n % 300)::uuid, md5('user ' || n % 3)::uuid, 'step ' || n, n, 'succeeded', 100 FROM generate_series(0, 3 * :rows - 1) n;
INSERT INTO public.assets (job_id, user_id, type, url, storage_path)
SELECT md5('job ' || n % 300)::uuid, md5('user ' || n % 3)::uuid, 'image', 'https://example.com/' || n, 'images/' || n
  FROM generate_series(0, 3 * :rows - 1) n;
INSERT INTO public.logs (job_id, user_id, level, message)
SELECT md5('job ' || n % 300)::uuid, md5('user ' || n % 3)::uuid, 'info', 'Line ' || n FROM generate_series(0, 3 * :rows - 1) n;
RESET session_replication_role;
VACUUM (FREEZE, ANALYZE);

CREATE TABLE bench.started (pid integer DEFAULT pg_backend_pid(), cpu double precision);
CREATE PROCEDURE bench.start() LANGUAGE sql AS $$ INSERT INTO bench.started (cpu) VALUES (bench.cpu()) $$;
CREATE FUNCTION bench.stop() RETURNS double precision LANGUAGE sql VOLATILE AS $$ SELECT bench.cpu() - max(cpu) FROM bench.started WHERE pid = pg_backend_pid() $$;

CREATE PROCEDURE bench.list(p_table text, p_calls integer)
LANGUAGE plpgsql AS $$
DECLARE
  v_user uuid := md5('user 1')::uuid;
  v_rows bigint;
BEGIN
  PERFORM set_config('request.jwt.claims', format('{"sub": "%s", "role": "authenticated"}', v_user), true);
  FOR i IN 1..p_calls LOOP
    -- OFFSET 0 keeps the rows whole
    EXECUTE format('SELECT count(r) FROM (SELECT * FROM public.%I WHERE user_id = $1 OFFSET 0) r', p_table) INTO v_rows USING v_user;
    IF v_rows <> 100000 THEN
      RAISE EXCEPTION 'a list has % rows', v_rows;
    END IF;
  END LOOP;
END
$$;
GRANT USAGE ON SCHEMA bench TO authenticated;

-- The policy of job_steps as it was before the rows had a user, or as it is.
CREATE FUNCTION bench.join_policies(p_before boolean) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  DROP POLICY job_steps_select ON public.job_steps;
  IF p_before THEN
    CREATE POLICY job_steps_select ON public.job_steps FOR SELECT TO authenticated USING (EXISTS (
      SELECT 1 FROM public.jobs j WHERE j.id = job_id AND j.user_id = (SELECT auth.uid())));
  ELSE
    CREATE POLICY job_steps_select ON public.job_steps FOR SELECT TO authenticated USING ((SELECT auth.uid()) = user_id);
  END IF;
END
$$;
