/* SPDX-License-Identifier: Apache-2.0 */
/* reactor_message_test.c - messages and calls between reactors on real threads.
 *
 * Meant to run under the thread sanitizer too. Senders flood one receiver; every message must
 * arrive, those of one sender in order, and a sleeping receiver must wake.
 */
#include "reactor/reactor.h"
#include "reactor/reactor_call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SENDERS	 3
#define MESSAGES 20000

struct numbered {
	struct reactor_message message;
	struct flood *flood;
	uint32_t sender;
	uint32_t number;
};

struct flood {
	struct reactor *receiver;
	uint32_t received[SENDERS]; /* receiver's thread */
	uint32_t total;
	bool is_out_of_order;
	struct numbered messages[SENDERS][MESSAGES];
};

struct sender {
	struct flood *flood;
	uint32_t index;
	struct os_thread *thread;
};

static void numbered_arrived(struct reactor_message *message)
{
	struct numbered *numbered = container_of(message, struct numbered, message);
	struct flood *flood = numbered->flood;

	if (flood->received[numbered->sender] != numbered->number)
		flood->is_out_of_order = true;
	flood->received[numbered->sender]++;
	flood->total++;
	if (flood->total == SENDERS * MESSAGES)
		reactor_stop(flood->receiver);
}

static void sender_main(void *argument)
{
	struct sender *sender = argument;
	struct flood *flood = sender->flood;

	for (uint32_t i = 0; i < MESSAGES; i++) {
		struct numbered *numbered = &flood->messages[sender->index][i];

		*numbered = (struct numbered){
			.message = {.run = numbered_arrived},
			.flood = flood,
			.sender = sender->index,
			.number = i,
		};
		reactor_send(flood->receiver, &numbered->message);
	}
}

static void reactor_main(void *argument)
{
	reactor_run(argument);
}

static struct reactor *small_reactor(struct os *os, uint32_t index, uint32_t spin_ns_max)
{
	struct reactor_options options;
	struct reactor *reactor = NULL;

	reactor_options_default(&options);
	options.index = index;
	options.ring_entries = 64;
	options.receive_buffer_count = 8;
	options.small_buffer_count = 4;
	options.large_buffer_count = 4;
	options.spin_ns_max = spin_ns_max;
	assert_int_equal(reactor_create(os, &options, &reactor), 0);
	return reactor;
}

static void flood_run(uint32_t spin_ns_max)
{
	static struct flood flood;
	struct sender senders[SENDERS];
	struct os *os;

	flood = (struct flood){.total = 0};
	assert_int_equal(os_open(&os), 0);
	flood.receiver = small_reactor(os, 0, spin_ns_max);
	for (uint32_t i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){.flood = &flood, .index = i};
		assert_int_equal(
			os_thread_start(os, -1, sender_main, &senders[i], &senders[i].thread), 0);
	}
	reactor_run(flood.receiver);
	for (uint32_t i = 0; i < SENDERS; i++) {
		os_thread_join(senders[i].thread);
		assert_int_equal(flood.received[i], MESSAGES);
	}
	assert_false(flood.is_out_of_order);
	reactor_destroy(flood.receiver);
	os_close(os);
}

static void every_message_arrives_and_each_senders_order_is_kept(void **state)
{
	(void)state;
	flood_run(0);
}

static void the_same_while_the_receiver_spins(void **state)
{
	(void)state;
	flood_run(50000);
}

struct ping {
	struct op op;
	struct reactor_call call;
	struct reactor *main;
	uint32_t rounds;
	uint32_t on_target; /* written there only */
};

static void ping_function(struct reactor_call *call)
{
	container_of(call, struct ping, call)->on_target++;
	reactor_call_finish(call);
}

static void ping_run(struct op *op)
{
	struct ping *ping = list_entry(op, struct ping, op);

	for (;;) {
		if (ping->rounds == 0) {
			reactor_stop(ping->main);
			return;
		}
		ping->rounds--;
		op_wait(&ping->op);
		reactor_call_submit(&ping->call);
		if (op_join(&ping->op) == OP_WAIT)
			return;
	}
}

static void ping_rounds(struct ping *ping, struct reactor *main, struct reactor *target)
{
	ping->main = main;
	ping->rounds = 1000;
	ping->call = (struct reactor_call){
		.parent = &ping->op,
		.origin = main,
		.target = target,
		.function = ping_function,
	};
	op_init(&ping->op, reactor_ready(main), ping_run);
	op_wake(&ping->op);
	reactor_run(main);
	assert_int_equal(ping->on_target, 1000);
}

static void calls_wake_sleeping_reactors_and_come_back(void **state)
{
	struct ping ping = {.rounds = 0};
	struct os *os;
	struct os_thread *thread;
	struct reactor *main;
	struct reactor *other;

	(void)state;
	assert_int_equal(os_open(&os), 0);
	main = small_reactor(os, 0, 0);
	other = small_reactor(os, 1, 0);
	assert_int_equal(os_thread_start(os, -1, reactor_main, other, &thread), 0);
	ping_rounds(&ping, main, other);
	reactor_stop(other);
	os_thread_join(thread);
	reactor_destroy(other);
	reactor_destroy(main);
	os_close(os);
}

static void a_call_to_the_own_reactor_works_too(void **state)
{
	struct ping ping = {.rounds = 0};
	struct os *os;
	struct reactor *main;

	(void)state;
	assert_int_equal(os_open(&os), 0);
	main = small_reactor(os, 0, 0);
	ping_rounds(&ping, main, main);
	reactor_destroy(main);
	os_close(os);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_arrives_and_each_senders_order_is_kept),
		cmocka_unit_test(the_same_while_the_receiver_spins),
		cmocka_unit_test(calls_wake_sleeping_reactors_and_come_back),
		cmocka_unit_test(a_call_to_the_own_reactor_works_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
