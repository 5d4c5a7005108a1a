/* SPDX-License-Identifier: Apache-2.0 */
/* output.h - the same facts for people and for programs: aligned tables, JSON, YAML.
 *
 * Pure but for the stream written to.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#define OUTPUT_DEPTH_MAX   8
#define OUTPUT_COLUMNS_MAX 12
#define OUTPUT_BAR_BYTES   64

/** One JSON document and a newline. */
void output_json(FILE *out, const json_t *root);

/** The same as a YAML 1.2 document. Nesting up to OUTPUT_DEPTH_MAX; deeper is shown as JSON. */
void output_yaml(FILE *out, json_t *root);

/**
 * output_table - rows of texts in aligned columns, the first row being the heading
 * @rows: an array of arrays of strings, at most OUTPUT_COLUMNS_MAX each. Empty texts are shown
 * as "-".
 */
void output_table(FILE *out, json_t *rows);

/** "[######--------------]  30%". */
void output_bar(uint32_t percent, char ret_text[OUTPUT_BAR_BYTES]);

#endif
