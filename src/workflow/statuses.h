/*
 * statuses.h
 *	  The states of every table that has a status, and their names.
 */
#ifndef STUDIO_STATUSES_H
#define STUDIO_STATUSES_H

/* in the order of the enum type job_status */
typedef enum JobStatus
{
	JOB_PENDING,
	JOB_QUEUED,
	JOB_SCRIPTING,
	JOB_VOICE_GEN,
	JOB_ALIGNMENT,
	JOB_VISUAL_PLAN,
	JOB_IMAGE_GEN,
	JOB_TIMELINE,
	JOB_RENDERING,
	JOB_PACKAGING,
	JOB_READY,
	JOB_FAILED
} JobStatus;

#define JOB_STATUSES (JOB_FAILED + 1)

/* in the order of the enum type step_status */
typedef enum StepState
{
	STEP_PENDING,
	STEP_STARTED,
	STEP_SUCCEEDED,
	STEP_FAILED
} StepState;

#define STEP_STATES (STEP_FAILED + 1)

/* of studio_jobs */
typedef enum StudioStatus
{
	STUDIO_NEW,
	STUDIO_TRANSCRIBING,
	STUDIO_ENRICHING,
	STUDIO_REFINING,
	STUDIO_COMPLETE,
	STUDIO_FAILED
} StudioStatus;

#define STUDIO_STATUSES (STUDIO_FAILED + 1)

/* of pipeline.jobs */
typedef enum RunStatus
{
	RUN_PENDING,
	RUN_RUNNING,
	RUN_COMPLETED,
	RUN_FAILED,
	RUN_CANCELLED
} RunStatus;

#define RUN_STATUSES (RUN_CANCELLED + 1)

/* of cm_module_content */
typedef enum ContentStatus
{
	CONTENT_DRAFT,
	CONTENT_QUALITY_CHECK,
	CONTENT_APPROVED,
	CONTENT_REVISION,
	CONTENT_FAILED
} ContentStatus;

#define CONTENT_STATUSES (CONTENT_FAILED + 1)

/* of cm_course_plans */
typedef enum PlanStatus
{
	PLAN_DRAFT,
	PLAN_ACTIVE,
	PLAN_COMPLETED,
	PLAN_FAILED
}			PlanStatus;

#define PLAN_STATUSES (PLAN_FAILED + 1)

/* of cm_research_results */
typedef enum ResearchStatus
{
	RESEARCH_PENDING,
	RESEARCH_IN_PROGRESS,
	RESEARCH_COMPLETED,
	RESEARCH_FAILED
}			ResearchStatus;

#define RESEARCH_STATUSES (RESEARCH_FAILED + 1)

/* of mm_multimedia_sessions and cm_enhancement_sessions */
typedef enum SessionStatus
{
	SESSION_STARTED,
	SESSION_PROCESSING,
	SESSION_COMPLETED,
	SESSION_FAILED
}			SessionStatus;

#define SESSION_STATUSES (SESSION_FAILED + 1)

/* of mm_multimedia_assets */
typedef enum AssetStatus
{
	ASSET_GENERATED,
	ASSET_PROCESSED,
	ASSET_FAILED
}			AssetStatus;

#define ASSET_STATUSES (ASSET_FAILED + 1)

/* of mm_audio_narrations, mm_slide_presentations and mm_script_generations,
 * which have other words for the first two */
typedef enum ProductStatus
{
	PRODUCT_WAITING,
	PRODUCT_IN_WORK,
	PRODUCT_COMPLETED,
	PRODUCT_FAILED
}			ProductStatus;

#define PRODUCT_STATUSES (PRODUCT_FAILED + 1)

/* of mm_rendering_queue */
typedef enum RenderStatus
{
	RENDER_QUEUED,
	RENDER_RENDERING,
	RENDER_COMPLETED,
	RENDER_FAILED,
	RENDER_CANCELLED
} RenderStatus;

#define RENDER_STATUSES (RENDER_CANCELLED + 1)

extern const char *const job_status_names[JOB_STATUSES];
extern const char *const step_state_names[STEP_STATES];
extern const char *const studio_status_names[STUDIO_STATUSES];
extern const char *const run_status_names[RUN_STATUSES];
extern const char *const content_status_names[CONTENT_STATUSES];
extern const char *const plan_status_names[PLAN_STATUSES];
extern const char *const research_status_names[RESEARCH_STATUSES];
extern const char *const session_status_names[SESSION_STATUSES];
extern const char *const asset_status_names[ASSET_STATUSES];
extern const char *const narration_status_names[PRODUCT_STATUSES];
extern const char *const presentation_status_names[PRODUCT_STATUSES];
extern const char *const script_status_names[PRODUCT_STATUSES];
extern const char *const render_status_names[RENDER_STATUSES];

#endif							/* STUDIO_STATUSES_H */
