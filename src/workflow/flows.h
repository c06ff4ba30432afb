/*
 * flows.h
 *	  The legal transitions of every table that has a status.
 */
#ifndef STUDIO_FLOWS_H
#define STUDIO_FLOWS_H

#include "statuses.h"
#include "triggers.h"

#define UNKNOWN_STATE (-1)

/* when a transition is legal */
typedef enum Condition
{
	ALWAYS,
	MANUAL_TRANSCRIPT,			/* the project brings its own script */
	RETRY						/* only by the retry function of the flow */
} Condition;

typedef struct Transition
{
	int			from;
	int			to;
	Condition	condition;
} Transition;

typedef struct Workflow
{
	const char *name;			/* of the table; qualified if it is not in the
								 * schema of the extension */
	const char *column;
	const char *id_column;		/* identifies the row that is being retried */
	const char *retry_function;
	const char *constraint;
	const char *const *states;	/* the first is the initial state */
	int			nstates;
	const Transition *transitions;
	int			ntransitions;
	void		(*stamp) (RowEdit *edit, HeapTuple old, int from, int to);
	bool		users_upsert;	/* workflow_require_initial_state() checks the
								 * new rows of users */
} Workflow;

extern const Workflow job_flow;
extern const Workflow studio_flow;
extern const Workflow render_flow;
extern const Workflow run_flow;
extern const Workflow content_flow;

extern const Workflow *flow_at(int position);
extern const Workflow *flow_by_name(const char *name);
extern int	flow_state(const Workflow *flow, const char *state);
extern bool flow_is_terminal(const Workflow *flow, int state);

#endif							/* STUDIO_FLOWS_H */
