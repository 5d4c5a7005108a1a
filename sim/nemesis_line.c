/* SPDX-License-Identifier: Apache-2.0 */
/* nemesis_line.c - scripts of faults: lines to numbers and back.
 *
 * Invariants:
 *  1. What fault_line_write() writes, nemesis_script_add() reads as the same numbers.
 *  2. A script's lines stand in the order of bursts and times; of one time in the order added.
 */
#include "sim/nemesis_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LINE_WORD    "fault"
#define LINE_BYTES   512
#define WORD_BYTES   64
#define SCRIPT_FIRST 64

struct nemesis_script {
	struct fault_line *lines;
	uint32_t count;
	uint32_t capacity;
};

/* The numbers of a line by name, in the order in which they are written. */
struct number {
	const char *name;
	size_t offset;
	bool is_small; /* uint32_t */
};

static const struct number numbers[] = {
	{"burst", offsetof(struct fault_line, burst), true},
	{"at_us", offsetof(struct fault_line, at_us), false},
	{"for_us", offsetof(struct fault_line, for_us), false},
	{"one", offsetof(struct fault_line, one), true},
	{"other", offsetof(struct fault_line, other), true},
	{"a", offsetof(struct fault_line, a), false},
	{"b", offsetof(struct fault_line, b), false},
	{"c", offsetof(struct fault_line, c), false},
};
#define NUMBER_COUNT (sizeof(numbers) / sizeof(numbers[0]))

static uint64_t number_get(const struct fault_line *line, const struct number *number)
{
	const uint8_t *place = (const uint8_t *)line + number->offset;
	uint64_t value;
	uint32_t small;

	if (!number->is_small) {
		memcpy(&value, place, sizeof(value));
		return value;
	}
	memcpy(&small, place, sizeof(small));
	return small;
}

static void number_set(struct fault_line *line, const struct number *number, uint64_t value)
{
	uint8_t *place = (uint8_t *)line + number->offset;
	uint32_t small = (uint32_t)value;

	if (number->is_small)
		memcpy(place, &small, sizeof(small));
	else
		memcpy(place, &value, sizeof(value));
}

void fault_line_write(const struct fault_line *line, FILE *file)
{
	ASSERT(line->fault < FAULT_COUNT);
	fprintf(file, LINE_WORD " %s", fault_name(line->fault));
	for (size_t i = 0; i < NUMBER_COUNT; i++)
		fprintf(file, " %s=%" PRIu64, numbers[i].name, number_get(line, &numbers[i]));
	fputc('\n', file);
}

/* Return: false if @text is no decimal number within the bounds. */
static bool number_parse(const char *text, uint64_t max, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		uint64_t digit = (uint64_t)(*text - '0');

		if (*text < '0' || *text > '9' || value > (max - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*ret_value = value;
	return true;
}

/* "name=number". */
static bool word_take(struct fault_line *line, char *word)
{
	char *equals = strchr(word, '=');
	uint64_t value;

	if (equals == NULL)
		return false;
	*equals = '\0';
	for (size_t i = 0; i < NUMBER_COUNT; i++) {
		if (strcmp(word, numbers[i].name) != 0)
			continue;
		if (!number_parse(equals + 1, numbers[i].is_small ? INT32_MAX : INT64_MAX, &value))
			return false;
		number_set(line, &numbers[i], value);
		return true;
	}
	return false;
}

static bool line_parse(const char *text, struct fault_line *ret_line, char *ret_error,
		       size_t error_bytes)
{
	char copy[LINE_BYTES];
	char *rest = NULL;
	char *word;

	*ret_line = (struct fault_line){0};
	if (snprintf(copy, sizeof(copy), "%s", text) >= LINE_BYTES) {
		snprintf(ret_error, error_bytes, "the line is too long");
		return false;
	}
	word = strtok_r(copy, " \t\r\n", &rest); /* LINE_WORD */
	ASSERT(word != NULL);
	word = strtok_r(NULL, " \t\r\n", &rest);
	ret_line->fault = word == NULL ? FAULT_COUNT : fault_find(word);
	if (ret_line->fault == FAULT_COUNT) {
		snprintf(ret_error, error_bytes, "no kind of fault: '%.40s'",
			 word == NULL ? "" : word);
		return false;
	}
	while ((word = strtok_r(NULL, " \t\r\n", &rest)) != NULL) {
		char shown[WORD_BYTES];

		snprintf(shown, sizeof(shown), "%.40s", word);
		if (word_take(ret_line, word))
			continue;
		snprintf(ret_error, error_bytes, "no number of a fault: '%s'", shown);
		return false;
	}
	return true;
}

static bool line_is_before(const struct fault_line *one, const struct fault_line *other)
{
	return one->burst != other->burst ? one->burst < other->burst : one->at_us < other->at_us;
}

bool nemesis_script_is_line(const char *line)
{
	size_t size = strlen(LINE_WORD);

	while (*line == ' ' || *line == '\t')
		line++;
	return strncmp(line, LINE_WORD, size) == 0 && (line[size] == ' ' || line[size] == '\t');
}

bool nemesis_script_add(struct nemesis_script *script, const char *line, char *ret_error,
			size_t error_bytes)
{
	struct fault_line parsed;
	uint32_t place = script->count;

	if (!nemesis_script_is_line(line)) {
		snprintf(ret_error, error_bytes, "it does not begin with '" LINE_WORD " '");
		return false;
	}
	if (!line_parse(line, &parsed, ret_error, error_bytes))
		return false;
	if (script->count == script->capacity) {
		script->capacity = script->capacity == 0 ? SCRIPT_FIRST : script->capacity * 2;
		script->lines = realloc(script->lines, script->capacity * sizeof(*script->lines));
		ASSERT(script->lines != NULL);
	}
	for (; place > 0 && line_is_before(&parsed, &script->lines[place - 1]); place--)
		script->lines[place] = script->lines[place - 1];
	script->lines[place] = parsed;
	script->count++;
	return true;
}

bool nemesis_script_read(struct nemesis_script *script, FILE *file, char *ret_error,
			 size_t error_bytes)
{
	char line[LINE_BYTES];

	while (fgets(line, sizeof(line), file) != NULL) {
		if (nemesis_script_is_line(line) &&
		    !nemesis_script_add(script, line, ret_error, error_bytes))
			return false;
	}
	return true;
}

struct nemesis_script *nemesis_script_create(void)
{
	return sim_allocate(sizeof(struct nemesis_script));
}

void nemesis_script_destroy(struct nemesis_script *script)
{
	if (script == NULL)
		return;
	free(script->lines);
	free(script);
}

uint32_t nemesis_script_count(const struct nemesis_script *script)
{
	return script->count;
}

const struct fault_line *nemesis_script_line(const struct nemesis_script *script, uint32_t index)
{
	ASSERT(index < script->count);
	return &script->lines[index];
}
