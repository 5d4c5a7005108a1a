/* SPDX-License-Identifier: Apache-2.0 */
/* engine.h - one storage engine: devices, mirrors, target and management, wired together.
 *
 * Start and stop are tables of steps; a start that fails is undone in reverse order. Everything
 * here is called on the main reactor's thread.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/log.h"
#include "engine/options.h"
#include "reactor/reactor.h"

struct engine;

/**
 * engine_create - takes memory only
 * @options, @log, @main must outlive it. Return: 0 or -ENOMEM.
 */
int engine_create(struct reactor *main, const struct engine_options *options, struct log *log,
		  struct engine **ret_engine) __attribute__((warn_unused_result));

/**
 * engine_start - begin to serve
 * When it fails, what was started is stopped again. Then engine_is_stopped() and engine_error().
 */
void engine_start(struct engine *engine);

/** Ends serving in order: management, exports, target, mirrors (recorded as clean), devices,
 * reactors. */
void engine_stop(struct engine *engine);

/** True once everything is down; reactor_stop() was called on the main reactor then. */
bool engine_is_stopped(const struct engine *engine);

/** Why the start failed, NULL when it did not. */
const char *engine_error(const struct engine *engine);

/** It is stopped. NULL is allowed. */
void engine_destroy(struct engine *engine);

#endif
