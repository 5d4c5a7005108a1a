/* SPDX-License-Identifier: Apache-2.0 */
/* reactor_call.h - run a function on another reactor and wait for it as for any submission.
 *
 * Management only. The function runs on the other thread and says when it is finished by
 * reactor_call_finish(), at once or later; the caller's op gets its op_done() on its own thread.
 */
#ifndef REACTOR_REACTOR_CALL_H
#define REACTOR_REACTOR_CALL_H

#include "reactor/reactor.h"

struct reactor_call {
	struct op *parent;	/* gets one op_done() on @origin */
	struct reactor *origin; /* the caller's reactor */
	struct reactor *target; /* where @function runs */
	void (*function)(struct reactor_call *call);
	struct reactor_message message; /* private */
};

/** Sends the call. Works when origin and target are the same. Context: origin's thread. */
void reactor_call_submit(struct reactor_call *call);
/** Context: target's thread, exactly once per submit. */
void reactor_call_finish(struct reactor_call *call);

#endif
