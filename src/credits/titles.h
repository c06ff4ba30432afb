/*
 * titles.h
 *	  The title of the project of a job, for the ledger.
 */
#ifndef STUDIO_TITLES_H
#define STUDIO_TITLES_H

#include "utils/jsonb.h"

#include "jobs.h"

extern const Jsonb *title_metadata(const Job *job);

#endif							/* STUDIO_TITLES_H */
