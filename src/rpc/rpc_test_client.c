/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_test_client.c - calls an Echo server and prints each outcome on a line, for tests.
 *
 * usage: rpc_test_client PORT METHOD TEXT [name=value]...
 *	calls=N payload=BYTES reply=BYTES status=N delay=MS timeout=MS wait=1 metadata=1 pause=MS
 *keepalive=MS (pause: calls one after another with a pause between)
 */
#include "base/assert.h"
#include "base/memory.h"
#include "rpc/rpc_client.h"
#include "rpc_test.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALLS_MAX 1000

enum number {
	CALLS,
	PAYLOAD,
	REPLY,
	STATUS,
	DELAY,
	TIMEOUT,
	WAIT,
	METADATA,
	PAUSE,
	KEEPALIVE,
	NUMBERS
};

struct run {
	struct op op;
	struct reactor *reactor;
	struct rpc_client *client;
	struct rpc_client_call *calls;
	unsigned long numbers[NUMBERS];
};

static void nothing_run(struct op *op)
{
	(void)op;
}

static void numbers_read(struct run *run, int count, char **arguments)
{
	static const char *const names[NUMBERS] = {
		"calls=",   "payload=", "reply=",    "status=", "delay=",
		"timeout=", "wait=",	"metadata=", "pause=",	"keepalive="};

	run->numbers[CALLS] = 1;
	for (int i = 4; i < count; i++) {
		for (int n = 0; n < NUMBERS; n++) {
			if (strncmp(arguments[i], names[n], strlen(names[n])) == 0)
				run->numbers[n] =
					strtoul(arguments[i] + strlen(names[n]), NULL, 10);
		}
	}
	if (run->numbers[CALLS] > CALLS_MAX)
		run->numbers[CALLS] = CALLS_MAX;
}

static void call_submit(struct run *run, struct rpc_client_call *call, char **arguments)
{
	Mayastor__Rpctest__EchoRequest request = MAYASTOR__RPCTEST__ECHO_REQUEST__INIT;
	static const struct rpc_metadata metadata[] = {{"x-asked", "yes"}};
	uint8_t *payload = memory_alloc(run->numbers[PAYLOAD] + 1);

	ASSERT(payload != NULL);
	request.text = arguments[3];
	request.payload = (ProtobufCBinaryData){run->numbers[PAYLOAD], payload};
	request.status = (uint32_t)run->numbers[STATUS];
	request.delay_ms = (uint32_t)run->numbers[DELAY];
	request.reply_bytes = (uint32_t)run->numbers[REPLY];
	request.with_metadata = run->numbers[METADATA] != 0;
	*call = (struct rpc_client_call){
		.parent = &run->op,
		.method = arguments[2],
		.request = &request.base,
		.response_type = &mayastor__rpctest__echo_reply__descriptor,
		.timeout_ns = run->numbers[TIMEOUT] * 1000000ull,
		.metadata = metadata,
		.metadata_count = run->numbers[METADATA] != 0,
		.wait_for_ready = run->numbers[WAIT] != 0,
	};
	op_wait(&run->op);
	rpc_client_call_submit(run->client, call);
	memory_free(payload);
}

static void call_print(const struct rpc_client_call *call)
{
	const Mayastor__Rpctest__EchoReply *reply = (const void *)call->response;
	const char *value = rpc_client_call_metadata(call, "gtm-602");

	printf("%s|%s|%s|%zu|%s\n", rpc_status_name(call->status), call->text,
	       reply != NULL ? reply->text : "", reply != NULL ? reply->payload.len : 0,
	       value != NULL ? value : "");
	fflush(stdout);
}

static void wait_all(struct run *run)
{
	while (run->op.pending > 0)
		reactor_turn(run->reactor, true);
}

static void pause_for(struct run *run)
{
	struct os *os = reactor_os(run->reactor);
	uint64_t end_ns = os_clock_now_ns(os) + run->numbers[PAUSE] * 1000000ull;

	while (os_clock_now_ns(os) < end_ns)
		reactor_turn(run->reactor, false);
}

static void calls_run(struct run *run, char **arguments)
{
	for (unsigned long i = 0; i < run->numbers[CALLS]; i++) {
		call_submit(run, &run->calls[i], arguments);
		if (run->numbers[PAUSE] == 0)
			continue;
		wait_all(run);
		call_print(&run->calls[i]);
		pause_for(run);
	}
	wait_all(run);
	for (unsigned long i = 0; i < run->numbers[CALLS]; i++) {
		if (run->numbers[PAUSE] == 0)
			call_print(&run->calls[i]);
		rpc_client_call_release(&run->calls[i]);
	}
}

int main(int count, char **arguments)
{
	struct reactor_options reactor_options;
	struct rpc_client_options options;
	struct os_address address;
	struct run run = {.op = {0}};
	struct os *os;

	if (count < 4 || os_open(&os) < 0)
		return 1;
	reactor_options_default(&reactor_options);
	if (reactor_create(os, &reactor_options, &run.reactor) < 0)
		return 1;
	numbers_read(&run, count, arguments);
	rpc_client_options_default(&options);
	options.calls_max = CALLS_MAX;
	if (run.numbers[KEEPALIVE] != 0)
		options.keepalive_ns = run.numbers[KEEPALIVE] * 1000000ull;
	run.calls = memory_alloc_array(CALLS_MAX, sizeof(*run.calls));
	if (run.calls == NULL ||
	    os_address_parse("127.0.0.1", (uint16_t)strtoul(arguments[1], NULL, 10), &address) <
		    0 ||
	    rpc_client_create(run.reactor, &address, &options, &run.client) < 0)
		return 1;
	op_init(&run.op, reactor_ready(run.reactor), nothing_run);
	calls_run(&run, arguments);
	op_wait(&run.op);
	rpc_client_close(run.client, &run.op);
	wait_all(&run);
	memory_free(run.calls);
	reactor_destroy(run.reactor);
	os_close(os);
	return 0;
}
