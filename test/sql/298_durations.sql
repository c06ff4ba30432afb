-- 298_durations.sql
--
-- Intervals with bounds are lengths: a day is 24 hours and a month 30 days,
-- whatever the calendar says.  So the longest one is accepted on each day of the
-- year, in any time zone.
-- Pitfall: whether a day has 25 hours depends on when the test runs, so it makes
-- a time zone whose clocks go back, or forward, 12 hours from now.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CALL t.sign_up(1);
SELECT grant_credits(t.id(1), 100) \g /dev/null

-- The name of a zone of which the clocks change then: to an hour less, or to an hour more.
CREATE FUNCTION t.changing_zone(p_when timestamptz, p_back boolean) RETURNS text
LANGUAGE sql AS $$
  SELECT format(CASE WHEN p_back THEN 'AAA0BBB,%1$s,%2$s/%3$s' ELSE 'AAA0BBB,%2$s/%3$s,%1$s' END, other, today, clock)
  FROM (VALUES (p_when AT TIME ZONE 'UTC' + CASE WHEN p_back THEN INTERVAL '1 hour' ELSE '0' END)) w (local),
       LATERAL (SELECT extract(doy FROM local)::integer - 1, to_char(local, 'HH24:MI:SS'), (extract(doy FROM local)::integer + 180) % 365) r (today, clock, other)
$$;
CREATE FUNCTION t.leased_for(p_lease interval) RETURNS interval
LANGUAGE plpgsql AS $$
DECLARE
  v_before timestamptz := clock_timestamp();
  v_until timestamptz;
BEGIN
  CALL t.studio_job(1, 30);
  SELECT lease_expires_at INTO v_until FROM public.claim_jobs('studio_jobs', 'w', 1, p_lease);
  DELETE FROM public.studio_jobs WHERE job_id = t.id(30);
  RETURN make_interval(secs => round(extract(epoch FROM v_until - v_before)));
END
$$;

SELECT set_config('TimeZone', t.changing_zone(clock_timestamp() + INTERVAL '12 hours', true), false) \g /dev/null
SELECT extract(epoch FROM now() + INTERVAL '1 day' - now()) / 3600 AS hours_of_this_day;
SELECT t.leased_for('1 day') AS leased_for;
SELECT t.ask('SELECT count(*) FROM claim_jobs(''studio_jobs'', ''w'', 1, ''1 day 0.001 seconds'')') AS more;
SELECT set_config('TimeZone', t.changing_zone(clock_timestamp() + INTERVAL '12 hours', false), false) \g /dev/null
SELECT extract(epoch FROM now() + INTERVAL '1 day' - now()) / 3600 AS hours_of_this_day;
SELECT t.leased_for('1 day') AS leased_for;
SELECT t.ask('SELECT count(*) FROM claim_jobs(''studio_jobs'', ''w'', 1, ''24 hours 0.001 seconds'')') AS more;
RESET TimeZone;

-- holds and delays of up to 366 days
CREATE FUNCTION t.held_for(p_expires interval) RETURNS interval
LANGUAGE plpgsql AS $$
DECLARE
  v_before timestamptz := clock_timestamp();
  v_hold uuid := public.hold_credits(t.id(1), 1, 'chats:1', NULL, p_expires);
  v_until timestamptz;
BEGIN
  SELECT expires_at INTO v_until FROM public.credit_ledger WHERE id = v_hold;
  RETURN make_interval(secs => round(extract(epoch FROM v_until - v_before)));
END
$$;
CREATE FUNCTION t.snoozed_for(p_for interval) RETURNS interval
LANGUAGE plpgsql AS $$
DECLARE
  v_before timestamptz;
  v_until timestamptz;
BEGIN
  CALL t.studio_job(1, 30);
  v_before := clock_timestamp();
  SELECT public.snooze_job(c.job_id, c.lease_token, p_for) INTO v_until FROM public.claim_jobs('studio_jobs', 'w') c;
  DELETE FROM public.studio_jobs WHERE job_id = t.id(30);
  RETURN make_interval(secs => round(extract(epoch FROM v_until - v_before)));
END
$$;
SELECT e.span, t.held_for(e.span::interval) AS held_for, t.snoozed_for(e.span::interval) AS snoozed_for
  FROM unnest('{1 month,-1 month 31 days,1 year,12 months 6 days,366 days,8784 hours}'::text[]) e (span);
SELECT e.span, t.ask(format('SELECT t.held_for(%L)', e.span)) AS held_for, t.ask(format('SELECT t.snoozed_for(%L)', e.span)) AS snoozed_for
  FROM unnest('{12 months 6 days 1 second,1 month -31 days,12 months 7 days}'::text[]) e (span);

DROP FUNCTION t.changing_zone, t.leased_for, t.held_for, t.snoozed_for;
SELECT * FROM t.clean();
