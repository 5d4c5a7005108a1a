/* SPDX-License-Identifier: Apache-2.0 */
/* history_stamp.h - the content of a block: whose it is, said again and again over all of it. */
#ifndef SIM_HISTORY_STAMP_H
#define SIM_HISTORY_STAMP_H

#include <stdint.h>

#define HISTORY_STAMP_BYTES 32

enum stamp_kind {
	STAMP_WHOLE,
	STAMP_ZEROES,
	STAMP_GARBAGE, /* no stamp at all */
	STAMP_FOREIGN, /* of another block or volume */
	STAMP_MIXED,   /* of two writes */
};

/** Fills a block of @block_bytes, a multiple of HISTORY_STAMP_BYTES. @sequence is not 0. */
void stamp_write(void *bytes, uint32_t block_bytes, uint64_t volume, uint64_t block,
		 uint64_t sequence);
/** @ret_sequence: of the first stamp; 0 for zeroes and garbage. */
enum stamp_kind stamp_read(const void *bytes, uint32_t block_bytes, uint64_t volume, uint64_t block,
			   uint64_t *ret_sequence);
/** "zeroes", "another block's content" ... */
const char *stamp_kind_text(enum stamp_kind kind);

#endif
