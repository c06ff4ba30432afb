-- What must hold of the books at every commit. A row says how many things were
-- looked at, so that "holds" is not said of nothing.

\echo '== 12. The invariants'
\echo
CREATE TEMPORARY VIEW account AS
SELECT a.user_id, a.balance, a.reserved, a.entries,
       coalesce(sum(l.amount), 0) AS sum,
       coalesce(-sum(l.amount) FILTER (WHERE l.type = 'reserve'), 0) AS held,
       count(l.id) AS rows,
       coalesce(min(l.entry_no), 1) AS first,
       coalesce(max(l.entry_no), 0) AS last,
       (array_agg(l.balance_after ORDER BY l.entry_no DESC))[1] AS last_balance
  FROM credit_accounts a
  LEFT JOIN credit_ledger l ON l.user_id = a.user_id
 GROUP BY a.user_id;

CREATE TEMPORARY VIEW running AS
SELECT l.id, l.balance_after, sum(l.amount) OVER (PARTITION BY l.user_id ORDER BY l.entry_no) AS sum
  FROM credit_ledger l;

-- a hold is `reserve -N`, what closes it `reserve +N`: they must take turns
CREATE TEMPORARY VIEW hold AS
SELECT l.id, l.job_id, l.amount,
       lag(l.amount) OVER w AS previous, lead(l.amount) OVER w AS next
  FROM credit_ledger l
 WHERE l.type = 'reserve'
WINDOW w AS (PARTITION BY l.job_id ORDER BY l.entry_no);

CREATE TEMPORARY TABLE invariant AS
SELECT 1 AS no, 'sum of the ledger = balance of the account' AS invariant,
       count(*) || ' accounts' AS checked, bool_and(sum = balance) AS holds FROM account
UNION ALL
SELECT 2, 'balance of the account = balance_after of the last entry',
       count(*) || ' accounts', bool_and(last_balance = balance) FROM account
UNION ALL
SELECT 3, 'balance_after = sum of the entries so far',
       count(*) || ' entries', bool_and(balance_after = sum) FROM running
UNION ALL
SELECT 4, 'entries are numbered 1, 2, 3 ... without gaps',
       sum(rows) || ' entries', bool_and(first = 1 AND last = rows AND entries = rows) FROM account
UNION ALL
SELECT 5, 'minus the sum of the reserve entries = credits in holds',
       count(*) || ' accounts', bool_and(held = reserved) FROM account
UNION ALL
SELECT 6, 'at most one open hold per job',
       count(*) FILTER (WHERE amount < 0) || ' holds', bool_and(amount > 0 OR previous IS NULL OR previous > 0) FROM hold
UNION ALL
SELECT 7, 'a hold is closed once, with what it took',
       count(*) FILTER (WHERE amount > 0) || ' closed', bool_and(amount < 0 OR previous IS NOT DISTINCT FROM -amount) FROM hold
UNION ALL
SELECT 8, 'a job that has ended holds nothing',
       count(*) || ' jobs', bool_and(NOT EXISTS (SELECT FROM hold h WHERE h.job_id = j.id AND h.amount < 0 AND h.next IS NULL))
  FROM jobs j WHERE j.status IN ('READY', 'FAILED')
UNION ALL
SELECT 9, 'no balance is negative',
       count(*) || ' accounts', bool_and(balance >= 0) FROM account;

SELECT invariant, checked, CASE WHEN holds THEN 'yes' ELSE 'NO' END AS holds FROM invariant ORDER BY no;

DO $check$
BEGIN
  ASSERT (SELECT count(*) FROM invariant WHERE holds) = 9, 'an invariant does not hold';
  ASSERT (SELECT sum(rows) FROM account) = 8, 'the ledger has the entries of this story';
END
$check$;
