/* SPDX-License-Identifier: Apache-2.0 */
/* log_test.c - lines are captured by a sink and compared whole. */
#include "base/log.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct capture {
	struct log log;
	char line[LOG_LINE_BYTES];
	int count;
};

static void capture_write(struct log *log, const char *line)
{
	struct capture *capture = log->user;

	capture->count++;
	snprintf(capture->line, sizeof(capture->line), "%s", line);
}

static uint64_t capture_now(struct log *log)
{
	(void)log;
	return UINT64_C(1769903999123456789);
}

static void capture_init(struct capture *capture)
{
	*capture = (struct capture){
		.log = {.level = LOG_INFO,
			.write = capture_write,
			.now_ns = capture_now,
			.user = capture},
	};
}

static void lines_above_the_level_are_dropped(void **state)
{
	struct capture capture;

	(void)state;
	capture_init(&capture);
	log_debug(&capture.log, "x");
	assert_int_equal(capture.count, 0);
	log_info(&capture.log, "x");
	log_error(&capture.log, "x");
	assert_int_equal(capture.count, 2);
}

static void a_text_line_has_date_level_host_and_message(void **state)
{
	struct capture capture;

	(void)state;
	capture_init(&capture);
	log_warn(&capture.log, "pool %d", 7);
	assert_string_equal(capture.line, "[ WARN] pool 7");
	capture.log.has_date = true;
	capture.log.host = "node-1";
	log_info(&capture.log, "up");
	assert_string_equal(capture.line, "[2026-01-31T23:59:59.123456Z  INFO node-1] up");
	capture.log.has_date = false;
	capture.log.has_color = true;
	log_error(&capture.log, "no");
	assert_string_equal(capture.line, "[\033[31mERROR\033[0m node-1] no");
}

static void a_json_line_is_escaped(void **state)
{
	struct capture capture;

	(void)state;
	capture_init(&capture);
	capture.log.style = LOG_STYLE_JSON;
	capture.log.has_date = true;
	capture.log.host = "n";
	log_warn(&capture.log, "a\"b\\c\n%s", "d");
	assert_string_equal(capture.line,
			    "{\"timestamp\":\"Sat, 31 Jan 2026 23:59:59 +0000\",\"level\":\"WARN\","
			    "\"hostname\":\"n\",\"fields\":{\"message\":\"a\\\"b\\\\c\\u000ad\"}}");
}

static void a_peer_cannot_forge_a_line(void **state)
{
	struct capture capture;

	(void)state;
	capture_init(&capture);
	log_info(&capture.log, "nqn %s", "x\n[ERROR] fake\033[2J");
	assert_string_equal(capture.line, "[ INFO] nqn x\\x0a[ERROR] fake\\x1b[2J");
}

static void a_long_line_is_cut_and_json_stays_closed(void **state)
{
	struct capture capture;
	char text[3000];

	(void)state;
	capture_init(&capture);
	memset(text, '"', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_info(&capture.log, "%s", text);
	assert_int_equal(strlen(capture.line), LOG_LINE_BYTES - 1);
	capture.log.style = LOG_STYLE_JSON;
	log_info(&capture.log, "%s", text);
	assert_true(strlen(capture.line) < LOG_LINE_BYTES);
	assert_string_equal(capture.line + strlen(capture.line) - 5, "\\\"\"}}");
}

static void level_names_parse(void **state)
{
	enum log_level level = LOG_WARN;

	(void)state;
	assert_false(log_level_parse("loud", &level));
	assert_int_equal(level, LOG_WARN);
	assert_true(log_level_parse("TRACE", &level));
	assert_int_equal(level, LOG_TRACE);
	assert_true(log_level_parse("error", &level));
	assert_int_equal(level, LOG_ERROR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_above_the_level_are_dropped),
		cmocka_unit_test(a_text_line_has_date_level_host_and_message),
		cmocka_unit_test(a_json_line_is_escaped),
		cmocka_unit_test(a_peer_cannot_forge_a_line),
		cmocka_unit_test(a_long_line_is_cut_and_json_stays_closed),
		cmocka_unit_test(level_names_parse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
