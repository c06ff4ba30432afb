/*
 * flows.h
 *	  The states and the legal transitions of every table that has a status.
 */
#ifndef STUDIO_FLOWS_H
#define STUDIO_FLOWS_H

#include "triggers.h"

#define UNKNOWN_STATE (-1)

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

/* when a transition is legal */
typedef enum Condition
{
	ALWAYS,
	MANUAL_TRANSCRIPT,			/* the project brings its own script */
	RETRY						/* the flow's retry function only */
} Condition;

typedef struct Transition
{
	int			from;
	int			to;
	Condition	condition;
} Transition;

typedef struct Workflow
{
	const char *name;			/* of the table, with its schema if it has one
								 * of its own */
	const char *column;
	const char *id_column;		/* names the row that the retry function works
								 * on */
	const char *retry_function;
	const char *constraint;
	const char *const *states;	/* the first is where a row starts */
	int			nstates;
	const Transition *transitions;
	int			ntransitions;
	void		(*stamp) (RowEdit *edit, HeapTuple old, int from, int to);
} Workflow;

extern const Workflow job_flow;
extern const Workflow step_flow;
extern const Workflow studio_flow;
extern const Workflow run_flow;

extern const char *const job_status_names[JOB_STATUSES];
extern const char *const step_state_names[STEP_STATES];
extern const char *const studio_status_names[STUDIO_STATUSES];
extern const char *const run_status_names[RUN_STATUSES];

extern const Workflow *flow_at(int position);
extern const Workflow *flow_by_name(const char *name);
extern int	flow_state(const Workflow *flow, const char *state);
extern bool flow_is_terminal(const Workflow *flow, int state);

#endif							/* STUDIO_FLOWS_H */
