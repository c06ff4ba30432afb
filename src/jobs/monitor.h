/*
 * monitor.h
 *	  The query for the statistics of a table of jobs.
 */
#ifndef STUDIO_MONITOR_H
#define STUDIO_MONITOR_H

/*
 * Text of a Statement with a user ($1, NULL for all) and a start time ($2, NULL
 * for no limit).  The select list of a job j is: id, status, created_at,
 * ended_at, ms.  Errors are read only for the failures that are returned, and
 * are truncated.
 */
#define JOB_STATISTICS(table, key, succeeded, failed, columns, error) \
	"WITH made AS MATERIALIZED (" \
	"   SELECT " columns \
	"     FROM @extschema@." table " j WHERE ($1 IS NULL OR j.user_id = $1))," \
	" windowed AS (SELECT m.* FROM made m WHERE $2 IS NULL OR m.created_at >= $2)," \
	" span AS (SELECT COALESCE($2, pg_catalog.now() - interval '24 hours') AS since)" \
	" SELECT pg_catalog.jsonb_build_object(" \
	"   'count_by_status', (SELECT COALESCE(pg_catalog.jsonb_object_agg(c.status, c.n), '{}')" \
	"      FROM (SELECT m.status, pg_catalog.count(*) FROM made m GROUP BY m.status) c (status, n))," \
	"   'completed', (SELECT pg_catalog.count(*) FROM windowed w WHERE w.status = '" succeeded "')," \
	"   'failed', (SELECT pg_catalog.count(*) FROM windowed w WHERE w.status = '" failed "')," \
	"   'throughput_per_hour', (SELECT pg_catalog.round(pg_catalog.count(m.id) * 3600.0" \
	"        / GREATEST(1, EXTRACT(epoch FROM pg_catalog.now() - s.since)), 2)" \
	"      FROM span s LEFT JOIN made m ON m.status = '" succeeded "' AND m.ended_at >= s.since GROUP BY s.since)," \
	"   'recent_failures', (SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(" \
	"             'job_id', f.id, 'error', studio_engine.brief_error(" error ", 1000), 'created_at', f.created_at)" \
	"             ORDER BY f.created_at DESC, f.id), '[]')" \
	"      FROM (SELECT w.id, w.created_at FROM windowed w WHERE w.status = '" failed "'" \
	"             ORDER BY w.created_at DESC, w.id LIMIT 10) f" \
	"      JOIN @extschema@." table " j ON j." key " = f.id))" \
	"   || (SELECT pg_catalog.jsonb_build_object(" \
	"          'average_ms', pg_catalog.round(pg_catalog.avg(w.ms), 2)," \
	"          'p50_ms', pg_catalog.percentile_cont(0.5) WITHIN GROUP (ORDER BY w.ms)," \
	"          'p95_ms', pg_catalog.percentile_cont(0.95) WITHIN GROUP (ORDER BY w.ms))" \
	"         FROM windowed w WHERE w.status = '" succeeded "')"

/* the error texts of a failed job j, each truncated; more are added by the argument */
#define FAILURE_TEXT(column) "pg_catalog.substr(" column ", 1, 1001)"
#define FAILURE_TEXTS(more) \
	"pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(" \
	"'code', " FAILURE_TEXT("j.error_code") ", 'message', " FAILURE_TEXT("j.error_message") more "))"

#endif							/* STUDIO_MONITOR_H */
