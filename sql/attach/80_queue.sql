-- DROP EXTENSION drops the triggers; this enqueues the jobs that were inserted
-- before the extension was created again.

PERFORM studio_engine.rebuild_queue();
