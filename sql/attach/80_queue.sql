-- Jobs that were made while the triggers were away, by DROP EXTENSION and back.

PERFORM studio_engine.rebuild_queue();
