/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_test_echo.c - answers at once, later, with errors, or with many messages, as asked. */
#include "rpc/rpc_test_echo.h"

#include "base/assert.h"
#include "base/memory.h"
#include "rpc_test.pb-c.h"

#include <stdio.h>

#define REPLY_BYTES_MAX (16u << 20)

enum echo_step { ECHO_SEND, ECHO_END };

/* One call that takes time. */
struct echo_work {
	struct op op;
	enum echo_step step;
	struct reactor_timer timer;
	struct rpc_call *call;
	struct echo *echo;
	uint32_t sent;
	int result;
};

static const Mayastor__Rpctest__EchoRequest *request_of(const struct rpc_call *call)
{
	return (const Mayastor__Rpctest__EchoRequest *)(const void *)call->request;
}

static void answer(struct rpc_call *call)
{
	const Mayastor__Rpctest__EchoRequest *request = request_of(call);
	Mayastor__Rpctest__EchoReply reply = MAYASTOR__RPCTEST__ECHO_REPLY__INIT;
	struct echo *echo = call->user;
	uint8_t *payload = NULL;

	echo->abandoned += rpc_call_is_abandoned(call);
	if (request->with_metadata)
		rpc_call_metadata_add(call, "gtm-602", "0");
	if (request->status != 0) {
		rpc_call_fail(call, request->status < RPC_STATUS_COUNT ? request->status : 2, "%s",
			      request->text);
		return;
	}
	reply.text = request->text;
	reply.payload = request->payload;
	if (request->reply_bytes > 0 && request->reply_bytes <= REPLY_BYTES_MAX) {
		payload = memory_alloc(request->reply_bytes);
		ASSERT(payload != NULL);
		reply.payload = (ProtobufCBinaryData){request->reply_bytes, payload};
	}
	rpc_call_reply(call, &reply.base);
	memory_free(payload);
}

static enum op_flow message_send(struct echo_work *work)
{
	Mayastor__Rpctest__EchoReply reply = MAYASTOR__RPCTEST__ECHO_REPLY__INIT;
	const Mayastor__Rpctest__EchoRequest *request = request_of(work->call);

	reply.text = request->text;
	reply.index = work->sent++;
	op_wait(&work->op);
	work->result = rpc_call_send(work->call, &reply.base, &work->op);
	return op_join(&work->op);
}

static void work_end(struct echo_work *work)
{
	work->echo->abandoned += rpc_call_is_abandoned(work->call);
	if (work->result < 0)
		rpc_call_fail(work->call, RPC_ABORTED, "sending failed");
	else if (request_of(work->call)->status != 0)
		rpc_call_fail(work->call, RPC_DATA_LOSS, "%s", request_of(work->call)->text);
	else
		rpc_call_finish(work->call);
	memory_free(work);
}

static void stream_run(struct op *op)
{
	struct echo_work *work = container_of(op, struct echo_work, op);

	for (;;) {
		switch (work->step) {
		case ECHO_SEND:
			if (work->result < 0 || work->sent == request_of(work->call)->count) {
				work->step = ECHO_END;
				break;
			}
			if (message_send(work) == OP_WAIT)
				return;
			break;
		case ECHO_END:
			work_end(work);
			return;
		}
	}
}

static void delay_over(struct reactor_timer *timer)
{
	struct echo_work *work = container_of(timer, struct echo_work, timer);
	struct rpc_call *call = work->call;

	memory_free(work);
	answer(call);
}

static struct echo_work *work_create(struct rpc_call *call, void (*run)(struct op *op))
{
	struct echo_work *work = memory_alloc(sizeof(*work));

	ASSERT(work != NULL);
	work->echo = call->user;
	work->call = call;
	op_init(&work->op, reactor_ready(work->echo->reactor), run);
	reactor_timer_init(&work->timer, work->echo->reactor, delay_over);
	return work;
}

static void unary(struct rpc_call *call)
{
	struct echo *echo = call->user;

	echo->calls++;
	if (request_of(call)->delay_ms == 0) {
		answer(call);
		return;
	}
	reactor_timer_start(&work_create(call, NULL)->timer,
			    request_of(call)->delay_ms * 1000000ull);
}

static void stream(struct rpc_call *call)
{
	((struct echo *)call->user)->calls++;
	op_start(&work_create(call, stream_run)->op);
}

static const struct rpc_method echo_methods[] = {{"Unary", unary}, {"Stream", stream}};

const struct rpc_service echo_service = {
	.descriptor = &mayastor__rpctest__echo__descriptor,
	.methods = echo_methods,
	.method_count = sizeof(echo_methods) / sizeof(echo_methods[0]),
};
