-- How the acts look, and who plays.
-- Pitfall: psql tells \if from a query only through \gset, and DO blocks do not
-- see psql variables. So the people of the story have fixed ids, and everything
-- else is found by title.

\pset pager off
\pset footer off
\pset null '-'
\set alice 'a11ce000-0000-4000-8000-000000000001'
\set bob 'b0b00000-0000-4000-8000-000000000002'
\set claims_of_alice '{"sub": "a11ce000-0000-4000-8000-000000000001", "role": "authenticated"}'
\set claims_of_bob '{"sub": "b0b00000-0000-4000-8000-000000000002", "role": "authenticated"}'
\set session 'demo-browser-session-0001'
