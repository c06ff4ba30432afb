/*
 * monitor.h
 *	  The figures about a table of jobs, as a query.
 */
#ifndef STUDIO_MONITOR_H
#define STUDIO_MONITOR_H

/*
 * Text of a Statement with a user ($1, NULL for all) and a time ($2, NULL for
 * ever).  The columns of a job j: id, status, created_at, ended_at, ms, error.
 */
#define JOB_STATISTICS(table, succeeded, failed, columns) \
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
	"   'recent_failures', (SELECT COALESCE(pg_catalog.jsonb_agg(f.failure ORDER BY f.created_at DESC, f.id), '[]')" \
	"      FROM (SELECT w.id, w.created_at, pg_catalog.jsonb_build_object(" \
	"                   'job_id', w.id, 'error', w.error, 'created_at', w.created_at) AS failure" \
	"              FROM windowed w WHERE w.status = '" failed "' ORDER BY w.created_at DESC, w.id LIMIT 10) f))" \
	"   || (SELECT pg_catalog.jsonb_build_object(" \
	"          'average_ms', pg_catalog.round(pg_catalog.avg(w.ms), 2)," \
	"          'p50_ms', pg_catalog.percentile_cont(0.5) WITHIN GROUP (ORDER BY w.ms)," \
	"          'p95_ms', pg_catalog.percentile_cont(0.95) WITHIN GROUP (ORDER BY w.ms))" \
	"         FROM windowed w WHERE w.status = '" succeeded "')"

#endif							/* STUDIO_MONITOR_H */
