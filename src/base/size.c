/* SPDX-License-Identifier: Apache-2.0 */
/* size.c - sizes and durations as people write them.
 *
 * A text is a decimal number, an optional space, and a unit. All arithmetic is exact in 128 bits;
 * what a fraction leaves below one byte or nanosecond is cut off.
 */
#include "base/size.h"

#include "base/assert.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Enough for every useful fraction, and 10^9 * 2^64 still fits in 128 bits. */
#define FRACTION_DIGITS_MAX 9

#define NS_PER_S UINT64_C(1000000000)

__extension__ typedef unsigned __int128 wide; /* no struct or pointer hides here */

struct number {
	uint64_t whole;
	uint64_t fraction;	 /* in units of 1 / fraction_scale */
	uint64_t fraction_scale; /* a power of ten */
};

struct unit {
	const char *text;
	uint64_t factor;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Return: the first character after the number, NULL with *ret_rc when there is none. */
static const char *number_parse(const char *text, struct number *ret_number, int *ret_rc)
{
	struct number number = {.fraction_scale = 1};

	*ret_rc = -EINVAL;
	if (!is_digit(*text))
		return NULL;
	for (; is_digit(*text); text++) {
		if (__builtin_mul_overflow(number.whole, 10, &number.whole) ||
		    __builtin_add_overflow(number.whole, (uint64_t)(*text - '0'), &number.whole)) {
			*ret_rc = -ERANGE;
			return NULL;
		}
	}
	if (*text == '.') {
		text++;
		if (!is_digit(*text))
			return NULL;
		for (int digits = 0; is_digit(*text); text++, digits++) {
			if (digits == FRACTION_DIGITS_MAX)
				return NULL;
			number.fraction = number.fraction * 10 + (uint64_t)(*text - '0');
			number.fraction_scale *= 10;
		}
	}
	ASSERT(number.fraction < number.fraction_scale);
	*ret_number = number;
	return *text == ' ' ? text + 1 : text;
}

static int number_scale(const struct number *number, uint64_t factor, uint64_t *ret_value)
{
	wide value = (wide)number->whole * factor;

	value += (wide)number->fraction * factor / number->fraction_scale;
	if (value > UINT64_MAX)
		return -ERANGE;
	*ret_value = (uint64_t)value;
	return 0;
}

/* The factor of a size unit, 0 when it is none: "", B, then K M G T P E alone or with i, iB, B. */
static uint64_t size_unit_factor(const char *unit)
{
	static const char letters[] = "KMGTPE";
	uint64_t base = 1024;
	uint64_t factor = 1;
	const char *letter;

	if (*unit == '\0' || strcasecmp(unit, "B") == 0)
		return 1;
	letter = strchr(letters, *unit & ~0x20);
	if (letter == NULL || *letter == '\0')
		return 0;
	if (strcasecmp(unit + 1, "B") == 0)
		base = 1000;
	else if (unit[1] != '\0' && strcasecmp(unit + 1, "i") != 0 &&
		 strcasecmp(unit + 1, "iB") != 0)
		return 0;
	for (const char *step = letters; step <= letter; step++)
		factor *= base;
	return factor;
}

int size_parse(const char *text, uint64_t *ret_bytes)
{
	struct number number;
	uint64_t factor;
	int rc;

	ASSERT(text != NULL && ret_bytes != NULL);
	text = number_parse(text, &number, &rc);
	if (text == NULL)
		return rc;
	factor = size_unit_factor(text);
	if (factor == 0 || (factor == 1 && number.fraction_scale != 1))
		return -EINVAL;
	return number_scale(&number, factor, ret_bytes);
}

void size_format(uint64_t bytes, char ret_text[SIZE_TEXT_BYTES])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned int unit = 0;
	uint64_t hundredths;

	/* The largest unit in which the rounded value is at least 1. */
	while (unit < 6 && bytes >> (10 * (unit + 1)) != 0)
		unit++;
	for (;;) {
		wide scaled = (wide)bytes * 100;
		wide one = (wide)1 << (10 * unit);

		hundredths = (uint64_t)((scaled + one / 2) / one);
		if (hundredths < 102400 || unit == 6)
			break;
		unit++;
	}
	ASSERT(unit <= 6);
	if (hundredths % 100 == 0)
		snprintf(ret_text, SIZE_TEXT_BYTES, "%llu %s", (unsigned long long)hundredths / 100,
			 units[unit]);
	else if (hundredths % 10 == 0)
		snprintf(ret_text, SIZE_TEXT_BYTES, "%llu.%llu %s",
			 (unsigned long long)hundredths / 100,
			 (unsigned long long)hundredths / 10 % 10, units[unit]);
	else
		snprintf(ret_text, SIZE_TEXT_BYTES, "%llu.%02llu %s",
			 (unsigned long long)hundredths / 100, (unsigned long long)hundredths % 100,
			 units[unit]);
}

int duration_parse(const char *text, uint64_t *ret_ns)
{
	static const struct unit units[] = {
		{"", NS_PER_S}, {"s", NS_PER_S},      {"ms", 1000000},	      {"us", 1000},
		{"ns", 1},	{"m", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S},
	};
	struct number number;
	int rc;

	ASSERT(text != NULL && ret_ns != NULL);
	text = number_parse(text, &number, &rc);
	if (text == NULL)
		return rc;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text, units[i].text) == 0)
			return number_scale(&number, units[i].factor, ret_ns);
	}
	return -EINVAL;
}
