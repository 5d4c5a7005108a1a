/* SPDX-License-Identifier: Apache-2.0 */
/* output.c - tables, JSON and YAML from JSON values.
 *
 * YAML texts that could be read as something else (numbers, booleans, anything with a sign that
 * means something) are written in double quotes with JSON's escapes, which YAML shares.
 */
#include "cli/output.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BAR_WIDTH   30
#define INDENT_STEP 2

void output_json(FILE *out, const json_t *root)
{
	json_dumpf(root, out, JSON_INDENT(2));
	fputc('\n', out);
}

static bool text_is_plain(const char *text)
{
	static const char *const words[] = {"true", "false", "null", "yes", "no",
					    "on",   "off",   "y",    "n"};

	if (!isalpha((unsigned char)text[0]) && text[0] != '/')
		return false;
	for (const char *at = text; *at != '\0'; at++) {
		if (!isalnum((unsigned char)*at) && strchr("/._-", *at) == NULL)
			return false;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(text, words[i]) == 0)
			return false;
	}
	return true;
}

static void scalar_print(FILE *out, const json_t *value)
{
	if (json_is_string(value) && text_is_plain(json_string_value(value)))
		fputs(json_string_value(value), out);
	else
		json_dumpf(value, out, JSON_ENCODE_ANY | JSON_COMPACT);
	fputc('\n', out);
}

/* A list or map that is being written, and how far. */
struct yaml_level {
	json_t *container;
	void *iterator; /* of a map */
	size_t index;	/* of a list */
};

/* The next member of @level with its key (NULL in a list). Return: NULL at the end. */
static json_t *level_next(struct yaml_level *level, const char **ret_key)
{
	json_t *value;

	*ret_key = NULL;
	if (json_is_array(level->container))
		return json_array_get(level->container, level->index++);
	if (level->iterator == NULL)
		return NULL;
	*ret_key = json_object_iter_key(level->iterator);
	value = json_object_iter_value(level->iterator);
	level->iterator = json_object_iter_next(level->container, level->iterator);
	return value;
}

static struct yaml_level level_of(json_t *container)
{
	return (struct yaml_level){.container = container, .iterator = json_object_iter(container)};
}

static bool is_filled(const json_t *value)
{
	return json_object_size(value) > 0 || json_array_size(value) > 0;
}

void output_yaml(FILE *out, json_t *root)
{
	struct yaml_level levels[OUTPUT_DEPTH_MAX];
	int depth = 0;

	if (!is_filled(root)) {
		scalar_print(out, root);
		return;
	}
	levels[0] = level_of(root);
	while (depth >= 0) {
		const char *key;
		json_t *value = level_next(&levels[depth], &key);

		if (value == NULL) {
			depth--;
			continue;
		}
		fprintf(out, "%*s%s%s", depth * INDENT_STEP, "", key != NULL ? key : "-",
			key != NULL ? ":" : "");
		if (is_filled(value) && depth + 1 < OUTPUT_DEPTH_MAX) {
			fputc('\n', out);
			levels[++depth] = level_of(value);
			continue;
		}
		fputc(' ', out);
		scalar_print(out, value);
	}
}

static const char *cell_text(json_t *row, size_t column)
{
	const char *text = json_string_value(json_array_get(row, column));

	return text != NULL && text[0] != '\0' ? text : "-";
}

void output_table(FILE *out, json_t *rows)
{
	size_t widths[OUTPUT_COLUMNS_MAX] = {0};
	size_t index;
	json_t *row;

	json_array_foreach(rows, index, row)
	{
		for (size_t i = 0; i < json_array_size(row) && i < OUTPUT_COLUMNS_MAX; i++) {
			size_t length = strlen(cell_text(row, i));

			if (length > widths[i])
				widths[i] = length;
		}
	}
	json_array_foreach(rows, index, row)
	{
		size_t count = json_array_size(row);

		if (count > OUTPUT_COLUMNS_MAX)
			count = OUTPUT_COLUMNS_MAX;
		/* No blanks at the end of a line. */
		for (size_t i = 0; i < count; i++)
			fprintf(out, "%-*s%s", i + 1 < count ? (int)widths[i] : 0,
				cell_text(row, i), i + 1 < count ? "  " : "\n");
	}
}

void output_bar(uint32_t percent, char ret_text[OUTPUT_BAR_BYTES])
{
	char marks[BAR_WIDTH + 1];
	uint32_t filled;

	if (percent > 100)
		percent = 100;
	filled = percent * BAR_WIDTH / 100;
	memset(marks, '-', BAR_WIDTH);
	memset(marks, '#', filled);
	marks[BAR_WIDTH] = '\0';
	snprintf(ret_text, OUTPUT_BAR_BYTES, "[%s] %3u%%", marks, percent);
}
