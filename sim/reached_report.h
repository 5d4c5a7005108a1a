/* SPDX-License-Identifier: Apache-2.0 */
/* reached_report.h - how often a campaign came to each mark (base/reached.h), over all its jobs. */
#ifndef SIM_REACHED_REPORT_H
#define SIM_REACHED_REPORT_H

#include <stdbool.h>
#include <stdio.h>

struct reached_report;

/** Before jobs are forked. Ends the program when two marks have one name. */
struct reached_report *reached_report_create(void);
void reached_report_destroy(struct reached_report *report);
/** Adds what this process has counted since it did so last. */
void reached_report_add(struct reached_report *report);
/** All marks with their sums. Return: false if a required one was never reached. */
bool reached_report_print(struct reached_report *report, FILE *file);

#endif
