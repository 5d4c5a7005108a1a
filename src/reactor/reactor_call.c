/* SPDX-License-Identifier: Apache-2.0 */
/* reactor_call.c - there and back by one embedded message.
 *
 * Invariant: the message is in one direction only at a time, so one is enough.
 */
#include "reactor/reactor_call.h"

static void call_arrived(struct reactor_message *message)
{
	struct reactor_call *call = container_of(message, struct reactor_call, message);

	ASSERT(call->message.run == call_arrived);
	ASSERT(call->function != NULL);
	call->function(call);
}

static void call_returned(struct reactor_message *message)
{
	struct reactor_call *call = container_of(message, struct reactor_call, message);

	ASSERT(call->message.run == call_returned);
	ASSERT(call->parent == NULL || call->parent->pending > 0);
	/* The parent may reuse the call from here on. */
	op_done(call->parent);
}

void reactor_call_submit(struct reactor_call *call)
{
	ASSERT(call->parent == NULL || call->parent->pending > 0);
	ASSERT(call->function != NULL);
	ASSERT(call->origin != NULL);
	ASSERT(call->target != NULL);
	call->message.run = call_arrived;
	reactor_send(call->target, &call->message);
}

void reactor_call_finish(struct reactor_call *call)
{
	ASSERT(call->message.run == call_arrived);
	call->message.run = call_returned;
	reactor_send(call->origin, &call->message);
}
