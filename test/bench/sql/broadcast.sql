-- Changes of jobs with and without Broadcast, and the check that Realtime makes for
-- each subscriber of Postgres Changes.
-- Pitfall: the check is re-created from what it has to do, and is not Realtime's: that
-- one also casts each value of the row and collects the columns that the role may read.

INSERT INTO auth.users (id, email) VALUES (md5('user 1')::uuid, 'user1@example.com');
INSERT INTO public.projects (id, user_id, title, prompt_text, niche_preset)
VALUES (md5('project')::uuid, md5('user 1')::uuid, 'Ship', 'Why the ship sank', 'history');
UPDATE studio_engine.settings SET value = '0' WHERE name = 'max_active_jobs';
INSERT INTO public.jobs (id, project_id, user_id) VALUES (md5('job')::uuid, md5('project')::uuid, md5('user 1')::uuid);
SELECT grant_credits(md5('user 1')::uuid, 100000, NULL, 'bench', NULL) IS NOT NULL AS granted \g /dev/null

CREATE TABLE bench.subscriptions (id integer, table_name text, filter_column text, filter_value text, claims text);

CREATE PROCEDURE bench.subscribe(p_subscribers integer)
LANGUAGE sql AS $$
  TRUNCATE bench.subscriptions;
  INSERT INTO bench.subscriptions
  SELECT n, 'jobs', 'user_id', md5('user ' || n)::uuid::text, format('{"sub": "%s", "role": "authenticated"}', md5('user ' || n)::uuid)
    FROM generate_series(1, p_subscribers) n;
  ANALYZE bench.subscriptions;
$$;

CREATE FUNCTION bench.broadcast(p_on text) RETURNS void
LANGUAGE sql AS $$
  SELECT CASE p_on WHEN 'on' THEN (SELECT count(*) FROM enable_broadcast()) ELSE (SELECT count(*) FROM disable_broadcast()) END;
  TRUNCATE realtime.messages;
$$;

-- Microseconds of a change and its commit.
CREATE PROCEDURE bench.changes(p_changes integer, INOUT us double precision)
LANGUAGE plpgsql AS $$
DECLARE
  v_start double precision := bench.cpu();
BEGIN
  FOR i IN 1..p_changes LOOP
    UPDATE public.jobs SET status_message = 'Stage ' || i WHERE id = md5('job')::uuid;
    COMMIT;
  END LOOP;
  us := (bench.cpu() - v_start) / p_changes;
END
$$;

-- Whether a value passes the filter of a subscriber, as its operator decides.
CREATE FUNCTION bench.passes(p_row jsonb, p_column text, p_value text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN (p_row ->> p_column)::uuid = p_value::uuid;
END
$$;

-- Who gets one change: the subscribers that pass their filters and see the row.
CREATE FUNCTION bench.check_change(p_filters boolean) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
  v_row jsonb := (SELECT to_jsonb(j) FROM public.jobs j WHERE j.id = md5('job')::uuid);
  v_claims text;
  v_seen integer := 0;
  v_one boolean;
BEGIN
  SET LOCAL ROLE authenticated;
  FOR v_claims IN
    SELECT s.claims FROM bench.subscriptions s
     WHERE s.table_name = 'jobs' AND (NOT p_filters OR bench.passes(v_row, s.filter_column, s.filter_value))
  LOOP
    PERFORM set_config('request.jwt.claims', v_claims, true);
    EXECUTE 'SELECT count(*) = 1 FROM public.jobs WHERE id = $1' INTO v_one USING (v_row ->> 'id')::uuid;
    v_seen := v_seen + v_one::integer;
  END LOOP;
  RESET ROLE;
  RETURN v_seen;
END
$$;
GRANT USAGE ON SCHEMA bench TO authenticated;
GRANT SELECT ON bench.subscriptions TO authenticated;

CREATE PROCEDURE bench.checks(p_changes integer, p_filters boolean, INOUT us double precision)
LANGUAGE plpgsql AS $$
DECLARE
  v_start double precision := bench.cpu();
BEGIN
  FOR i IN 1..p_changes LOOP
    IF bench.check_change(p_filters) <> 1 THEN
      RAISE EXCEPTION 'a change goes to one user';
    END IF;
  END LOOP;
  us := (bench.cpu() - v_start) / p_changes;
END
$$;

-- A video job, each call a transaction; its messages.
CREATE PROCEDURE bench.video_job()
LANGUAGE plpgsql AS $$
DECLARE
  v_job uuid;
  v_token uuid;
  v_stage text;
BEGIN
  v_job := create_job(md5('project')::uuid, 1, 1);
  COMMIT;
  v_token := lease_token FROM claim_jobs('jobs', 'w', 1);
  COMMIT;
  FOREACH v_stage IN ARRAY '{SCRIPTING,VOICE_GEN,ALIGNMENT,VISUAL_PLAN,IMAGE_GEN,TIMELINE,RENDERING,PACKAGING}'::text[] LOOP
    PERFORM advance_job(v_job, v_stage, p_lease_token => v_token);
    COMMIT;
    PERFORM update_job_step(v_job, lower(v_stage), 'started', p_lease_token => v_token);
    COMMIT;
    PERFORM update_job_step(v_job, lower(v_stage), 'succeeded', p_lease_token => v_token);
    COMMIT;
  END LOOP;
  PERFORM record_asset(v_job, 'video', 'https://example.com/v', 'v.mp4', p_lease_token => v_token);
  COMMIT;
  PERFORM complete_job(v_job, 'https://example.com/v', p_lease_token => v_token);
END
$$;
CREATE FUNCTION bench.messages_of_job() RETURNS SETOF realtime.messages
LANGUAGE sql AS $$
  SELECT m.* FROM realtime.messages m, (SELECT id FROM public.jobs ORDER BY created_at DESC LIMIT 1) j
   WHERE m.payload ->> 'id' = j.id::text OR m.payload -> 'changed' ->> 'job_id' = j.id::text
      OR m.event = 'job_steps' AND m.payload ->> 'id' IN (SELECT s.id::text FROM public.job_steps s WHERE s.job_id = j.id)
$$;
