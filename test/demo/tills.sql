-- Two jobs that both want all of Alice's credits.

\echo '== 7. Two servers spend the same 8 credits at the same moment (service_role)'
\echo
SET ROLE authenticated;
SELECT set_config('request.jwt.claims', :'claims_of_alice', false) AS claims \gset
INSERT INTO projects (user_id, title, prompt_text, niche_preset) VALUES
  (auth.uid(), 'Titanic', 'What the Titanic carried', 'facts'),
  (auth.uid(), 'Erebus', 'Who found the Erebus', 'facts');
RESET ROLE;
SET ROLE service_role;
INSERT INTO jobs (project_id, user_id) SELECT id, user_id FROM projects WHERE title IN ('Titanic', 'Erebus');
