/*
 * settings.h
 *	  Settings of the product, from studio_engine.settings.
 */
#ifndef STUDIO_SETTINGS_H
#define STUDIO_SETTINGS_H

extern int32 setting_int32(const char *name, int32 absent);

#endif							/* STUDIO_SETTINGS_H */
