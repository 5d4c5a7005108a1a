/* SPDX-License-Identifier: Apache-2.0 */
/* test_words.h - the words of a command line out of any text, one a line: for fuzzers of options.
 */
#ifndef BASE_TEST_WORDS_H
#define BASE_TEST_WORDS_H

#include <string.h>

#define TEST_WORDS_MAX 32

/**
 * test_words_split - cuts @text into words, in place; more than TEST_WORDS_MAX are left out
 * @words: words[0] is set before, the name of the program. The last one is followed by NULL.
 * Return: how many, with the first.
 */
static inline int test_words_split(char *text, char *words[TEST_WORDS_MAX + 2])
{
	int count = 1;

	while (*text != '\0' && count <= TEST_WORDS_MAX) {
		words[count++] = text;
		text += strcspn(text, "\n");
		if (*text == '\n')
			*text++ = '\0';
	}
	words[count] = NULL;
	return count;
}

#endif
