-- The private schema stays closed: the names of its objects may be seen by
-- nobody who calls the API.

REVOKE ALL ON SCHEMA studio_engine FROM PUBLIC;
