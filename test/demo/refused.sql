-- Comes after a statement that must be refused with SQLSTATE expected: tells
-- the attempt and the answer, and ends the demo when the answer is another one.
-- Pitfall: ON_ERROR_STOP is off for that statement only. It must be on again
-- before this file is read, or psql goes on after an error in here.

\set answer :SQLSTATE
\set message :LAST_ERROR_MESSAGE
SELECT format('  %-44s %s: %s', :'attempt', :'answer', :'message') AS line,
       :'answer' = :'expected' AS as_expected \gset
\echo :line
\if :as_expected
\else
SELECT format('"%s" should have been refused with %s', :'attempt', :'expected')::integer;
\endif
