-- 230_reference_holds.sql
--
-- Holds by reference, charges in one step and top-ups, line by line from section 3
-- of the specification.
-- Pitfall: time passes only where the tests say so: t.age() moves a hold, and what
-- is listed of it, into the past, as a superuser with the triggers off.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE VIEW t.entries AS
SELECT l.entry_no AS no, l.type, l.amount, l.balance_after AS balance, l.note, l.reference, l.job_id IS NOT NULL AS of_job,
       l.expires_at IS NOT NULL AS expires, h.entry_no AS closes, l.idempotency_key LIKE 'captures:%' AS captures, l.metadata
  FROM credit_ledger l LEFT JOIN credit_ledger h ON h.id = l.reverses
 WHERE l.user_id = t.id(1) ORDER BY l.entry_no;
CREATE FUNCTION t.listed() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM studio_engine.expiring_holds';
-- Lets a hold or a lot have expired a minute ago, or so.
CREATE PROCEDURE t.age(p_id uuid, p_by interval DEFAULT '1 minute')
LANGUAGE plpgsql AS $$
BEGIN
  SET LOCAL session_replication_role = replica;
  UPDATE public.credit_ledger SET expires_at = now() - p_by WHERE id = p_id;
  UPDATE studio_engine.expiring_holds SET expires_at = now() - p_by WHERE hold_id = p_id;
  UPDATE studio_engine.expiring_credits SET expires_at = now() - p_by WHERE entry_id = p_id;
  SET LOCAL session_replication_role = origin;
END
$$;

CALL t.sign_up(1, 2);

-- hold, capture less: what is over goes back; the hold is its entry, with reference and expiry
SELECT hold_credits(t.id(1), 4, 'chats:1', 'A chat') AS hold \gset
SELECT t.listed();
SELECT expires_at = created_at + interval '1 day' OR expires_at - created_at - interval '1 day' < interval '1 minute' AS in_a_day
  FROM credit_ledger WHERE id = :'hold';
SELECT get_credit_summary(t.id(1)) ->> 'reserved' AS reserved, get_credit_balance(t.id(1)) AS balance;
SELECT capture_hold(:'hold', 3);
SELECT t.quiet(format('SELECT capture_hold(%L, 3)', :'hold')) AS again;
SELECT t.quiet(format('SELECT capture_hold(%L, 2)', :'hold')) AS other_price;
SELECT t.quiet(format('SELECT capture_hold(%L, 0)', :'hold')) AS other_price;
SELECT t.quiet(format('SELECT capture_hold(%L)', :'hold')) AS the_whole_hold_now;
SELECT t.quiet(format('SELECT release_hold(%L)', :'hold')) AS after_the_capture;
SELECT t.listed();
SELECT * FROM t.entries;

-- all of it, and in words; nothing of it; a release, again and again
SELECT hold_credits(t.id(1), 2, 'chats:2') AS hold \gset
SELECT capture_hold(:'hold');
SELECT t.quiet(format('SELECT capture_hold(%L)', :'hold')) AS again, t.quiet(format('SELECT capture_hold(%L, 2)', :'hold')) AS in_words;
SELECT hold_credits(t.id(1), 2, 'chats:3') AS hold \gset
SELECT capture_hold(:'hold', 0);
SELECT t.quiet(format('SELECT capture_hold(%L, 0)', :'hold')) AS again, t.quiet(format('SELECT release_hold(%L)', :'hold')) AS is_released;
SELECT t.quiet(format('SELECT capture_hold(%L)', :'hold')) AS the_whole_hold_now;
SELECT hold_credits(t.id(1), 5, 'chats:4') AS hold \gset
SELECT release_hold(:'hold');
SELECT t.quiet(format('SELECT release_hold(%L)', :'hold')) AS again;
SELECT t.quiet(format('SELECT capture_hold(%L, 0)', :'hold')) AS for_free;
SELECT t.quiet(format('SELECT capture_hold(%L, 5)', :'hold')) AS after_the_release;
SELECT * FROM t.entries OFFSET 4;
SELECT * FROM t.books();

-- too little; arguments; who and what
SELECT t.quiet('SELECT hold_credits(t.id(1), 6, ''chats:5'')') AS too_little;
SELECT t.quiet('SELECT hold_credits(t.id(1), 2147483647, ''chats:5'')') AS far_too_little;
SELECT t.quiet('SELECT hold_credits(t.id(99), 1, ''chats:5'')') AS unknown_user;
SELECT t.quiet('SELECT hold_credits(NULL, 1, ''chats:5'')');
SELECT t.quiet('SELECT hold_credits(t.id(1), NULL, ''chats:5'')');
SELECT t.quiet(format('SELECT hold_credits(t.id(1), %s, ''chats:5'')', n)) FROM unnest('{0,-1,-2147483648}'::integer[]) n;
SELECT t.quiet('SELECT hold_credits(t.id(1), 1, NULL)');
SELECT t.quiet('SELECT hold_credits(t.id(1), 1, '''')');
SELECT t.quiet('SELECT hold_credits(t.id(1), 1, repeat(''x'', 256))');
SELECT t.quiet('SELECT hold_credits(t.id(1), 1, ''chats:5'', repeat(''x'', 1001))');
SELECT t.quiet('SELECT hold_credits(t.id(1), 1, ''chats:5'', p_idempotency_key => '''')');
SELECT e.span, t.quiet(format('SELECT hold_credits(t.id(1), 1, ''chats:5'', p_expires => %L)', e.span))
  FROM unnest('{NULL,0,-1 second,366 days 1 second,12 months 6 days 1 second,13 months,-1 year 1 day,100000000 years}'::text[]) e (span);
SELECT t.quiet('SELECT capture_hold(NULL)');
SELECT t.quiet('SELECT capture_hold(t.id(98))') AS unknown, t.quiet('SELECT release_hold(t.id(98))') AS unknown;
SELECT t.quiet(format('SELECT capture_hold(%L, -1)', :'hold'));
SELECT t.quiet(format('SELECT capture_hold(%L, 1, ''perhaps'')', :'hold')), t.quiet(format('SELECT capture_hold(%L, 1, NULL)', :'hold'));
SELECT t.quiet(format('SELECT capture_hold(%L)', id)) AS a_grant, t.quiet(format('SELECT release_hold(%L)', id)) AS a_grant
  FROM credit_ledger WHERE user_id = t.id(1) AND type = 'grant';
SELECT t.quiet(format('SELECT capture_hold(%L)', id)) AS a_closing FROM credit_ledger WHERE user_id = t.id(1) AND type = 'reserve' AND amount > 0 LIMIT 1;
-- what a Video job holds is the job's
CALL t.project(1, 11);
CALL t.job(11, 21);
SELECT reserve_credits(t.id(1), t.id(21), 1);
SELECT id AS job_hold FROM credit_ledger WHERE job_id = t.id(21) \gset
SELECT t.quiet(format('SELECT capture_hold(%L)', :'job_hold')), t.quiet(format('SELECT release_hold(%L)', :'job_hold'));
DELETE FROM jobs WHERE id = t.id(21);
SELECT t.quiet(format('SELECT release_hold(%L)', :'job_hold')) AS job_deleted;
-- a key: the same hold, also when it is closed; other content is refused
SELECT hold_credits(t.id(1), 1, 'chats:7', p_idempotency_key => 'hold 1') AS hold \gset
SELECT hold_credits(t.id(1), 1, 'chats:7', 'Another note', '1 hour', 'hold 1') = :'hold' AS same_id;
SELECT t.quiet($$SELECT hold_credits(t.id(1), 1, 'chats:7', p_idempotency_key => 'hold 1')$$) AS again;
SELECT t.quiet($$SELECT hold_credits(t.id(1), 2, 'chats:7', p_idempotency_key => 'hold 1')$$) AS other_amount;
SELECT t.quiet($$SELECT charge_credits(t.id(1), 1, 'hold 1')$$) AS other_kind, t.quiet($$SELECT grant_credits(t.id(1), 1, NULL, 'hold 1')$$) AS other_kind;
SELECT release_hold(:'hold');
SELECT hold_credits(t.id(1), 1, 'chats:7', p_idempotency_key => 'hold 1') = :'hold' AS same_id_when_closed;
SELECT t.quiet($$SELECT hold_credits(t.id(2), 1, 'chats:7', p_idempotency_key => 'hold 1') IS NOT NULL$$) AS of_another_user;
SELECT release_hold(id) FROM credit_ledger WHERE user_id = t.id(2) AND reference = 'chats:7';
-- a key that captures have is taken: nothing is charged
SELECT hold_credits(t.id(1), 1, 'chats:8') AS hold \gset
SELECT t.quiet(format('SELECT charge_credits(t.id(1), 1, ''captures:%s'')', :'hold'));
SELECT t.try(format('INSERT INTO credit_ledger (user_id, type, amount, idempotency_key) VALUES (t.id(1), ''usage'', -1, ''captures:%s'')', :'hold'));
SELECT grant_credits(t.id(1), 1, NULL, 'captures:' || :'hold') IS NOT NULL AS granted;
SELECT t.quiet(format('SELECT capture_hold(%L)', :'hold')) AS charged;
SELECT release_hold(:'hold');
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- a price above the hold
CALL t.sign_up(1);
SELECT hold_credits(t.id(1), 2, 'chats:1') AS hold1, hold_credits(t.id(1), 3, 'chats:2') AS hold2, hold_credits(t.id(1), 1, 'chats:3') AS hold3 \gset
SELECT t.quiet(format('SELECT capture_hold(%L, 3)', :'hold1'));
SELECT t.quiet(format('SELECT capture_hold(%L, 7, ''charge'')', :'hold1')) AS one_more_than_there_is;
SELECT t.quiet(format('SELECT capture_hold(%L, 2147483647, ''charge'')', :'hold1')) AS far_more;
SELECT t.quiet(format('SELECT capture_hold(%L, 4, ''charge'')', :'hold1'));
SELECT t.quiet(format('SELECT capture_hold(%L, 4, ''charge'')', :'hold1')) AS again, t.quiet(format('SELECT capture_hold(%L, 4)', :'hold1')) AS again;
SELECT t.quiet(format('SELECT capture_hold(%L, 2147483647, ''cap'')', :'hold2'));
SELECT t.quiet(format('SELECT capture_hold(%L, 2147483647, ''cap'')', :'hold2')) AS again;
SELECT t.quiet(format('SELECT capture_hold(%L, 2147483647, ''available'')', :'hold3'));
SELECT get_credit_balance(t.id(1));
SELECT grant_credits(t.id(1), 50) IS NOT NULL AS granted;
-- the first answer, though the balance has more by now
SELECT t.quiet(format('SELECT capture_hold(%L, 2147483647, ''available'')', :'hold3')) AS again;
SELECT t.quiet(format('SELECT capture_hold(%L, 4, ''available'')', :'hold3')) AS less_than_that;
SELECT t.quiet(format('SELECT capture_hold(%L, 2, ''available'')', :'hold3')) AS other_price;
SELECT * FROM t.entries;
-- a deficit makes nothing available, and takes nothing of the hold
SELECT purchase_credits(t.id(1), 10, 'pi_1') IS NOT NULL AS bought;
SELECT hold_credits(t.id(1), 55, 'chats:4') AS hold \gset
SELECT reverse_purchase('pi_1'), get_credit_balance(t.id(1));
SELECT t.quiet(format('SELECT capture_hold(%L, 60, ''available'')', :'hold'));
SELECT t.quiet(format('SELECT capture_hold(%L, 60, ''available'')', :'hold')) AS again, t.quiet(format('SELECT capture_hold(%L, 55)', :'hold')) AS again;
SELECT * FROM t.accounts;
SELECT * FROM t.books();
-- the same of Video jobs
SELECT grant_credits(t.id(1), 15) IS NOT NULL AS granted;
CALL t.project(1, 11);
CALL t.job(11, 21);
SELECT reserve_credits(t.id(1), t.id(21), 4);
SELECT t.quiet('SELECT settle_credits(t.id(21), 5, ''available'')') AS below_what_there_is;
CALL t.job(11, 22);
SELECT reserve_credits(t.id(1), t.id(22), 2), get_credit_balance(t.id(1));
SELECT t.quiet('SELECT settle_credits(t.id(22), 1000, ''available'')') AS above_it;
SELECT grant_credits(t.id(1), 5) IS NOT NULL AS granted;
SELECT t.quiet('SELECT settle_credits(t.id(22), 1000, ''available'')') AS again;
SELECT t.quiet('SELECT settle_credits(t.id(22), 2, ''available'')') AS other_price;
SELECT cost_credits_final FROM jobs WHERE id = t.id(22);
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- an expired hold cannot be captured; it can be released, captured for nothing, or swept
CALL t.sign_up(1, 2);
SELECT hold_credits(t.id(1), 1, 'chats:1') AS hold1, hold_credits(t.id(1), 2, 'chats:2') AS hold2, hold_credits(t.id(1), 3, 'chats:3') AS hold3,
       hold_credits(t.id(1), 4, 'chats:4') AS hold4, hold_credits(t.id(2), 5, 'chats:5') AS hold5 \gset
SELECT t.quiet('SELECT sweep_stale_holds()') AS nothing_is_stale;
CALL t.age(:'hold1');
CALL t.age(:'hold2');
CALL t.age(:'hold3');
CALL t.age(:'hold5');
SELECT t.quiet(format('SELECT capture_hold(%L, 1)', :'hold1')), t.quiet(format('SELECT capture_hold(%L, 1, ''charge'')', :'hold1'));
SELECT t.quiet(format('SELECT capture_hold(%L, 0)', :'hold1')) AS for_nothing;
SELECT t.quiet(format('SELECT release_hold(%L)', :'hold2'));
SELECT * FROM t.books();
SELECT sweep_stale_holds(1), sweep_stale_holds(), t.quiet('SELECT sweep_stale_holds()') AS nothing_left;
SELECT t.quiet(format('SELECT capture_hold(%L)', :'hold3')) AS swept, t.quiet(format('SELECT capture_hold(%L, 0)', :'hold3')) AS swept,
       t.quiet(format('SELECT release_hold(%L)', :'hold3')) AS swept;
SELECT t.listed(), capture_hold(:'hold4');
SELECT * FROM t.entries OFFSET 5;
SELECT * FROM t.accounts;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- who has too little gets his expired holds back first, by every road, and nobody else's
CALL t.sign_up(1, 2);
CALL t.project(1, 11);
CALL t.job(11, 21);
SELECT hold_credits(t.id(1), 8, 'chats:1') AS hold \gset
CALL t.age(:'hold');
SELECT t.quiet('SELECT charge_credits(t.id(1), 11)') AS too_much_even_so;
SELECT t.quiet('SELECT reserve_credits(t.id(1), t.id(21), 11)') AS too_much_even_so;
SELECT charge_credits(t.id(1), 2) AS enough_without;
SELECT t.listed();
SELECT charge_credits(t.id(1), 1) AS enough_with_it, t.listed();
SELECT hold_credits(t.id(1), 7, 'chats:2') AS hold \gset
CALL t.age(:'hold');
SELECT hold_credits(t.id(1), 6, 'chats:3') AS hold \gset
CALL t.age(:'hold');
SELECT reserve_credits(t.id(1), t.id(21), 7);
SELECT settle_credits(t.id(21), 5);
SELECT hold_credits(t.id(1), 2, 'chats:4') AS hold \gset
CALL t.age(:'hold');
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(1), 'usage', -1);
SELECT hold_credits(t.id(1), 1, 'chats:5') AS expired \gset
SELECT grant_credits(t.id(1), 1) IS NOT NULL AS granted, hold_credits(t.id(1), 1, 'chats:6') AS hold \gset
CALL t.age(:'expired');
SELECT capture_hold(:'hold', 2, 'charge');
SELECT grant_credits(t.id(1), 2) IS NOT NULL AS granted, hold_credits(t.id(1), 1, 'chats:7') AS expired, hold_credits(t.id(1), 1, 'chats:8') AS hold \gset
CALL t.age(:'expired');
SELECT capture_hold(:'hold', 9, 'available');
SELECT * FROM t.entries OFFSET 1;
SELECT t.listed();
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- ... but not where they are too little without what has expired, before the hold or with it: nothing is written
CALL t.sign_up(1);
CALL t.project(1, 11);
CALL t.job(11, 21);
SELECT hold_credits(t.id(1), 8, 'chats:1') AS hold, grant_credits(t.id(1), 5, p_expires_at => now() + interval '1 hour') AS lot \gset
CALL t.age(:'hold');
CALL t.age(:'lot');
SELECT reserve_credits(t.id(1), t.id(21), 11) AS too_little, t.quiet('SELECT charge_credits(t.id(1), 11)') AS too_little, t.listed();
SELECT reserve_credits(t.id(1), t.id(21), 10) AS all_there_is, t.listed();
SELECT release_credits(t.id(21)), grant_credits(t.id(1), 6, p_expires_at => now() + interval '1 hour') AS lot \gset
SELECT hold_credits(t.id(1), 9, 'chats:2') AS hold \gset
CALL t.age(:'hold');
CALL t.age(:'lot');
SELECT reserve_credits(t.id(1), t.id(21), 11) AS too_little, t.listed();
SELECT reserve_credits(t.id(1), t.id(21), 10) AS all_there_is, t.listed();
SELECT * FROM t.entries OFFSET 1;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- credit that returns to a lot which has expired meanwhile expires, also of an expired hold
CALL t.sign_up(1);
SELECT grant_credits(t.id(1), 5, p_expires_at => now() + interval '1 hour') AS lot \gset
SELECT hold_credits(t.id(1), 3, 'chats:1') AS hold1, hold_credits(t.id(1), 2, 'chats:2') AS hold2 \gset
CALL t.age(:'lot');
CALL t.age(:'hold2');
SELECT capture_hold(:'hold1', 1), sweep_stale_holds();
SELECT * FROM t.entries OFFSET 1;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- charge_credits
CALL t.sign_up(1);
SELECT t.quiet($$SELECT charge_credits(t.id(1), 3, 'charge 1', 'chats:1', 'An answer')$$);
SELECT t.quiet($$SELECT charge_credits(t.id(1), 2, 'charge 2')$$);
SELECT t.quiet($$SELECT charge_credits(t.id(1), 3, 'charge 1', 'chats:2', 'Another answer')$$) AS the_first_answer;
SELECT t.quiet($$SELECT charge_credits(t.id(1), 4, 'charge 1')$$) AS other_amount;
SELECT t.quiet($$SELECT charge_credits(t.id(1), 1)$$), t.quiet($$SELECT charge_credits(t.id(1), 1)$$) AS no_key;
SELECT t.quiet($$SELECT charge_credits(t.id(1), 4)$$) AS too_little, t.quiet($$SELECT charge_credits(t.id(1), 2147483647)$$) AS far_too_little;
SELECT t.quiet($$SELECT charge_credits(t.id(1), 3)$$) AS the_rest;
SELECT t.quiet($$SELECT charge_credits(t.id(99), 1)$$) AS unknown_user;
SELECT t.quiet('SELECT charge_credits(NULL, 1)'), t.quiet('SELECT charge_credits(t.id(1), NULL)');
SELECT t.quiet(format('SELECT charge_credits(t.id(1), %s)', n)) FROM unnest('{0,-1,-2147483648}'::integer[]) n;
SELECT t.quiet($$SELECT charge_credits(t.id(1), 1, '')$$), t.quiet($$SELECT charge_credits(t.id(1), 1, NULL, '')$$);
SELECT t.quiet($$SELECT charge_credits(t.id(1), 1, NULL, repeat('x', 256))$$), t.quiet($$SELECT charge_credits(t.id(1), 1, p_note => repeat('x', 1001))$$);
-- what has expired is not spent
SELECT grant_credits(t.id(1), 5, p_expires_at => now() + interval '1 hour') AS lot \gset
SELECT grant_credits(t.id(1), 4) IS NOT NULL AS granted;
CALL t.age(:'lot');
SELECT t.quiet('SELECT charge_credits(t.id(1), 5)') AS too_little, t.quiet('SELECT charge_credits(t.id(1), 4)');
SELECT * FROM t.entries;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- top_up_credits
CALL t.sign_up(1);
SELECT t.quiet($$SELECT top_up_credits(t.id(1), 15, 'June', p_note => 'A month')$$);
SELECT t.quiet($$SELECT top_up_credits(t.id(1), 15, 'June')$$) AS again, t.quiet($$SELECT top_up_credits(t.id(1), 15)$$) AS nothing_is_missing;
SELECT t.quiet($$SELECT top_up_credits(t.id(1), 15, 'July')$$) AS nothing_is_missing;
SELECT charge_credits(t.id(1), 15);
SELECT t.quiet($$SELECT top_up_credits(t.id(1), 15, 'June')$$) AS the_first_answer, t.quiet($$SELECT top_up_credits(t.id(1), 15, 'July')$$) AS the_first_answer;
SELECT t.quiet($$SELECT top_up_credits(t.id(1), 16, 'June')$$) AS other_target, t.quiet($$SELECT top_up_credits(t.id(1), 16, 'July')$$) AS other_target;
-- keys of top-ups are for nothing else, and theirs are not for top-ups
SELECT key, t.quiet(format('SELECT grant_credits(t.id(1), 5, NULL, %L)', key)) AS "grant", t.quiet(format('SELECT charge_credits(t.id(1), 5, %L)', key)) AS charge,
       t.quiet(format('SELECT hold_credits(t.id(1), 5, ''x'', p_idempotency_key => %L)', key)) AS hold
  FROM unnest('{June,July}'::text[]) key;
SELECT purchase_credits(t.id(1), 5, 'pi_1') IS NOT NULL AS bought, reinstate_purchase('pi_1', NULL, 'dispute 1');
SELECT t.quiet($$SELECT reverse_purchase('pi_1', 5, NULL, 'June')$$), t.quiet($$SELECT reverse_purchase('pi_1', 5, NULL, 'July')$$), t.quiet($$SELECT reinstate_purchase('pi_1', NULL, 'July')$$);
SELECT t.quiet($$SELECT top_up_credits(t.id(1), 20, 'dispute 1')$$), t.quiet($$SELECT grant_credits(t.id(1), 1, NULL, 'dispute 1')$$),
       t.quiet($$SELECT top_up_credits(t.id(1), 20, 'welcome')$$);
SELECT t.quiet($$SELECT reverse_purchase('pi_1', 5, NULL, 'dispute 1')$$) AS awaited;
-- holds do not count, nor does what has expired; a deficit does
SELECT hold_credits(t.id(1), 4, 'chats:1') AS hold \gset
SELECT t.quiet('SELECT top_up_credits(t.id(1), 5)');
SELECT grant_credits(t.id(1), 3, p_expires_at => now() + interval '1 hour') AS lot \gset
CALL t.age(:'lot');
SELECT t.quiet('SELECT top_up_credits(t.id(1), 6)');
SELECT charge_credits(t.id(1), 6);
SELECT reverse_purchase('pi_1'), get_credit_balance(t.id(1));
SELECT t.quiet('SELECT top_up_credits(t.id(1), 10)');
-- arguments, and the range of an integer
SELECT t.quiet('SELECT top_up_credits(NULL, 1)'), t.quiet('SELECT top_up_credits(t.id(1), NULL)'), t.quiet('SELECT top_up_credits(t.id(99), 1)');
SELECT t.quiet(format('SELECT top_up_credits(t.id(1), %s)', n)) FROM unnest('{0,-1,-2147483648}'::integer[]) n;
SELECT t.quiet($$SELECT top_up_credits(t.id(1), 1, '')$$), t.quiet($$SELECT top_up_credits(t.id(1), 1, p_note => repeat('x', 1001))$$);
SELECT t.quiet($$SELECT top_up_credits(t.id(1), 1, p_expires_at => '2001-01-01')$$), t.quiet($$SELECT top_up_credits(t.id(1), 1, p_expires_at => 'infinity')$$);
SELECT t.quiet('SELECT top_up_credits(t.id(1), 2147483647)') AS with_the_hold;
SELECT release_hold(:'hold');
SELECT t.quiet('SELECT top_up_credits(t.id(1), 2147483647)');
SELECT * FROM t.entries;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- grant_credits with a priority
CALL t.sign_up(1);
SELECT grant_credits(t.id(1), 1, p_priority => p) IS NOT NULL AS granted FROM unnest('{0,NULL,-1,2147483647}'::integer[]) p;
SELECT amount, priority FROM credit_ledger WHERE user_id = t.id(1) ORDER BY entry_no;

-- plain SQL makes no hold by reference
SELECT t.try('INSERT INTO credit_ledger (user_id, type, amount, reference) VALUES (t.id(1), ''reserve'', -1, ''chats:1'')');
CALL t.project(1, 11);
CALL t.job(11, 21);
SELECT t.try('INSERT INTO credit_ledger (user_id, type, amount, job_id, reference) VALUES (t.id(1), ''reserve'', -1, t.id(21), ''chats:1'')');
SELECT t.try('INSERT INTO credit_ledger (user_id, type, amount, reference) VALUES (t.id(1), ''usage'', -1, ''chats:1'')');

-- the audit names a hold that nobody gives back, and a capture without its hold
SELECT hold_credits(t.id(1), 1, 'chats:1') AS hold1, hold_credits(t.id(1), 2, 'chats:2') AS hold2, hold_credits(t.id(1), 1, 'chats:3') AS hold3 \gset
SELECT capture_hold(:'hold3');
CALL t.age(:'hold1', '59 minutes');
CALL t.age(:'hold2', '61 minutes');
SELECT problem, expected, actual, entry_id = :'hold2' AS hold2 FROM verify_credit_ledger();
BEGIN;
DELETE FROM studio_engine.expiring_holds WHERE hold_id = :'hold1';
SET LOCAL session_replication_role = replica;
UPDATE credit_ledger SET idempotency_key = 'captures:' || t.id(5) WHERE idempotency_key LIKE 'captures:%';
SET LOCAL session_replication_role = origin;
SELECT problem, expected, actual FROM verify_credit_ledger() ORDER BY problem COLLATE "C", actual;
ROLLBACK;
SELECT sweep_stale_holds();
SELECT * FROM t.books();

-- a user takes his holds along
SELECT hold_credits(t.id(1), 1, 'chats:4') AS hold \gset
DELETE FROM auth.users WHERE id = t.id(1);
SELECT t.listed(), t.quiet(format('SELECT capture_hold(%L)', :'hold')), t.quiet(format('SELECT release_hold(%L)', :'hold'));

DROP VIEW t.entries;
DROP PROCEDURE t.age;
DROP FUNCTION t.listed;
SELECT * FROM t.clean();
