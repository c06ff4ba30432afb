/*
 * rendering.h
 *	  Renderings as a system of jobs.
 */
#ifndef STUDIO_RENDERING_H
#define STUDIO_RENDERING_H

extern void rendering_register(void);

#endif							/* STUDIO_RENDERING_H */
