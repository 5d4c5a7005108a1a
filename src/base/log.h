/* SPDX-License-Identifier: Apache-2.0 */
/* log.h - one line a decision: who decides logs, once, with ids and numbers.
 *
 * A log is given to whoever needs one; there is no global. Writing never blocks on a lock that
 * the I/O path holds, and lines over LOG_LINE_BYTES are cut.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_LINE_BYTES 1024

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };
enum log_style { LOG_STYLE_TEXT, LOG_STYLE_JSON };

struct log {
	enum log_level level; /* lines above it are dropped */
	enum log_style style;
	bool has_color;
	bool has_date;
	const char *host; /* NULL: not shown */
	/* Takes one finished line without a newline. Context: any thread that logs. */
	void (*write)(struct log *log, const char *line);
	/* Wall clock in ns since 1970, NULL: no date. */
	uint64_t (*now_ns)(struct log *log);
	void *user;
};

void log_line(struct log *log, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(log, ...) log_line(log, LOG_ERROR, __VA_ARGS__)
#define log_warn(log, ...)  log_line(log, LOG_WARN, __VA_ARGS__)
#define log_info(log, ...)  log_line(log, LOG_INFO, __VA_ARGS__)
#define log_debug(log, ...) log_line(log, LOG_DEBUG, __VA_ARGS__)

/** "error", "warn", "info", "debug" or "trace". Return: false and *ret_level untouched if none. */
bool log_level_parse(const char *text, enum log_level *ret_level);

#endif
