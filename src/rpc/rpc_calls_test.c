/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: client and server together keep their promises about answers, ends and memory.
 * Method: both on one reactor that the test turns; the Echo service does what requests ask.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rpc/rpc_client.h"
#include "rpc/rpc_test_echo.h"
#include "rpc_test.pb-c.h"

#define MS 1000000ull

struct world {
	struct os *os;
	struct reactor *reactor;
	struct rpc_server *server;
	struct rpc_client *client;
	struct os_address address;
	struct rpc_server_options server_options;
	struct rpc_client_options client_options;
	struct echo echo;
	struct op op;
};

static void nothing_run(struct op *op)
{
	(void)op;
}

static void wait_all(struct world *w)
{
	while (w->op.pending > 0)
		reactor_turn(w->reactor, true);
}

static void turn_for(struct world *w, uint64_t ns)
{
	uint64_t end_ns = os_clock_now_ns(w->os) + ns;

	while (os_clock_now_ns(w->os) < end_ns)
		reactor_turn(w->reactor, false);
}

static void server_start(struct world *w)
{
	assert_int_equal(rpc_server_create(w->reactor, &w->server_options, &w->server), 0);
	rpc_server_add_service(w->server, &echo_service, &w->echo);
	assert_int_equal(rpc_server_listen(w->server, &w->address, &w->address), 0);
}

static void server_stop(struct world *w)
{
	op_wait(&w->op);
	rpc_server_close(w->server, &w->op);
	w->server = NULL;
}

static int world_open(void **state)
{
	static struct world w;
	struct reactor_options options;

	memset(&w, 0, sizeof(w));
	reactor_options_default(&options);
	rpc_server_options_default(&w.server_options);
	rpc_client_options_default(&w.client_options);
	if (os_open(&w.os) < 0 || reactor_create(w.os, &options, &w.reactor) < 0)
		return -1;
	if (os_address_parse("127.0.0.1", 0, &w.address) < 0)
		return -1;
	w.echo.reactor = w.reactor;
	op_init(&w.op, reactor_ready(w.reactor), nothing_run);
	server_start(&w);
	if (rpc_client_create(w.reactor, &w.address, &w.client_options, &w.client) < 0)
		return -1;
	*state = &w;
	return 0;
}

static int world_close(void **state)
{
	struct world *w = *state;

	if (w->client != NULL) {
		op_wait(&w->op);
		rpc_client_close(w->client, &w->op);
	}
	if (w->server != NULL)
		server_stop(w);
	wait_all(w);
	reactor_destroy(w->reactor);
	os_close(w->os);
	return 0;
}

static void submit(struct world *w, struct rpc_client_call *call,
		   const Mayastor__Rpctest__EchoRequest *request, uint64_t timeout_ns)
{
	*call = (struct rpc_client_call){
		.parent = &w->op,
		.method = "/mayastor.rpctest.Echo/Unary",
		.request = &request->base,
		.response_type = &mayastor__rpctest__echo_reply__descriptor,
		.timeout_ns = timeout_ns,
	};
	op_wait(&w->op);
	rpc_client_call_submit(w->client, call);
}

static Mayastor__Rpctest__EchoRequest request_for(const char *text, uint32_t delay_ms)
{
	Mayastor__Rpctest__EchoRequest request = MAYASTOR__RPCTEST__ECHO_REQUEST__INIT;

	request.text = (char *)(uintptr_t)text;
	request.delay_ms = delay_ms;
	return request;
}

static void an_answer_comes_back(void **state)
{
	struct world *w = *state;
	Mayastor__Rpctest__EchoRequest request = request_for("hello", 0);
	struct rpc_client_call call;

	request.with_metadata = 1;
	submit(w, &call, &request, 0);
	wait_all(w);
	assert_int_equal(call.status, RPC_OK);
	assert_string_equal(((Mayastor__Rpctest__EchoReply *)call.response)->text, "hello");
	assert_string_equal(rpc_client_call_metadata(&call, "gtm-602"), "0");
	assert_null(rpc_client_call_metadata(&call, "other"));
	rpc_client_call_release(&call);
	rpc_client_call_release(&call);
}

static void errors_carry_status_and_text(void **state)
{
	struct world *w = *state;
	Mayastor__Rpctest__EchoRequest request = request_for("100 % \xc3\xbc", 0);
	struct rpc_client_call call;

	request.status = RPC_FAILED_PRECONDITION;
	submit(w, &call, &request, 0);
	wait_all(w);
	assert_int_equal(call.status, RPC_FAILED_PRECONDITION);
	assert_string_equal(call.text, request.text);
	assert_null(call.response);
}

static void many_calls_share_one_connection(void **state)
{
	enum { COUNT = 250 }; /* more than the server takes at once */
	struct world *w = *state;
	struct rpc_client_call calls[COUNT];
	struct rpc_server_stats stats;
	Mayastor__Rpctest__EchoRequest request = request_for("x", 20);

	for (int i = 0; i < COUNT; i++)
		submit(w, &calls[i], &request, 0);
	wait_all(w);
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(calls[i].status, RPC_OK);
		rpc_client_call_release(&calls[i]);
	}
	rpc_server_stats(w->server, &stats);
	assert_int_equal(stats.connections_accepted, 1);
	assert_int_equal(stats.buffered_bytes, 0);
	assert_int_equal(w->echo.calls, COUNT);
}

static void large_messages_pass_and_larger_ones_are_refused(void **state)
{
	struct world *w = *state;
	Mayastor__Rpctest__EchoRequest request = request_for("x", 0);
	struct rpc_client_call call;

	request.reply_bytes = 4000000;
	submit(w, &call, &request, 0);
	wait_all(w);
	assert_int_equal(call.status, RPC_OK);
	assert_int_equal(((Mayastor__Rpctest__EchoReply *)call.response)->payload.len, 4000000);
	rpc_client_call_release(&call);
	request.reply_bytes = 5000000;
	submit(w, &call, &request, 0);
	wait_all(w);
	assert_int_equal(call.status, RPC_RESOURCE_EXHAUSTED);
}

static void a_call_past_its_deadline_ends_and_its_work_goes_on(void **state)
{
	struct world *w = *state;
	Mayastor__Rpctest__EchoRequest request = request_for("x", 150);
	struct rpc_server_stats stats;
	struct rpc_client_call call;

	submit(w, &call, &request, 50 * MS);
	wait_all(w);
	assert_int_equal(call.status, RPC_DEADLINE_EXCEEDED);
	assert_int_equal(w->echo.abandoned, 0);
	turn_for(w, 200 * MS);
	assert_int_equal(w->echo.abandoned, 1);
	rpc_server_stats(w->server, &stats);
	assert_int_equal(stats.calls, 0);
	assert_int_equal(stats.answers_dropped, 1);
}

static void a_cancelled_call_ends_at_once(void **state)
{
	struct world *w = *state;
	Mayastor__Rpctest__EchoRequest request = request_for("x", 100);
	struct rpc_client_call call;

	submit(w, &call, &request, 0);
	turn_for(w, 30 * MS);
	assert_int_equal(w->echo.calls, 1);
	rpc_client_call_cancel(&call);
	assert_int_equal(w->op.pending, 0);
	assert_int_equal(call.status, RPC_CANCELLED);
	turn_for(w, 120 * MS);
	assert_int_equal(w->echo.abandoned, 1);
}

static void a_call_without_a_server_ends_unavailable(void **state)
{
	struct world *w = *state;
	Mayastor__Rpctest__EchoRequest request = request_for("x", 0);
	struct rpc_client_call call;

	server_stop(w);
	wait_all(w);
	submit(w, &call, &request, 2000 * MS);
	wait_all(w);
	assert_int_equal(call.status, RPC_UNAVAILABLE);
	assert_non_null(strstr(call.text, "refused"));
}

static void a_patient_call_waits_for_the_server(void **state)
{
	struct world *w = *state;
	Mayastor__Rpctest__EchoRequest request = request_for("x", 0);
	struct rpc_client_call call;

	server_stop(w);
	wait_all(w);
	call = (struct rpc_client_call){
		.parent = &w->op,
		.method = "/mayastor.rpctest.Echo/Unary",
		.request = &request.base,
		.response_type = &mayastor__rpctest__echo_reply__descriptor,
		.timeout_ns = 5000 * MS,
		.wait_for_ready = true,
	};
	op_wait(&w->op);
	rpc_client_call_submit(w->client, &call);
	turn_for(w, 150 * MS);
	assert_int_equal(w->op.pending, 1);
	server_start(w);
	wait_all(w);
	assert_int_equal(call.status, RPC_OK);
	rpc_client_call_release(&call);
}

static void the_client_comes_back_after_the_server_restarted(void **state)
{
	struct world *w = *state;
	Mayastor__Rpctest__EchoRequest request = request_for("x", 0);
	struct rpc_client_call call;

	for (int i = 0; i < 3; i++) {
		submit(w, &call, &request, 0);
		wait_all(w);
		assert_int_equal(call.status, RPC_OK);
		rpc_client_call_release(&call);
		server_stop(w);
		wait_all(w);
		server_start(w);
		turn_for(w, 20 * MS);
	}
}

static void a_closing_server_answers_what_it_has(void **state)
{
	struct world *w = *state;
	Mayastor__Rpctest__EchoRequest request = request_for("x", 100);
	struct rpc_client_call call;

	submit(w, &call, &request, 0);
	turn_for(w, 30 * MS);
	server_stop(w);
	wait_all(w);
	assert_int_equal(call.status, RPC_OK);
	rpc_client_call_release(&call);
}

static void a_closing_server_waits_for_handlers_not_for_clients(void **state)
{
	struct world *w = *state;
	Mayastor__Rpctest__EchoRequest request = request_for("x", 400);
	struct rpc_client_call call;

	server_stop(w);
	wait_all(w);
	w->server_options.drain_ns = 50 * MS;
	server_start(w);
	submit(w, &call, &request, 0);
	turn_for(w, 30 * MS);
	uint64_t begin_ns = os_clock_now_ns(w->os);
	server_stop(w);
	wait_all(w);
	assert_int_equal(call.status, RPC_UNAVAILABLE);
	assert_true(os_clock_now_ns(w->os) - begin_ns > 300 * MS);
	assert_int_equal(w->echo.abandoned, 1);
}

static void a_closing_client_ends_its_calls(void **state)
{
	struct world *w = *state;
	Mayastor__Rpctest__EchoRequest request = request_for("x", 100);
	struct rpc_client_call calls[2];

	submit(w, &calls[0], &request, 0);
	turn_for(w, 30 * MS);
	submit(w, &calls[1], &request, 0);
	op_wait(&w->op);
	rpc_client_close(w->client, &w->op);
	w->client = NULL;
	wait_all(w);
	assert_int_equal(calls[0].status, RPC_CANCELLED);
	assert_int_equal(calls[1].status, RPC_CANCELLED);
}

static void calls_over_the_limit_are_refused(void **state)
{
	struct world *w = *state;
	Mayastor__Rpctest__EchoRequest request = request_for("x", 50);
	struct rpc_client_call calls[3];

	server_stop(w);
	wait_all(w);
	w->server_options.calls_max = 2;
	server_start(w);
	for (int i = 0; i < 3; i++)
		submit(w, &calls[i], &request, 0);
	wait_all(w);
	assert_int_equal(calls[0].status, RPC_OK);
	assert_int_equal(calls[1].status, RPC_OK);
	assert_int_equal(calls[2].status, RPC_RESOURCE_EXHAUSTED);
	for (int i = 0; i < 3; i++)
		rpc_client_call_release(&calls[i]);
}

#define world_test(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(an_answer_comes_back),
		world_test(errors_carry_status_and_text),
		world_test(many_calls_share_one_connection),
		world_test(large_messages_pass_and_larger_ones_are_refused),
		world_test(a_call_past_its_deadline_ends_and_its_work_goes_on),
		world_test(a_cancelled_call_ends_at_once),
		world_test(a_call_without_a_server_ends_unavailable),
		world_test(a_patient_call_waits_for_the_server),
		world_test(the_client_comes_back_after_the_server_restarted),
		world_test(a_closing_server_answers_what_it_has),
		world_test(a_closing_server_waits_for_handlers_not_for_clients),
		world_test(a_closing_client_ends_its_calls),
		world_test(calls_over_the_limit_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
