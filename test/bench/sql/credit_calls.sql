-- What the rows of the credits call.  p_side: ours, kept (ours without direct
-- rows) or twin.
-- Pitfall: calls are measured in one transaction that is undone, so the next
-- round finds the books as they were, but for dead rows: VACUUM.

-- Both sides do the same: the first 100 jobs are held and settled, some for
-- nothing, and every entry, account and job is compared.  Undone.
CREATE PROCEDURE bench.compare_books()
LANGUAGE plpgsql AS $$
DECLARE
  v_pair record;
  v_differences bigint;
BEGIN
  FOR v_pair IN SELECT * FROM bench.pairs WHERE n < 100 LOOP
    FOR i IN 1..2 LOOP
      IF public.reserve_credits(v_pair.user_id, v_pair.job_id, 3) <> twin.reserve_credits(v_pair.user_id, v_pair.job_id, 3)
         OR public.settle_credits(v_pair.job_id, v_pair.n % 4) <> twin.settle_credits(v_pair.job_id, v_pair.n % 4) THEN
        RAISE EXCEPTION 'ours and the twin give different answers';
      END IF;
      EXIT WHEN v_pair.n % 4 > 0;
    END LOOP;
  END LOOP;
  SELECT count(*) INTO v_differences
    FROM (SELECT user_id, entry_no, type, amount, balance_after, note, job_id, reverses IS NULL AS own FROM public.credit_ledger) o
    FULL JOIN (SELECT user_id, entry_no, type, amount, balance_after, note, job_id, reverses IS NULL AS own FROM twin.credit_ledger) t
      USING (user_id, entry_no)
   WHERE o IS DISTINCT FROM t;
  v_differences := v_differences + (
    SELECT count(*) FROM public.credit_accounts o FULL JOIN twin.credit_accounts t USING (user_id)
     WHERE (o.balance, o.reserved, o.entries) IS DISTINCT FROM (t.balance, t.reserved, t.entries)) + (
    SELECT count(*) FROM public.jobs o FULL JOIN twin.jobs t USING (id)
     WHERE (o.status::text, o.cost_credits_reserved, o.cost_credits_final)
           IS DISTINCT FROM (t.status, t.cost_credits_reserved, t.cost_credits_final));
  IF v_differences > 0 OR (SELECT count(*) FROM twin.credit_ledger) < 10300 THEN
    RAISE EXCEPTION 'ours and the twin wrote different books: % differences', v_differences;
  END IF;
  ROLLBACK;
END
$$;

-- Calls of reserve_credits, a user each: microseconds of the processor for one.
CREATE PROCEDURE bench.reservations(p_side text, p_calls integer, INOUT us double precision)
LANGUAGE plpgsql AS $$
DECLARE
  v_call text := format('SELECT count(*) FILTER (WHERE %I.reserve_credits(user_id, job_id, 1)) FROM bench.pairs WHERE n >= $1 AND n < $2',
                        CASE p_side WHEN 'twin' THEN 'twin' ELSE 'public' END);
  v_from double precision;
  v_held bigint;
BEGIN
  EXECUTE v_call USING 10000, 10200;
  v_from := bench.cpu();
  EXECUTE v_call INTO v_held USING 0, p_calls;
  us := (bench.cpu() - v_from) / p_calls;
  IF v_held <> p_calls THEN
    RAISE EXCEPTION 'of % reservations % were made', p_calls, v_held;
  END IF;
  ROLLBACK;
END
$$;

-- Calls of a function of the balance: microseconds of the processor for one.
CREATE PROCEDURE bench.balances(p_function text, p_user_id uuid, p_calls integer, INOUT us double precision)
LANGUAGE plpgsql AS $$
DECLARE
  v_call text := format('SELECT count(%s($1)) FROM generate_series(1, $2)', p_function);
  v_from double precision;
BEGIN
  EXECUTE v_call USING p_user_id, 5;
  v_from := bench.cpu();
  EXECUTE v_call USING p_user_id, p_calls;
  us := (bench.cpu() - v_from) / p_calls;
END
$$;
