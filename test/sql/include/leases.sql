-- leases.sql: leases of workers, for 330_queue.sql and 770_rendering.sql, which drop what this makes

CREATE TABLE t.leases (nr integer GENERATED ALWAYS AS IDENTITY, job integer, token uuid, lease_until timestamptz);
GRANT ALL ON t.leases TO PUBLIC;
-- the last token of a job, or the last but some
CREATE FUNCTION t.token(p_job integer, p_before integer DEFAULT 0) RETURNS uuid
LANGUAGE sql AS $$ SELECT token FROM t.leases WHERE job = p_job ORDER BY nr DESC LIMIT 1 OFFSET p_before $$;
-- the time comes: for a delayed job to be due, for a lease to expire
CREATE FUNCTION t.time_comes(VARIADIC p_jobs integer[]) RETURNS void
LANGUAGE sql SECURITY DEFINER AS $$
  UPDATE studio_engine.queue SET due_at = statement_timestamp() - INTERVAL '1 second'
   WHERE state = 'delayed' AND job_id IN (SELECT t.id(j) FROM unnest(p_jobs) j);
  UPDATE studio_engine.attempts
     SET due_at = statement_timestamp() - INTERVAL '1 second', expires_at = clock_timestamp() - INTERVAL '1 second'
   WHERE ended_at IS NULL AND job_id IN (SELECT t.id(j) FROM unnest(p_jobs) j);
$$;
-- a lease lasts for another hour
CREATE FUNCTION t.renew(p_job integer) RETURNS void
LANGUAGE sql SECURITY DEFINER AS $$
  UPDATE studio_engine.attempts SET expires_at = clock_timestamp() + INTERVAL '1 hour' WHERE job_id = t.id(p_job) AND ended_at IS NULL;
$$;
-- An example of each kind of refusal, for a call with %s for the token: job 30
-- belongs to its second worker, job 31 to another one.
CREATE FUNCTION t.refusals(p_call text) RETURNS TABLE (token text, answer text)
LANGUAGE plpgsql AS $$
BEGIN
  FOR token, answer IN VALUES ('none', 'NULL'), ('wrong', 'gen_random_uuid()'), ('of another job', 't.token(31)'), ('lost', 't.token(30, 1)') LOOP
    answer := t.quiet(format(p_call, answer));
    RETURN NEXT;
  END LOOP;
  PERFORM t.time_comes(30);
  token := 'expired';
  answer := t.quiet(format(p_call, 't.token(30)'));
  RETURN NEXT;
  PERFORM t.renew(30);
END
$$;
