/* SPDX-License-Identifier: Apache-2.0 */
/* size.h - sizes and durations as people write them: 4096, 10GiB, 1.5TiB, 500MB; 10s, 500ms. */
#ifndef BASE_SIZE_H
#define BASE_SIZE_H

#include <stdint.h>

#define SIZE_TEXT_BYTES 32

/**
 * size_parse - bytes from text; B, KiB..EiB binary, KB..EB decimal, K/M/G/T alone binary
 * Return: 0, -EINVAL when it is no size, -ERANGE when it does not fit.
 */
int size_parse(const char *text, uint64_t *ret_bytes) __attribute__((warn_unused_result));

/** Shortest binary form with at most two decimals: "64 MiB", "1.5 GiB". */
void size_format(uint64_t bytes, char ret_text[SIZE_TEXT_BYTES]);

/** Nanoseconds from "10s", "500ms", "20us", "2m", "1h"; a plain number is seconds. */
int duration_parse(const char *text, uint64_t *ret_ns) __attribute__((warn_unused_result));

#endif
