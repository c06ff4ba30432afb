-- 320_video.sql
--
-- Jobs as workers, users and the dashboard see them: made, moved along, ended,
-- tried again; steps, files, log lines.
-- Pitfall: create_job() gives random ids, so jobs are told apart by the order
-- in which they were made.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE VIEW t.video AS
SELECT t.n(project_id) AS project, row_number() OVER (PARTITION BY user_id ORDER BY created_at) AS nr, status, progress,
       cost_credits_reserved AS reserved, cost_credits_final AS final, error_code AS code, failed_step AS step
  FROM jobs ORDER BY project_id, created_at;
GRANT SELECT ON t.video TO service_role, authenticated;

CALL t.sign_up(1, 2);
CALL t.project(1, 11);
CALL t.project(1, 12, 'manual');
CALL t.project(2, 13);

-- create_job: job, steps and hold, queued; or nothing at all
CALL t.as_role('service_role');
SELECT create_job(t.id(11), 3) AS job \gset
SELECT * FROM t.video;
SELECT step_order, step_name, state, progress_pct FROM job_steps ORDER BY step_order;
SELECT create_job(t.id(12), 1) AS manual_job \gset
SELECT step_order, step_name FROM job_steps WHERE job_id = :'manual_job' ORDER BY step_order;
CALL t.as_admin();
SELECT * FROM t.ledger WHERE "user" = '1';
SELECT * FROM t.accounts;
CALL t.as_role('service_role');
SELECT count(*) AS jobs, (SELECT count(*) FROM job_steps) AS steps FROM jobs;
SELECT t.quiet('SELECT create_job(t.id(11), 7)') AS one_too_much;
SELECT t.quiet('SELECT create_job(t.id(11), 0)');
SELECT t.quiet('SELECT create_job(t.id(11), -1)');
SELECT t.quiet('SELECT create_job(t.id(11), NULL)');
SELECT t.quiet('SELECT create_job(NULL, 1)');
SELECT t.quiet('SELECT create_job(t.id(99), 1)');
SELECT count(*) AS jobs, (SELECT count(*) FROM job_steps) AS steps FROM jobs;
-- not for users: they would set the price
CALL t.as_user(t.id(1));
SELECT t.try('SELECT create_job(t.id(11), 1)');
SELECT t.try('INSERT INTO jobs (project_id, user_id) VALUES (t.id(11), t.id(1))');
SELECT t.try(format('SELECT advance_job(%L, ''SCRIPTING'')', :'job'));

-- create_job_steps
CALL t.as_role('service_role');
SELECT create_job_steps(:'job') AS all_there;
SELECT create_job_steps(:'job', '["packaging", "upload", "notify"]') AS two_new;
SELECT step_name, state FROM job_steps WHERE job_id = :'job' AND step_name IN ('packaging', 'upload', 'notify') ORDER BY step_name;
SELECT t.try(format('SELECT create_job_steps(%L, %L)', :'job', steps)) AS answer, left(steps, 40) AS steps
  FROM unnest(ARRAY['[]', '{}', '"x"', 'null', '[1]', '["a", "a"]', '[""]', '["a", null]', '[["a"]]',
                    jsonb_build_array(repeat('x', 101))::text,
                    (SELECT jsonb_agg('s' || n) FROM generate_series(1, 101) n)::text]) steps;
SELECT t.try('SELECT create_job_steps(NULL)');
SELECT t.try('SELECT create_job_steps(t.id(99))');
SELECT count(*) AS steps FROM job_steps WHERE job_id = :'job';

-- update_job_step: bounds
SELECT t.try(format('SELECT update_job_step(%L, ''no_such_step'', ''started'')', :'job')) LIKE 'PT404 not found%' AS unknown_step;
SELECT t.try('SELECT update_job_step(t.id(99), ''scripting'', ''started'')') LIKE 'PT404 not found%' AS unknown_job;
SELECT t.try(format('SELECT update_job_step(%L, NULL, ''started'')', :'job'));
SELECT t.try(format('SELECT update_job_step(%L, ''scripting'', ''started'', 101)', :'job'));
SELECT t.try(format('SELECT update_job_step(%L, ''scripting'', ''started'', -1)', :'job'));
SELECT t.try('SELECT update_job_step(NULL, ''scripting'', ''started'')');

-- a job's life, told by the worker
SELECT advance_job(:'job', 'SCRIPTING', NULL, 'Writing') ->> 'status_message' AS message;
SELECT update_job_step(:'job', 'scripting', 'started') ->> 'state' AS state;
SELECT update_job_step(:'job', 'scripting', 'succeeded', 100, 'Written') ->> 'status_message' AS message;
SELECT advance_job(:'job', s) ->> 'progress' AS progress
  FROM unnest('{VOICE_GEN,ALIGNMENT,VISUAL_PLAN,IMAGE_GEN,TIMELINE,RENDERING,PACKAGING}'::text[]) s;
SELECT t.try('SELECT advance_job(t.id(99), ''QUEUED'')');
SELECT t.try('SELECT advance_job(NULL, ''QUEUED'')');
-- files
SELECT record_asset(:'job', 'video', 'https://cdn.example.com/v1.mp4', 'videos/1.mp4', 1000, 'video/mp4', '{"fps": 30}') AS asset \gset
SELECT record_asset(:'job', 'video', 'https://cdn.example.com/v2.mp4', 'videos/1.mp4', 9000000000, 'video/mp4') = :'asset' AS same_file;
SELECT record_asset(:'job', 'captions', 'https://cdn.example.com/c.srt', 'videos/1.mp4') <> :'asset' AS another_file;
SELECT record_asset(:'job', 'zip', 'https://cdn.example.com/all.zip', 'all.zip', 0) <> :'asset' AS another_file;
SELECT type, url, storage_path, size_bytes, mime_type, metadata_json FROM assets ORDER BY type;
SELECT t.try(format('SELECT record_asset(%L, ''film'', ''u'', ''p'')', :'job'));
SELECT t.try(format('SELECT record_asset(%L, NULL, ''u'', ''p'')', :'job'));
SELECT t.try(format('SELECT record_asset(%L, ''video'', NULL, ''p'')', :'job'));
SELECT t.try(format('SELECT record_asset(%L, ''video'', ''u'', NULL)', :'job'));
SELECT t.try(format('SELECT record_asset(%L, ''video'', ''u'', ''p'', -1)', :'job'));
SELECT t.try('SELECT record_asset(t.id(99), ''video'', ''u'', ''p'')');
SELECT t.try('SELECT record_asset(NULL, ''video'', ''u'', ''p'')');
-- log lines
SELECT log_job(:'job', l, 'A ' || l || ' line', CASE l WHEN 'warn' THEN 'rendering' END, CASE l WHEN 'error' THEN '{"code": 7}'::jsonb END) IS NOT NULL AS logged
  FROM unnest('{debug,info,warn,error}'::text[]) l;
SELECT level, message, step_name, metadata_json FROM logs ORDER BY level;
SELECT t.try(format('SELECT log_job(%L, ''fatal'', ''m'')', :'job'));
SELECT t.try(format('SELECT log_job(%L, NULL, ''m'')', :'job'));
SELECT t.try(format('SELECT log_job(%L, ''info'', NULL)', :'job'));
SELECT t.try('SELECT log_job(t.id(99), ''info'', ''m'')');
SELECT t.try('SELECT log_job(NULL, ''info'', ''m'')');
CALL t.as_user(t.id(1));
SELECT level, message FROM logs ORDER BY level;
CALL t.as_user(t.id(2));
SELECT (SELECT count(*) FROM logs) + (SELECT count(*) FROM assets) + (SELECT count(*) FROM job_steps) AS seen_by_another;

-- complete_job: charges at most the hold; the same again is the same answer
CALL t.as_role('service_role');
SELECT t.quiet(format('SELECT complete_job(%L, ''https://cdn.example.com/v2.mp4'', ''{"scenes": 5}'', 4)', :'job')) LIKE 'PT409 price exceeds the hold%nothing written' AS above_the_hold;
SELECT t.quiet(format('SELECT complete_job(%L, NULL, NULL, -1)', :'job'));
SELECT j ->> 'status' AS status, j ->> 'output_url' AS url, j -> 'manifest_json' AS manifest, j ->> 'cost_credits_final' AS final, j ->> 'progress' AS progress
  FROM complete_job(:'job', 'https://cdn.example.com/v2.mp4', '{"scenes": 5}', 2) j;
SELECT t.quiet(format('SELECT complete_job(%L, ''https://cdn.example.com/v2.mp4'', ''{"scenes": 5}'', 2) ->> ''status''', :'job')) AS again;
SELECT t.quiet(format('SELECT complete_job(%L) ->> ''cost_credits_final''', :'job')) AS again_in_short;
SELECT t.quiet(format('SELECT complete_job(%L, ''https://cdn.example.com/v3.mp4'')', :'job')) LIKE 'PT409 %nothing written' AS other_address;
SELECT t.quiet(format('SELECT complete_job(%L, NULL, NULL, 3)', :'job')) LIKE 'PT409 %nothing written' AS other_price;
SELECT t.quiet(format('SELECT complete_job(%L, NULL, NULL, 0)', :'job')) LIKE 'PT409 %nothing written' AS other_price;
SELECT t.try('SELECT complete_job(t.id(99))');
SELECT t.try('SELECT complete_job(NULL)');
SELECT t.try(format('SELECT fail_job(%L)', :'job')) AS too_late;
SELECT t.try(format('SELECT cancel_job(%L)', :'job')) AS too_late;
SELECT t.try(format('SELECT retry_job(%L)', :'job')) AS no_failure;
CALL t.as_admin();
SELECT * FROM t.ledger WHERE "user" = '1';
SELECT * FROM t.books();
DELETE FROM jobs;
SELECT * FROM t.books();

-- failing and trying again: pays again, what the last hold took
CALL t.sign_up(3);
CALL t.project(3, 14);
CALL t.as_role('service_role');
SELECT create_job(t.id(14), 6) AS job \gset
SELECT advance_job(:'job', 'SCRIPTING') ->> 'status' AS status;
SELECT fail_job(:'job', 'LLM_TIMEOUT', 'No answer', 'scripting') - 'id' - 'project_id' - 'user_id' - 'created_at' - 'started_at' - 'finished_at' AS failed;
SELECT get_credit_balance(t.id(3));
SELECT t.quiet(format('SELECT fail_job(%L, ''OTHER'', ''other'', ''other'') ->> ''error_code''', :'job')) AS first_error_stays;
SELECT t.quiet(format('SELECT cancel_job(%L) ->> ''error_code''', :'job')) AS first_error_stays;
CALL t.as_user(t.id(3));
SELECT retry_job(:'job') - 'id' - 'project_id' - 'user_id' - 'created_at' AS queued_again;
SELECT get_credit_balance(t.id(3));
SELECT t.quiet(format('SELECT retry_job(%L) ->> ''status''', :'job')) AS again;
SELECT state, count(*) FROM job_steps GROUP BY state;
-- a second retry, without the credits for it
CALL t.as_role('service_role');
SELECT fail_job(:'job') ->> 'status' AS status;
SELECT create_job(t.id(14), 5) IS NOT NULL AS other_job;
CALL t.as_user(t.id(3));
SELECT t.quiet(format('SELECT retry_job(%L)', :'job')) AS too_little;
SELECT * FROM t.video WHERE project = '14';
CALL t.as_role('service_role');
SELECT grant_credits(t.id(3), 1) IS NOT NULL AS granted;
SELECT retry_job(:'job') ->> 'status' AS status;
SELECT advance_job(:'job', s) ->> 'status' AS status
  FROM unnest('{SCRIPTING,VOICE_GEN,ALIGNMENT,VISUAL_PLAN,IMAGE_GEN,TIMELINE,RENDERING,PACKAGING}'::text[]) s;
SELECT complete_job(:'job') ->> 'cost_credits_final' AS charged;
SELECT t.quiet(format('SELECT settle_credits(%L, 6)', :'job')) AS same_price;
CALL t.as_admin();
SELECT * FROM t.ledger WHERE "user" = '3';
SELECT * FROM t.video WHERE project = '14';
SELECT * FROM t.books();
DELETE FROM jobs;

-- cancel_job: by its owner, with a reason; of others and unknown ones alike
CALL t.job(13, 21, 'RENDERING');
SELECT reserve_credits(t.id(2), t.id(21), 4);
CALL t.as_user(t.id(1));
SELECT t.try('SELECT cancel_job(t.id(21))') AS of_another, t.try('SELECT cancel_job(t.id(99))') AS unknown;
SELECT t.try('SELECT retry_job(t.id(21))') AS of_another, t.try('SELECT retry_job(t.id(99))') AS unknown;
SELECT t.try('SELECT cancel_job(NULL)'), t.try('SELECT retry_job(NULL)');
CALL t.as_user(t.id(2));
SELECT t.try('SELECT cancel_job(t.id(21), repeat(''x'', 1001))');
SELECT j ->> 'status' AS status, j ->> 'error_code' AS code, j ->> 'error_message' AS message, j -> 'cost_credits_final' AS final
  FROM cancel_job(t.id(21), 'Changed my mind') j;
SELECT t.quiet('SELECT cancel_job(t.id(21), ''Again'') ->> ''error_message''') AS again;
SELECT get_credit_balance(t.id(2));
SELECT retry_job(t.id(21)) ->> 'status' AS status;
SELECT get_credit_balance(t.id(2));
CALL t.as_role('service_role');
SELECT t.try('SELECT cancel_job(t.id(99))') AS unknown, t.try('SELECT retry_job(t.id(99))') AS unknown;
SELECT cancel_job(t.id(21)) ->> 'error_code' AS by_a_service;
SELECT t.try('SELECT fail_job(t.id(99))') AS unknown, t.try('SELECT fail_job(NULL)');
CALL t.as_role('authenticated');
SELECT t.try('SELECT cancel_job(t.id(21))') AS nobody, t.try('SELECT retry_job(t.id(21))') AS nobody, t.try('SELECT get_dashboard()') AS nobody;
CALL t.as_admin();
SELECT * FROM t.books();
DELETE FROM jobs;

-- a job that waits for its turn did not fail: retry_job() leaves it, and its
-- one hold, alone
CALL t.job(13, 22);
SELECT reserve_credits(t.id(2), t.id(22), 3);
CALL t.as_user(t.id(2));
SELECT left(t.quiet('SELECT retry_job(t.id(22))'), 5) AS did_not_fail;
CALL t.as_admin();
SELECT status, cost_credits_reserved FROM jobs WHERE id = t.id(22);
SELECT * FROM t.accounts WHERE "user" = '2';
SELECT * FROM t.books();
DELETE FROM jobs;

-- limits: five active jobs, by setting; ended ones do not count; 0 is no limit
CALL t.as_role('service_role');
SELECT count(create_job(t.id(11), 1)) FROM generate_series(1, 5);
SELECT t.quiet('SELECT create_job(t.id(11), 1)') AS sixth;
SELECT t.quiet('SELECT create_job(t.id(13), 1) IS NOT NULL') AS other_user;
SELECT cancel_job((SELECT id FROM jobs WHERE user_id = t.id(1) ORDER BY created_at LIMIT 1)) ->> 'status' AS one_less;
SELECT t.ask('SELECT create_job(t.id(12), 1)') AS sixth_now;
SELECT t.quiet('SELECT retry_job((SELECT id FROM jobs WHERE status = ''FAILED''))') AS retry_counts;
CALL t.as_admin();
UPDATE studio_engine.settings SET value = '6' WHERE name = 'max_active_jobs';
SELECT t.ask('SELECT create_job(t.id(12), 1)') AS sixth_by_setting;
SELECT t.ask('SELECT create_job(t.id(12), 1)') AS seventh;
UPDATE studio_engine.settings SET value = '0' WHERE name = 'max_active_jobs';
SELECT t.ask('SELECT create_job(t.id(12), 1)') AS seventh_without_limit;
BEGIN;
DELETE FROM studio_engine.settings WHERE name = 'max_active_jobs';
SELECT t.ask('SELECT create_job(t.id(12), 1)') AS absent_is_five;
ROLLBACK;
SELECT t.force_setting('max_active_jobs', 'five');
SELECT t.ask('SELECT create_job(t.id(12), 1)') AS bad_setting;
UPDATE studio_engine.settings SET value = '5' WHERE name = 'max_active_jobs';
SELECT status, count(*) FROM jobs GROUP BY status ORDER BY status;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- the dashboard: the newest projects of a user with their newest jobs
CALL t.sign_up(1, 2);
INSERT INTO projects (id, user_id, title, prompt_text, niche_preset, created_at)
SELECT t.id(100 + n), t.id(1), 'Project ' || n, 'p', 'facts', '2026-01-01'::timestamptz + n * INTERVAL '1 day'
  FROM generate_series(1, 25) n;
CALL t.project(2, 200);
INSERT INTO jobs (id, project_id, user_id, status, progress, manifest_json, created_at)
SELECT t.id(300 + n), t.id(125), t.id(1), CASE n WHEN 1 THEN 'FAILED' WHEN 2 THEN 'RENDERING' ELSE 'READY' END::job_status, 80 - n, '{"x": 1}',
       '2026-02-01'::timestamptz + n * INTERVAL '1 hour'
  FROM generate_series(0, 2) n;
-- a newer job that is not the owner's: row level security would hide it
INSERT INTO jobs (id, project_id, user_id, status, created_at) VALUES (t.id(310), t.id(125), t.id(2), 'READY', '2026-03-01');
CALL t.as_user(t.id(1));
SELECT jsonb_array_length(get_dashboard()) AS by_default, jsonb_array_length(get_dashboard(t.id(1))) AS mine,
       jsonb_array_length(get_dashboard(NULL, 3)) AS three, jsonb_array_length(get_dashboard(NULL, 100)) AS all_of_them;
SELECT d ->> 'title' AS title, d ->> 'status' AS status, d ->> 'progress' AS progress, t.n((d -> 'job' ->> 'id')::uuid) AS job
  FROM jsonb_array_elements(get_dashboard(NULL, 3)) WITH ORDINALITY e (d, position) ORDER BY position;
SELECT DISTINCT jsonb_object_keys(get_dashboard(NULL, 1) -> 0) AS key ORDER BY key;
SELECT get_dashboard(NULL, 1) -> 0 -> 'job' ? 'manifest_json' AS with_manifest, get_dashboard(NULL, 2) -> 1 -> 'job' AS no_job;
SELECT t.try('SELECT get_dashboard(t.id(2))') AS of_another, t.try('SELECT get_dashboard(t.id(99))') AS of_nobody;
SELECT t.try('SELECT get_dashboard(NULL, 0)'), t.try('SELECT get_dashboard(NULL, 101)'), t.try('SELECT get_dashboard(NULL, NULL)');
CALL t.as_role('service_role');
SELECT jsonb_array_length(get_dashboard(t.id(2))) AS for_a_service, get_dashboard(t.id(99)) AS of_nobody;
SELECT t.try('SELECT get_dashboard()') AS whose;
-- the same rows in the same order as the query of the seed
CALL t.as_user(t.id(1));
SELECT (SELECT array_agg(ROW (d ->> 'title', d ->> 'status', d ->> 'progress')::text ORDER BY position)
          FROM jsonb_array_elements(get_dashboard(t.id(1))) WITH ORDINALITY e (d, position))
     = (SELECT array_agg(ROW (title, status, progress)::text)
          FROM (SELECT p.*, j.status, j.progress
                  FROM projects p
                  LEFT JOIN LATERAL (SELECT status, progress FROM jobs WHERE project_id = p.id ORDER BY created_at DESC LIMIT 1) j ON true
                 WHERE p.user_id = t.id(1) ORDER BY p.created_at DESC LIMIT 20) seed) AS as_the_seed;
CALL t.as_admin();

DROP VIEW t.video;
SELECT * FROM t.books();
SELECT * FROM t.clean();
