-- A stand-in for schema realtime of Supabase: what enable_broadcast() leans on, with
-- the names, types and owners that Supabase has. To be included by tests.
-- Pitfall: it is rebuilt from what is documented and seen of the real one, of which
-- it has no more than the insertion of a message, by day, and its failure as a warning.

DO $$
BEGIN
  IF to_regrole('supabase_realtime_admin') IS NULL THEN
    CREATE ROLE supabase_realtime_admin NOLOGIN NOINHERIT;
  END IF;
END
$$;
CREATE SCHEMA realtime;
GRANT USAGE ON SCHEMA realtime TO anon, authenticated, service_role;
GRANT ALL ON SCHEMA realtime TO supabase_realtime_admin;

CREATE TABLE realtime.messages (
  topic text NOT NULL,
  extension text NOT NULL,
  payload jsonb,
  event text,
  private boolean DEFAULT false,
  updated_at timestamp NOT NULL DEFAULT now(),
  inserted_at timestamp NOT NULL DEFAULT now(),
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  PRIMARY KEY (id, inserted_at)
) PARTITION BY RANGE (inserted_at);
ALTER TABLE realtime.messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE realtime.messages OWNER TO supabase_realtime_admin;
GRANT SELECT, INSERT, UPDATE ON realtime.messages TO anon, authenticated, service_role;
-- one for all days, so that tests need no clock
CREATE TABLE realtime.messages_of_today PARTITION OF realtime.messages FOR VALUES FROM (MINVALUE) TO (MAXVALUE);

CREATE FUNCTION realtime.topic() RETURNS text
LANGUAGE sql STABLE AS $$ SELECT nullif(current_setting('realtime.topic', true), '') $$;
ALTER FUNCTION realtime.topic() OWNER TO supabase_realtime_admin;

CREATE FUNCTION realtime.send(payload jsonb, event text, topic text, private boolean DEFAULT true) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  v_id uuid := gen_random_uuid();
BEGIN
  PERFORM set_config('realtime.topic', topic, true);
  INSERT INTO realtime.messages (id, payload, event, topic, private, extension)
  VALUES (v_id, CASE WHEN payload ? 'id' THEN payload ELSE payload || jsonb_build_object('id', v_id) END,
          event, topic, private, 'broadcast');
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'the message is not sent: %', SQLERRM;
END
$$;
