/*
 * settings.h
 *	  Settings of the product, from studio_engine.settings.
 */
#ifndef STUDIO_SETTINGS_H
#define STUDIO_SETTINGS_H

extern int32 setting_int32(const char *name, int32 absent);
extern char *setting_text(const char *name, const char *absent);

#endif							/* STUDIO_SETTINGS_H */
