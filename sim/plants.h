/* SPDX-License-Identifier: Apache-2.0 */
/* plants.h - planted bugs (base/planted.h) on the command line of a campaign. */
#ifndef SIM_PLANTS_H
#define SIM_PLANTS_H

#include <stdbool.h>

/** Turns the bug on, or tells on stderr why it cannot. Return: whether it is on. */
bool plant_take(const char *name);
/** The list that tools/planted reads, on stdout: name, rule, hint and what it does, by tabs. */
void plants_print(void);

#endif
