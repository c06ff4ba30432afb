/*
 * settings.h
 *	  Settings of the product, from studio_engine.settings.
 */
#ifndef STUDIO_SETTINGS_H
#define STUDIO_SETTINGS_H

#include "known_settings.h"

extern int32 setting_int32(Setting setting);
extern char *setting_text(Setting setting);

#endif							/* STUDIO_SETTINGS_H */
