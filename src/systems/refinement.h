/*
 * refinement.h
 *	  Refinement jobs.
 */
#ifndef STUDIO_REFINEMENT_H
#define STUDIO_REFINEMENT_H

extern void refinement_register(void);

#endif							/* STUDIO_REFINEMENT_H */
