-- 200_ledger_functions.sql
--
-- Credits through the functions, line by line from section 3 of the
-- specification; then what ends of jobs do to holds.
-- Pitfall: t.quiet() tells whether anything was written.  A replay that writes
-- the same values again would pass a comparison of values.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE VIEW t.costs AS
SELECT t.n(id) AS job, status, cost_credits_reserved AS reserved, cost_credits_final AS final FROM jobs ORDER BY id;
GRANT SELECT ON t.costs TO service_role;

CALL t.sign_up(1, 2);
CALL t.project(1, 11);
CALL t.project(2, 12);
CALL t.job(11, 21);
CALL t.job(11, 22);
CALL t.job(12, 23);
CALL t.as_role('service_role');

-- get_credit_balance
SELECT get_credit_balance(t.id(1)), get_credit_balance(t.id(99)) AS of_nobody;
SELECT t.ask('SELECT get_credit_balance(NULL)');

-- reserve_credits: TRUE once, TRUE again without writing, another amount PT409
SELECT t.quiet('SELECT reserve_credits(t.id(1), t.id(21), 3)');
SELECT t.quiet('SELECT reserve_credits(t.id(1), t.id(21), 3)') AS again;
SELECT t.quiet('SELECT reserve_credits(t.id(1), t.id(21), 2)') AS other_amount;
SELECT t.quiet('SELECT reserve_credits(t.id(1), t.id(21), 10000)') AS other_amount;
-- FALSE: too little, by one and by far; the whole balance is enough
SELECT t.quiet('SELECT reserve_credits(t.id(1), t.id(22), 8)') AS too_little;
SELECT t.quiet('SELECT reserve_credits(t.id(1), t.id(22), 2147483647)') AS far_too_little;
SELECT t.quiet('SELECT reserve_credits(t.id(1), t.id(22), 7)') AS the_rest;
SELECT t.quiet('SELECT reserve_credits(t.id(1), t.id(22), 7)') AS again_at_balance_0;
SELECT t.quiet('SELECT get_credit_balance(t.id(1))');
-- amounts
SELECT t.quiet('SELECT reserve_credits(t.id(2), t.id(23), NULL)');
SELECT t.quiet('SELECT reserve_credits(t.id(2), t.id(23), 0)');
SELECT t.quiet('SELECT reserve_credits(t.id(2), t.id(23), -5)');
SELECT t.quiet('SELECT reserve_credits(t.id(2), t.id(23), -2147483648)');
-- who and what
SELECT t.quiet('SELECT reserve_credits(NULL, t.id(23), 1)');
SELECT t.quiet('SELECT reserve_credits(t.id(2), NULL, 1)');
SELECT t.quiet('SELECT reserve_credits(t.id(2), t.id(98), 1)') AS unknown_job;
SELECT t.quiet('SELECT reserve_credits(t.id(1), t.id(23), 1)') AS job_of_another;
SELECT t.quiet('SELECT reserve_credits(t.id(99), t.id(23), 1)') AS unknown_user;
SELECT * FROM t.costs;
CALL t.as_admin();
SELECT * FROM t.ledger;
SELECT * FROM t.accounts;
SELECT * FROM t.books();

-- settle_credits: reserve +R, usage -F; less than held; again the same
CALL t.as_role('service_role');
SELECT t.quiet('SELECT settle_credits(t.id(21), -1)') AS negative;
SELECT t.quiet('SELECT settle_credits(t.id(21), 4)') AS above_the_hold;
SELECT t.quiet('SELECT settle_credits(t.id(21), 4, ''error'')') AS above_the_hold;
SELECT t.quiet('SELECT settle_credits(t.id(21), 2)');
SELECT t.quiet('SELECT settle_credits(t.id(21), 2)') AS again;
SELECT t.quiet('SELECT settle_credits(t.id(21), 3)') AS other_price;
SELECT t.quiet('SELECT settle_credits(t.id(21), 0)') AS other_price;
SELECT t.quiet('SELECT settle_credits(t.id(21))') AS the_whole_hold_now;
SELECT t.quiet('SELECT release_credits(t.id(21))') AS after_settling;
-- NULL is all of it
SELECT t.quiet('SELECT settle_credits(t.id(22))');
SELECT t.quiet('SELECT settle_credits(t.id(22))') AS again;
SELECT t.quiet('SELECT settle_credits(t.id(22), 7)') AS the_same_in_words;
SELECT t.quiet('SELECT settle_credits(t.id(22), 6)') AS other_price;
-- nothing was ever held
SELECT t.quiet('SELECT settle_credits(t.id(23))') AS no_hold;
SELECT t.quiet('SELECT settle_credits(t.id(23), 0)') AS no_hold;
SELECT t.quiet('SELECT settle_credits(t.id(23), 1)') AS no_hold;
SELECT t.quiet('SELECT release_credits(t.id(23))') AS no_hold;
-- arguments
SELECT t.quiet('SELECT settle_credits(NULL)');
SELECT t.quiet('SELECT settle_credits(t.id(98))');
SELECT t.quiet('SELECT settle_credits(t.id(23), 1, ''perhaps'')');
SELECT t.quiet('SELECT settle_credits(t.id(23), 1, NULL)');
SELECT * FROM t.costs;
CALL t.as_admin();
SELECT * FROM t.ledger WHERE "user" = '1';
SELECT * FROM t.accounts;
SELECT * FROM t.books();

-- a free settlement, and a release: both release all of it, and are final
CALL t.job(12, 24);
CALL t.job(12, 25);
SELECT t.quiet('SELECT reserve_credits(t.id(2), t.id(24), 4)'), t.quiet('SELECT reserve_credits(t.id(2), t.id(25), 5)');
SELECT t.quiet('SELECT settle_credits(t.id(24), 0)');
SELECT t.quiet('SELECT settle_credits(t.id(24), 0)') AS again;
SELECT t.quiet('SELECT settle_credits(t.id(24))') AS the_whole_hold_now;
SELECT t.quiet('SELECT release_credits(t.id(25), ''Worker died'')');
SELECT t.quiet('SELECT release_credits(t.id(25), ''Worker died'')') AS again;
SELECT t.quiet('SELECT release_credits(t.id(25))') AS again;
SELECT t.quiet('SELECT settle_credits(t.id(25), 5)') AS after_release;
SELECT t.quiet('SELECT settle_credits(t.id(25), 0)') AS after_release;
SELECT t.quiet('SELECT release_credits(NULL)');
SELECT t.quiet('SELECT release_credits(t.id(98))');
SELECT t.quiet('SELECT release_credits(t.id(25), repeat(''x'', 1001))');
SELECT * FROM t.costs WHERE job IN ('24', '25');
-- a job that has not ended may hold again after its hold was closed
SELECT t.quiet('SELECT reserve_credits(t.id(2), t.id(25), 6)');
SELECT * FROM t.costs WHERE job = '25';
SELECT t.quiet('SELECT settle_credits(t.id(25), 6)');
SELECT t.quiet('SELECT settle_credits(t.id(25), 6)') AS again;
SELECT * FROM t.ledger WHERE "user" = '2';
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- a price above the hold: charge where the balance covers it, cap at the hold
CALL t.sign_up(1);
CALL t.project(1, 11);
CALL t.job(11, 21);
CALL t.job(11, 22);
CALL t.job(11, 23);
SELECT reserve_credits(t.id(1), t.id(21), 2), reserve_credits(t.id(1), t.id(22), 3), reserve_credits(t.id(1), t.id(23), 1);
SELECT t.quiet('SELECT settle_credits(t.id(21), 7, ''charge'')') AS one_more_than_there_is;
SELECT t.quiet('SELECT settle_credits(t.id(21), 2147483647, ''charge'')') AS far_more;
SELECT t.quiet('SELECT settle_credits(t.id(21), 6, ''charge'')') AS all_there_is;
SELECT t.quiet('SELECT settle_credits(t.id(21), 6, ''charge'')') AS again;
SELECT t.quiet('SELECT settle_credits(t.id(21), 6)') AS again;
SELECT t.quiet('SELECT settle_credits(t.id(21), 5, ''charge'')') AS other_price;
SELECT t.quiet('SELECT settle_credits(t.id(22), 2147483647, ''cap'')');
SELECT t.quiet('SELECT settle_credits(t.id(22), 2147483647, ''cap'')') AS again;
SELECT t.quiet('SELECT settle_credits(t.id(22), 2, ''cap'')') AS other_price;
SELECT t.quiet('SELECT settle_credits(t.id(23), 0, ''cap'')') AS below;
SELECT * FROM t.costs;
SELECT * FROM t.ledger;
SELECT * FROM t.accounts;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- grant_credits: once per key and user
CALL t.sign_up(1, 2);
CALL t.as_role('service_role');
SELECT grant_credits(t.id(1), 5, 'Sorry', 'sorry-1') AS first \gset
SELECT t.quiet($$SELECT grant_credits(t.id(1), 5, 'Sorry', 'sorry-1')$$) AS replay;
SELECT grant_credits(t.id(1), 5, 'Sorry', 'sorry-1') = :'first' AS same_id;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 6, 'Sorry', 'sorry-1')$$) AS other_amount;
SELECT t.quiet($$SELECT grant_credits(t.id(2), 5, 'Sorry', 'sorry-1')$$) AS same_key_of_another_user;
SELECT t.quiet($$SELECT grant_credits(t.id(2), 5, 'Sorry', 'SORRY-1')$$) AS other_key;
SELECT t.quiet($$SELECT grant_credits(t.id(2), 1)$$) AS no_key;
SELECT t.quiet($$SELECT grant_credits(t.id(2), 1)$$) AS no_key_again;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 10, 'Welcome bonus: 1 free video trial', 'welcome')$$) AS key_of_the_welcome_grant;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 9, 'Welcome bonus: 1 free video trial', 'welcome')$$) AS key_of_the_welcome_grant;
SELECT t.quiet($$SELECT grant_credits(NULL, 1)$$);
SELECT t.quiet($$SELECT grant_credits(t.id(99), 1)$$);
SELECT t.quiet($$SELECT grant_credits(t.id(1), NULL)$$);
SELECT t.quiet($$SELECT grant_credits(t.id(1), 0)$$);
SELECT t.quiet($$SELECT grant_credits(t.id(1), -1)$$);
SELECT t.quiet($$SELECT grant_credits(t.id(1), 1, 'x', '')$$) AS empty_key;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 1, 'x', repeat('k', 256))$$) AS long_key;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 1, 'x', repeat('ß', 255))$$) AS longest_key;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 1, repeat('n', 1001))$$) AS long_note;
-- an expiry is finite and in the future; it is content of the key
SELECT t.quiet($$SELECT grant_credits(t.id(1), 1, 'x', 'later', now())$$) AS expired_at_once;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 1, 'x', 'later', 'infinity')$$) AS no_time;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 1, 'x', 'later', '-infinity')$$) AS no_time;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 5, NULL, 'sorry-1', now() - INTERVAL '1 day')$$) AS the_key_comes_first;
BEGIN;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 1, 'x', 'later', '2999-01-01')$$) AS expiring;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 1, 'y', 'later', '2999-01-01')$$) AS the_same;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 1, 'x', 'later', '2999-01-02')$$) AS another_expiry;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 1, 'x', 'later')$$) AS no_expiry;
SELECT entry_no, amount, expires_at, reverses FROM credit_ledger WHERE idempotency_key = 'later';
SELECT * FROM t.books();
ROLLBACK;
-- integer overflow: balance and holds together must fit
SELECT t.quiet($$SELECT grant_credits(t.id(1), 2147483647)$$) AS too_much;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 2147483647 - 16)$$) AS to_the_brim;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 1)$$) AS one_too_many;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 5, 'Sorry', 'sorry-1')$$) AS replay_at_the_brim;
SELECT get_credit_balance(t.id(1));
CALL t.as_admin();
CALL t.project(1, 11);
CALL t.job(11, 21);
SELECT reserve_credits(t.id(1), t.id(21), 2147483647);
SELECT t.quiet($$SELECT grant_credits(t.id(1), 1)$$) AS holds_count;
SELECT t.quiet($$SELECT release_credits(t.id(21))$$) AS giving_back_never_fails;
SELECT t.quiet($$SELECT reserve_credits(t.id(1), t.id(21), 2147483647)$$);
SELECT t.quiet($$SELECT settle_credits(t.id(21), 2147483647)$$);
SELECT t.quiet($$SELECT grant_credits(t.id(1), 1)$$) AS room_again;
SELECT * FROM t.accounts;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- purchase_credits: once per payment, over all users
CALL t.sign_up(1, 2);
CALL t.as_role('service_role');
SELECT purchase_credits(t.id(1), 100, 'pi_1', 'Pack of 100') AS first \gset
SELECT t.quiet($$SELECT purchase_credits(t.id(1), 100, 'pi_1', 'Pack of 100')$$) AS replay;
SELECT purchase_credits(t.id(1), 100, 'pi_1', 'Pack of 100') = :'first' AS same_id;
SELECT t.quiet($$SELECT purchase_credits(t.id(1), 50, 'pi_1')$$) AS other_amount;
SELECT t.quiet($$SELECT purchase_credits(t.id(2), 100, 'pi_1')$$) AS other_user;
SELECT t.quiet($$SELECT purchase_credits(t.id(2), 100, 'pi_2')$$) AS other_payment;
SELECT t.quiet($$SELECT purchase_credits(NULL, 1, 'pi_3')$$);
SELECT t.quiet($$SELECT purchase_credits(t.id(99), 1, 'pi_3')$$);
SELECT t.quiet($$SELECT purchase_credits(t.id(1), NULL, 'pi_3')$$);
SELECT t.quiet($$SELECT purchase_credits(t.id(1), 0, 'pi_3')$$);
SELECT t.quiet($$SELECT purchase_credits(t.id(1), -100, 'pi_3')$$);
SELECT t.quiet($$SELECT purchase_credits(t.id(1), 100, NULL)$$);
SELECT t.quiet($$SELECT purchase_credits(t.id(1), 100, '')$$);
SELECT t.quiet($$SELECT purchase_credits(t.id(1), 100, repeat('p', 256))$$);
SELECT t.quiet($$SELECT purchase_credits(t.id(1), 100, 'pi_late', NULL, now())$$);
SELECT t.quiet($$SELECT purchase_credits(t.id(1), 2147483647, 'pi_3')$$);
CALL t.as_admin();
SELECT t.n(user_id) AS "user", entry_no, type, amount, balance_after, note, stripe_payment_id
  FROM credit_ledger ORDER BY user_id, entry_no;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- READY settles at the hold, or at cost_credits_final where it is set before;
-- FAILED releases; one statement for many jobs of several users
CALL t.sign_up(1, 2);
CALL t.project(1, 11);
CALL t.project(2, 12);
CALL t.job(11, 21, 'PACKAGING');
CALL t.job(11, 22, 'PACKAGING');
CALL t.job(11, 23, 'PACKAGING');
CALL t.job(11, 24, 'PACKAGING');
CALL t.job(12, 25, 'PACKAGING');
CALL t.job(12, 26, 'PACKAGING');
SELECT reserve_credits(t.id(1), t.id(21), 3), reserve_credits(t.id(1), t.id(22), 3), reserve_credits(t.id(1), t.id(23), 2),
       reserve_credits(t.id(2), t.id(25), 5);
UPDATE jobs SET cost_credits_final = 2 WHERE id = t.id(22);
UPDATE jobs SET cost_credits_final = 0 WHERE id = t.id(23);
SELECT * FROM t.accounts;
UPDATE jobs SET status = 'READY' WHERE id <> t.id(26);
SELECT * FROM t.costs;
SELECT * FROM t.moved WHERE type = 'usage';
SELECT * FROM t.accounts;
SELECT * FROM t.books();
-- afterwards
SELECT t.quiet('SELECT settle_credits(t.id(22), 2)') AS as_it_was;
SELECT t.quiet('SELECT settle_credits(t.id(22), 3)') AS otherwise;
SELECT t.quiet('SELECT release_credits(t.id(22))') AS otherwise;
SELECT t.quiet('SELECT reserve_credits(t.id(1), t.id(22), 1)') AS ended;
SELECT t.quiet('UPDATE jobs SET status = ''READY'' WHERE id = t.id(22) RETURNING status') AS ready_again;
SELECT * FROM t.moved WHERE job = '22';
-- the price and the hold together in one statement
SELECT t.quiet('SELECT reserve_credits(t.id(2), t.id(26), 4)');
UPDATE jobs SET status = 'READY', cost_credits_final = 1 WHERE id = t.id(26);
SELECT * FROM t.costs WHERE job = '26';
SELECT * FROM t.ledger WHERE job = '26';
SELECT * FROM t.books();
-- prices that cannot be: above the hold, negative
CALL t.job(12, 27, 'PACKAGING');
SELECT t.quiet('SELECT reserve_credits(t.id(2), t.id(27), 2)');
SELECT t.quiet('UPDATE jobs SET status = ''READY'', cost_credits_final = 3 WHERE id = t.id(27) RETURNING 1') AS above_the_hold;
SELECT t.quiet('UPDATE jobs SET status = ''READY'', cost_credits_final = -1 WHERE id = t.id(27) RETURNING 1') AS negative;
SELECT t.quiet('UPDATE jobs SET status = ''READY'', cost_credits_final = 1 WHERE id = t.id(27) RETURNING 1') AS good;
-- a price without a hold
CALL t.job(12, 28, 'PACKAGING');
SELECT t.quiet('UPDATE jobs SET status = ''READY'', cost_credits_final = 1 WHERE id = t.id(28) RETURNING 1') AS no_hold;
SELECT t.quiet('UPDATE jobs SET status = ''READY'' WHERE id = t.id(28) RETURNING cost_credits_final') AS no_hold;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- FAILED
CALL t.sign_up(1, 2);
CALL t.project(1, 11);
CALL t.project(2, 12);
CALL t.job(11, 21);
CALL t.job(11, 22, 'RENDERING');
CALL t.job(12, 23, 'QUEUED');
CALL t.job(12, 24, 'QUEUED');
SELECT reserve_credits(t.id(1), t.id(21), 3), reserve_credits(t.id(1), t.id(22), 4), reserve_credits(t.id(2), t.id(23), 5);
UPDATE jobs SET cost_credits_final = 2 WHERE id = t.id(22);
UPDATE jobs SET status = 'FAILED';
SELECT * FROM t.costs;
SELECT * FROM t.moved;
SELECT * FROM t.accounts;
SELECT t.quiet('SELECT release_credits(t.id(21))') AS as_it_was;
SELECT t.quiet('SELECT settle_credits(t.id(21), 3)') AS otherwise;
SELECT t.quiet('SELECT settle_credits(t.id(21), 0)') AS as_it_was;
SELECT t.quiet('SELECT reserve_credits(t.id(1), t.id(21), 3)') AS ended;
SELECT * FROM t.books();
-- charged already when it fails: stays charged
CALL t.job(11, 25, 'PACKAGING');
SELECT reserve_credits(t.id(1), t.id(25), 3), settle_credits(t.id(25), 2);
UPDATE jobs SET status = 'FAILED' WHERE id = t.id(25);
SELECT * FROM t.costs WHERE job = '25';
SELECT * FROM t.accounts;
SELECT * FROM t.books();

-- closed already when it is READY: the price is final, another one is refused
CALL t.job(11, 27, 'PACKAGING');
CALL t.job(11, 28, 'PACKAGING');
SELECT reserve_credits(t.id(1), t.id(27), 3), settle_credits(t.id(27), 2), reserve_credits(t.id(1), t.id(28), 3), release_credits(t.id(28));
SELECT t.quiet('UPDATE jobs SET status = ''READY'', cost_credits_final = 3 WHERE id = t.id(27) RETURNING 1') AS otherwise;
SELECT t.quiet('UPDATE jobs SET status = ''READY'', cost_credits_final = 3 WHERE id = t.id(28) RETURNING 1') AS otherwise;
UPDATE jobs SET status = 'READY' WHERE id IN (t.id(27), t.id(28));
SELECT * FROM t.costs WHERE status = 'READY';
SELECT * FROM t.moved WHERE job IN ('27', '28');
SELECT * FROM t.books();

-- one transaction: a rollback takes the status, the stamps and the credits back
CALL t.job(11, 26, 'PACKAGING');
SELECT reserve_credits(t.id(1), t.id(26), 3);
BEGIN;
UPDATE jobs SET status = 'READY' WHERE id = t.id(26);
SELECT get_credit_balance(t.id(1));
SAVEPOINT a;
SELECT grant_credits(t.id(1), 50) \g /dev/null
ROLLBACK TO a;
SELECT grant_credits(t.id(1), 1) \g /dev/null
SELECT count(*) AS entries, max(entry_no) AS last FROM credit_ledger WHERE user_id = t.id(1);
ROLLBACK;
SELECT * FROM t.costs WHERE job = '26';
SELECT get_credit_balance(t.id(1));
SELECT grant_credits(t.id(1), 1) \g /dev/null
SELECT count(*) = max(entry_no) AS gapless FROM credit_ledger WHERE user_id = t.id(1);
SELECT * FROM t.books();

-- after all those errors the guards still stand
SELECT t.try('UPDATE credit_accounts SET balance = 1000');
SELECT t.try('UPDATE credit_ledger SET amount = 1000');
DROP VIEW t.costs;
SELECT * FROM t.clean();
