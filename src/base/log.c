/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - one finished line for every call, as text or as JSON.
 *
 * Invariants:
 *  1. A line is at most LOG_LINE_BYTES with its NUL; a cut JSON line is still valid JSON.
 *  2. A control character never reaches the sink: it would let a peer's text forge a line.
 */
#include "base/log.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

struct line {
	char text[LOG_LINE_BYTES];
	size_t size;
	size_t reserve; /* kept free for what must follow, such as the end of a JSON object */
};

static const char *const level_names[] = {"error", "warn", "info", "debug", "trace"};
#define LEVEL_COUNT (sizeof(level_names) / sizeof(level_names[0]))
static const char *const labels[] = {"ERROR", " WARN", " INFO", "DEBUG", "TRACE"};
#define JSON_END "\"}}"
STATIC_ASSERT(LEVEL_COUNT == LOG_TRACE + 1);
STATIC_ASSERT(sizeof(labels) / sizeof(labels[0]) == LEVEL_COUNT);

/* Appends all of @text, or nothing when it does not fit: no half escape sequences. */
static bool line_add(struct line *line, const char *text)
{
	size_t size = strlen(text);

	if (line->size + size + line->reserve + 1 > sizeof(line->text))
		return false;
	memcpy(line->text + line->size, text, size + 1);
	line->size += size;
	return true;
}

static void character_escape(char c, enum log_style style, char ret_text[8])
{
	uint8_t byte = (uint8_t)c;

	if (style == LOG_STYLE_JSON && (c == '"' || c == '\\'))
		snprintf(ret_text, 8, "\\%c", c);
	else if (byte < 0x20 || byte == 0x7f)
		snprintf(ret_text, 8, style == LOG_STYLE_JSON ? "\\u%04x" : "\\x%02x", byte);
	else
		snprintf(ret_text, 8, "%c", c);
}

static void line_add_escaped(struct line *line, enum log_style style, const char *text)
{
	for (; *text != '\0'; text++) {
		char escaped[8];

		character_escape(*text, style, escaped);
		if (!line_add(line, escaped))
			return;
	}
}

/* Text: "2026-01-31T23:59:59.123456Z"; JSON: RFC 2822, which existing log pipelines parse. */
static void date_format(uint64_t now_ns, enum log_style style, char *ret_text, size_t text_bytes)
{
	time_t seconds = (time_t)(now_ns / 1000000000);
	struct tm parts;
	char head[64];

	gmtime_r(&seconds, &parts);
	if (style == LOG_STYLE_JSON) {
		strftime(ret_text, text_bytes, "%a, %d %b %Y %H:%M:%S +0000", &parts);
		return;
	}
	strftime(head, sizeof(head), "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(ret_text, text_bytes, "%s.%06uZ", head,
		 (unsigned int)(now_ns % 1000000000 / 1000));
}

static void line_compose_text(struct line *line, struct log *log, enum log_level level,
			      const char *date)
{
	static const char *const colors[] = {"\033[31m", "\033[33m", "\033[32m", "\033[34m",
					     "\033[35m"};

	STATIC_ASSERT(sizeof(colors) / sizeof(colors[0]) == LEVEL_COUNT);
	line_add(line, "[");
	if (date[0] != '\0') {
		line_add(line, date);
		line_add(line, " ");
	}
	if (log->has_color)
		line_add(line, colors[level]);
	line_add(line, labels[level]);
	if (log->has_color)
		line_add(line, "\033[0m");
	if (log->host != NULL) {
		line_add(line, " ");
		line_add_escaped(line, LOG_STYLE_TEXT, log->host);
	}
	line_add(line, "] ");
}

/* {"timestamp":..,"level":..,"hostname":..,"fields":{"message":..}} */
static void line_compose_json(struct line *line, struct log *log, enum log_level level,
			      const char *date)
{
	line->reserve = sizeof(JSON_END) - 1;
	line_add(line, "{");
	if (date[0] != '\0') {
		line_add(line, "\"timestamp\":\"");
		line_add(line, date);
		line_add(line, "\",");
	}
	line_add(line, "\"level\":\"");
	line_add(line, &labels[level][labels[level][0] == ' ']);
	line_add(line, "\",");
	/* An absurdly long host name would leave no room for the rest. */
	if (log->host != NULL && strlen(log->host) < LOG_LINE_BYTES / 16) {
		line_add(line, "\"hostname\":\"");
		line_add_escaped(line, LOG_STYLE_JSON, log->host);
		line_add(line, "\",");
	}
	line_add(line, "\"fields\":{\"message\":\"");
}

void log_line(struct log *log, enum log_level level, const char *format, ...)
{
	char message[LOG_LINE_BYTES];
	struct line line = {.size = 0};
	char date[96] = "";
	va_list arguments;

	if (level > log->level)
		return;
	ASSERT(level <= LOG_TRACE);
	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	if (log->has_date && log->now_ns != NULL)
		date_format(log->now_ns(log), log->style, date, sizeof(date));

	if (log->style == LOG_STYLE_TEXT) {
		line_compose_text(&line, log, level, date);
		line_add_escaped(&line, LOG_STYLE_TEXT, message);
	} else {
		line_compose_json(&line, log, level, date);
		line_add_escaped(&line, LOG_STYLE_JSON, message);
		line.reserve = 0;
		line_add(&line, JSON_END);
	}
	ASSERT(line.size < sizeof(line.text));
	log->write(log, line.text);
}

bool log_level_parse(const char *text, enum log_level *ret_level)
{
	for (size_t i = 0; i < LEVEL_COUNT; i++) {
		if (strcasecmp(text, level_names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return true;
		}
	}
	return false;
}
