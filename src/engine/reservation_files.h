/* SPDX-License-Identifier: Apache-2.0 */
/* reservation_files.h - reservations that persist through power loss: a slot file a subsystem. */
#ifndef ENGINE_RESERVATION_FILES_H
#define ENGINE_RESERVATION_FILES_H

#include "base/log.h"
#include "reactor/reactor.h"
#include "target/reservation_store.h"

#include <stddef.h>

struct reservation_file;

/**
 * reservation_file_create - the store of one subsystem
 * @home: the subsystem's home reactor, whose thread uses it.
 * @path: "<ptpl directory>/nexus/<uuid>.json", its directory exists.
 * Return: 0 or -ENOMEM.
 */
int reservation_file_create(struct reactor *home, const char *path, struct log *log,
			    struct reservation_file **ret_file) __attribute__((warn_unused_result));
/** Nothing is in flight. NULL is allowed. */
void reservation_file_destroy(struct reservation_file *file);
struct target_reservation_store *reservation_file_store(struct reservation_file *file);

size_t reservation_encode(const struct target_reservation_state *state, char *ret_text,
			  size_t size);
/** Checks everything; @text may be anything. Return: 0 or -EINVAL. */
int reservation_decode(const char *text, size_t size, struct target_reservation_state *ret_state)
	__attribute__((warn_unused_result));

#endif
