/* SPDX-License-Identifier: Apache-2.0 */
/* cli_error.c - writes the one sentence of a failure. */
#include "cli/cli_error.h"

#include <stdarg.h>
#include <stdio.h>

enum cli_exit cli_fail(struct cli_error *error, enum cli_exit code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	return code;
}
