/* SPDX-License-Identifier: Apache-2.0 */
/* reservation_check_test.c - what the check must accept and what it must see; and its rules beside
 * the target's, which were written by somebody else.
 */
#include "sim/reservation_check.h"

#include "base/prng.h"
#include "sim/reservation_model.h"
#include "target/reservation_rules.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BLOCK_BYTES 512
#define KEY(host)   (10 + (host))

static struct history *history;
static struct reservation_check *check;
static uint64_t now_ns;

static int setup_with(bool is_kept)
{
	const struct history_options options = {
		.volume = 9, .block_count = 8, .block_bytes = BLOCK_BYTES};
	struct reservation_check_options check_options = {.is_kept = is_kept, .host_id_first = 5};

	history = history_create(&options);
	check_options.history = history;
	check = reservation_check_create(&check_options);
	now_ns = 10;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_with(false);
}

static int setup_kept(void **state)
{
	(void)state;
	return setup_with(true);
}

static int teardown(void **state)
{
	(void)state;
	reservation_check_destroy(check);
	history_destroy(history);
	return 0;
}

/* ---- commands ---- */

static struct reservation_ask ask_begin(uint32_t host, struct nvme_reservation request)
{
	struct reservation_ask ask = {.host = host, .request = request};

	reservation_ask_begin(check, &ask, ++now_ns);
	return ask;
}

static void ask_end(const struct reservation_ask *ask, enum reservation_answer answer)
{
	reservation_ask_done(check, ask, answer, NULL, ++now_ns);
}

static void ask(uint32_t host, struct nvme_reservation request, enum reservation_answer answer)
{
	struct reservation_ask asked = ask_begin(host, request);

	ask_end(&asked, answer);
}

static struct nvme_reservation to_register(uint32_t host)
{
	return (struct nvme_reservation){.opcode = NVME_RESERVATION_REGISTER,
					 .other_key = KEY(host)};
}

static struct nvme_reservation to_acquire(uint32_t host, enum nvme_reservation_type type)
{
	return (struct nvme_reservation){
		.opcode = NVME_RESERVATION_ACQUIRE, .type = type, .current_key = KEY(host)};
}

static struct nvme_reservation to_preempt(uint32_t host, uint32_t victim,
					  enum nvme_reservation_type type)
{
	struct nvme_reservation request = to_acquire(host, type);

	request.action = NVME_RESERVATION_PREEMPT;
	request.other_key = KEY(victim);
	return request;
}

static struct nvme_reservation to_release(uint32_t host, enum nvme_reservation_type type)
{
	return (struct nvme_reservation){
		.opcode = NVME_RESERVATION_RELEASE, .type = type, .current_key = KEY(host)};
}

/* Host 0 holds it, host 1 is registered. */
static void reserve(enum nvme_reservation_type type)
{
	ask(0, to_register(0), RESERVATION_GRANTED);
	ask(1, to_register(1), RESERVATION_GRANTED);
	ask(0, to_acquire(0, type), RESERVATION_GRANTED);
	assert_null(reservation_check_error(check));
	assert_int_equal(reservation_state_count(check), 1);
}

/* After reserve(). */
static const struct reservation_seen reserved_seen = {
	.generation = 2,
	.type = NVME_RESERVATION_WRITE_EXCLUSIVE,
	.is_holder = {true},
	.keys = {KEY(0), KEY(1)},
};

static void report(uint32_t host, const struct reservation_seen *seen)
{
	struct reservation_ask asked =
		ask_begin(host, (struct nvme_reservation){.opcode = NVME_RESERVATION_REPORT});

	reservation_ask_done(check, &asked, RESERVATION_GRANTED, seen, ++now_ns);
}

/* ---- I/O ---- */

static struct reservation_io io_begin(uint32_t host, bool is_write)
{
	return (struct reservation_io){.host = host, .is_write = is_write};
}

static bool io_is_fine(uint32_t host, bool is_write, enum reservation_verdict verdict)
{
	struct reservation_io io = io_begin(host, is_write);

	reservation_io_begin(check, &io, ++now_ns);
	reservation_io_done(check, &io, verdict, ++now_ns);
	return reservation_check_error(check) == NULL;
}

static void who_holds_it_writes_and_nobody_else(void **state)
{
	(void)state;
	reserve(NVME_RESERVATION_WRITE_EXCLUSIVE);
	assert_true(io_is_fine(0, true, RESERVATION_IO_DONE));
	assert_true(io_is_fine(1, true, RESERVATION_IO_REFUSED));
	assert_true(io_is_fine(1, true, RESERVATION_IO_UNKNOWN));
	assert_true(io_is_fine(1, false, RESERVATION_IO_DONE));
	assert_false(io_is_fine(1, true, RESERVATION_IO_DONE));
}

static void a_holder_that_is_refused_is_seen(void **state)
{
	(void)state;
	reserve(NVME_RESERVATION_EXCLUSIVE_ACCESS);
	assert_true(io_is_fine(1, false, RESERVATION_IO_REFUSED));
	assert_false(io_is_fine(0, false, RESERVATION_IO_REFUSED));
}

static void a_read_of_a_stranger_under_exclusive_access_is_seen(void **state)
{
	(void)state;
	reserve(NVME_RESERVATION_EXCLUSIVE_ACCESS_REGISTRANTS);
	assert_true(io_is_fine(1, false, RESERVATION_IO_DONE));
	assert_false(io_is_fine(2, false, RESERVATION_IO_DONE));
}

static void a_write_that_began_before_the_reservation_may_end_either_way(void **state)
{
	struct reservation_io one = io_begin(1, true);
	struct reservation_io two = io_begin(1, true);

	(void)state;
	reservation_io_begin(check, &one, ++now_ns);
	reservation_io_begin(check, &two, ++now_ns);
	reserve(NVME_RESERVATION_WRITE_EXCLUSIVE);
	reservation_io_done(check, &one, RESERVATION_IO_DONE, ++now_ns);
	reservation_io_done(check, &two, RESERVATION_IO_REFUSED, ++now_ns);
	assert_null(reservation_check_error(check));
}

static void a_write_that_was_denied_for_a_moment_may_be_refused(void **state)
{
	struct reservation_io one = io_begin(1, true);

	(void)state;
	reserve(NVME_RESERVATION_WRITE_EXCLUSIVE);
	reservation_io_begin(check, &one, ++now_ns);
	ask(0, to_release(0, NVME_RESERVATION_WRITE_EXCLUSIVE), RESERVATION_GRANTED);
	reservation_io_done(check, &one, RESERVATION_IO_REFUSED, ++now_ns);
	assert_null(reservation_check_error(check));
}

static void while_a_reservation_is_under_way_both_are_right(void **state)
{
	struct reservation_ask asked;

	(void)state;
	ask(0, to_register(0), RESERVATION_GRANTED);
	asked = ask_begin(0, to_acquire(0, NVME_RESERVATION_WRITE_EXCLUSIVE));
	assert_true(io_is_fine(1, true, RESERVATION_IO_DONE));
	assert_true(io_is_fine(1, true, RESERVATION_IO_REFUSED));
	ask_end(&asked, RESERVATION_GRANTED);
	assert_false(io_is_fine(1, true, RESERVATION_IO_DONE));
}

static void a_preempted_host_does_not_write(void **state)
{
	(void)state;
	reserve(NVME_RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS);
	assert_true(io_is_fine(1, true, RESERVATION_IO_DONE));
	ask(0, to_preempt(0, 1, NVME_RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS), RESERVATION_GRANTED);
	assert_true(io_is_fine(1, true, RESERVATION_IO_REFUSED));
	assert_false(io_is_fine(1, true, RESERVATION_IO_DONE));
}

static void a_preempted_holder_does_not_write(void **state)
{
	(void)state;
	reserve(NVME_RESERVATION_WRITE_EXCLUSIVE);
	ask(1, to_preempt(1, 0, NVME_RESERVATION_WRITE_EXCLUSIVE), RESERVATION_GRANTED);
	assert_true(io_is_fine(1, true, RESERVATION_IO_DONE));
	assert_false(io_is_fine(0, true, RESERVATION_IO_DONE));
}

static void after_a_release_all_may_write(void **state)
{
	(void)state;
	reserve(NVME_RESERVATION_WRITE_EXCLUSIVE);
	ask(0, to_release(0, NVME_RESERVATION_WRITE_EXCLUSIVE), RESERVATION_GRANTED);
	assert_true(io_is_fine(2, true, RESERVATION_IO_DONE));
	assert_false(io_is_fine(2, true, RESERVATION_IO_REFUSED));
}

/* ---- answers ---- */

static void an_answer_that_cannot_be_is_seen(void **state)
{
	(void)state;
	reserve(NVME_RESERVATION_WRITE_EXCLUSIVE);
	ask(1, to_acquire(1, NVME_RESERVATION_WRITE_EXCLUSIVE), RESERVATION_GRANTED);
	assert_non_null(reservation_check_error(check));
}

static void of_two_that_race_one_wins(void **state)
{
	struct reservation_ask one;
	struct reservation_ask two;

	(void)state;
	ask(0, to_register(0), RESERVATION_GRANTED);
	ask(1, to_register(1), RESERVATION_GRANTED);
	one = ask_begin(0, to_acquire(0, NVME_RESERVATION_WRITE_EXCLUSIVE));
	two = ask_begin(1, to_acquire(1, NVME_RESERVATION_WRITE_EXCLUSIVE));
	ask_end(&two, RESERVATION_GRANTED);
	assert_true(io_is_fine(0, true, RESERVATION_IO_REFUSED));
	ask_end(&one, RESERVATION_CONFLICT);
	assert_null(reservation_check_error(check));
	assert_false(io_is_fine(0, true, RESERVATION_IO_DONE));
}

static void of_two_that_race_both_do_not_win(void **state)
{
	struct reservation_ask one;
	struct reservation_ask two;

	(void)state;
	ask(0, to_register(0), RESERVATION_GRANTED);
	ask(1, to_register(1), RESERVATION_GRANTED);
	one = ask_begin(0, to_acquire(0, NVME_RESERVATION_WRITE_EXCLUSIVE));
	two = ask_begin(1, to_acquire(1, NVME_RESERVATION_WRITE_EXCLUSIVE));
	ask_end(&two, RESERVATION_GRANTED);
	ask_end(&one, RESERVATION_GRANTED);
	assert_non_null(reservation_check_error(check));
}

static void a_command_without_an_answer_may_act_until_a_later_one_is_answered(void **state)
{
	(void)state;
	reserve(NVME_RESERVATION_WRITE_EXCLUSIVE);
	ask(0, to_release(0, NVME_RESERVATION_WRITE_EXCLUSIVE), RESERVATION_UNKNOWN);
	assert_true(io_is_fine(1, true, RESERVATION_IO_REFUSED));
	assert_true(io_is_fine(1, true, RESERVATION_IO_DONE));
	assert_int_equal(reservation_state_count(check), 2);
	/* Granted to a holder and to one who takes it anew: but the release is over. */
	ask(0, to_acquire(0, NVME_RESERVATION_WRITE_EXCLUSIVE), RESERVATION_GRANTED);
	assert_int_equal(reservation_state_count(check), 1);
	assert_false(io_is_fine(1, true, RESERVATION_IO_DONE));
}

static void another_hosts_answer_leaves_a_lost_command_alive(void **state)
{
	(void)state;
	reserve(NVME_RESERVATION_WRITE_EXCLUSIVE);
	ask(0, to_release(0, NVME_RESERVATION_WRITE_EXCLUSIVE), RESERVATION_UNKNOWN);
	report(2, &reserved_seen);
	assert_int_equal(reservation_state_count(check), 2);
	assert_true(io_is_fine(1, true, RESERVATION_IO_DONE));
}

static void a_command_that_began_before_the_loss_settles_nothing(void **state)
{
	struct reservation_ask asked;

	(void)state;
	reserve(NVME_RESERVATION_WRITE_EXCLUSIVE);
	asked = ask_begin(0, (struct nvme_reservation){.opcode = NVME_RESERVATION_REPORT});
	ask(0, to_release(0, NVME_RESERVATION_WRITE_EXCLUSIVE), RESERVATION_UNKNOWN);
	report(2, &reserved_seen);
	reservation_ask_done(check, &asked, RESERVATION_GRANTED, &reserved_seen, ++now_ns);
	assert_true(io_is_fine(1, true, RESERVATION_IO_DONE));
}

static void an_answer_over_another_path_settles_nothing(void **state)
{
	struct reservation_ask asked;

	(void)state;
	reserve(NVME_RESERVATION_WRITE_EXCLUSIVE);
	ask(0, to_release(0, NVME_RESERVATION_WRITE_EXCLUSIVE), RESERVATION_UNKNOWN);
	asked = (struct reservation_ask){
		.host = 0,
		.path = 1,
		.request = to_acquire(0, NVME_RESERVATION_WRITE_EXCLUSIVE),
	};
	reservation_ask_begin(check, &asked, ++now_ns);
	ask_end(&asked, RESERVATION_GRANTED);
	assert_true(io_is_fine(1, true, RESERVATION_IO_DONE));
}

static void a_report_must_show_a_state_that_may_be(void **state)
{
	struct reservation_seen seen = reserved_seen;

	(void)state;
	reserve(NVME_RESERVATION_WRITE_EXCLUSIVE);
	report(2, &seen);
	assert_null(reservation_check_error(check));
	seen.keys[1] = 0;
	report(2, &seen);
	assert_non_null(reservation_check_error(check));
}

static void a_report_of_another_type_or_holder_is_seen(void **state)
{
	struct reservation_seen seen = reserved_seen;

	(void)state;
	seen.type = NVME_RESERVATION_EXCLUSIVE_ACCESS;
	reserve(NVME_RESERVATION_WRITE_EXCLUSIVE);
	report(2, &seen);
	assert_non_null(reservation_check_error(check));
	teardown(NULL);
	setup_with(false);
	reserve(NVME_RESERVATION_WRITE_EXCLUSIVE);
	seen.type = NVME_RESERVATION_WRITE_EXCLUSIVE;
	seen.is_holder[0] = false;
	seen.is_holder[1] = true;
	report(2, &seen);
	assert_non_null(reservation_check_error(check));
}

static void a_report_of_a_foreign_registrant_or_generation_is_seen(void **state)
{
	struct reservation_seen seen = {.generation = 1, .keys = {KEY(0)}};

	(void)state;
	ask(0, to_register(0), RESERVATION_GRANTED);
	report(1, &seen);
	assert_null(reservation_check_error(check));
	seen.has_strangers = true;
	report(1, &seen);
	assert_non_null(reservation_check_error(check));
	teardown(NULL);
	setup_with(false);
	ask(0, to_register(0), RESERVATION_GRANTED);
	seen = (struct reservation_seen){.generation = 2, .keys = {KEY(0)}};
	report(1, &seen);
	assert_non_null(reservation_check_error(check));
}

/* ---- the target's end ---- */

static void with_its_target_goes_what_is_not_kept(void **state)
{
	(void)state;
	reserve(NVME_RESERVATION_WRITE_EXCLUSIVE);
	reservation_target_gone(check, ++now_ns);
	assert_true(io_is_fine(1, true, RESERVATION_IO_DONE));
	assert_false(io_is_fine(1, true, RESERVATION_IO_REFUSED));
}

static void what_is_kept_outlives_its_target(void **state)
{
	struct nvme_reservation request = to_register(0);

	(void)state;
	request.persist = NVME_RESERVATION_PERSIST_SET;
	ask(0, request, RESERVATION_GRANTED);
	ask(0, to_acquire(0, NVME_RESERVATION_WRITE_EXCLUSIVE), RESERVATION_GRANTED);
	reservation_target_gone(check, ++now_ns);
	assert_true(io_is_fine(0, true, RESERVATION_IO_DONE));
	assert_false(io_is_fine(1, true, RESERVATION_IO_DONE));
}

static void nobody_keeps_what_cannot_be_kept(void **state)
{
	struct nvme_reservation request = to_register(0);

	(void)state;
	request.persist = NVME_RESERVATION_PERSIST_SET;
	ask(0, request, RESERVATION_INVALID);
	assert_null(reservation_check_error(check));
	ask(0, request, RESERVATION_GRANTED);
	assert_non_null(reservation_check_error(check));
}

/* ---- too many states ---- */

static struct reservation_ask path_ask_begin(uint32_t host, uint32_t path,
					     struct nvme_reservation request)
{
	struct reservation_ask asked = {.host = host, .path = path, .request = request};

	reservation_ask_begin(check, &asked, ++now_ns);
	return asked;
}

#define PATHS 3

/* One command less than the check can hold has lost its answer: which have acted, which was last?
 */
static void get_lost(void)
{
	for (uint32_t lost = 0; lost < RESERVATION_COMMANDS_MAX - 1; lost++) {
		uint32_t host = lost / PATHS;
		uint32_t path = lost % PATHS;
		struct nvme_reservation request = {
			.opcode = NVME_RESERVATION_REGISTER,
			.action = NVME_RESERVATION_REPLACE_KEY,
			.is_ignoring_key = true,
			.other_key = KEY(host) + 10 * path,
		};
		struct reservation_ask asked = path_ask_begin(host, path, request);

		ask_end(&asked, RESERVATION_UNKNOWN);
	}
	assert_int_equal(reservation_state_count(check), 0);
	assert_null(reservation_check_error(check));
}

/* Every host is answered on each path, so no lost command acts any more. */
static void settle_all(void)
{
	for (uint32_t lost = 0; lost < RESERVATION_COMMANDS_MAX - 1; lost++) {
		struct reservation_ask asked = path_ask_begin(
			lost / PATHS, lost % PATHS,
			(struct nvme_reservation){.opcode = NVME_RESERVATION_REPORT});

		reservation_ask_done(check, &asked, RESERVATION_GRANTED, &reserved_seen, ++now_ns);
		assert_int_equal(reservation_state_count(check), 0);
	}
}

static void a_report_that_was_alone_ends_ignorance(void **state)
{
	(void)state;
	get_lost();
	settle_all();
	report(2, &reserved_seen);
	assert_null(reservation_check_error(check));
	assert_int_equal(reservation_state_count(check), 1);
	assert_true(io_is_fine(0, true, RESERVATION_IO_DONE));
	assert_true(io_is_fine(1, true, RESERVATION_IO_REFUSED));
	assert_false(io_is_fine(1, true, RESERVATION_IO_DONE));
}

static void a_report_does_not_tell_what_outlives_the_target(void **state)
{
	(void)state;
	get_lost();
	settle_all();
	report(2, &reserved_seen);
	assert_int_equal(reservation_state_count(check), 2);
	reservation_target_gone(check, ++now_ns);
	assert_true(io_is_fine(1, true, RESERVATION_IO_DONE));
	assert_true(io_is_fine(1, true, RESERVATION_IO_REFUSED));
}

static void a_report_beside_a_command_or_the_targets_end_does_not_end_ignorance(void **state)
{
	const struct nvme_reservation to_report = {.opcode = NVME_RESERVATION_REPORT};
	struct reservation_ask asked;

	(void)state;
	get_lost();
	settle_all();
	asked = ask_begin(2, to_report);
	ask(0, to_release(0, NVME_RESERVATION_WRITE_EXCLUSIVE), RESERVATION_GRANTED);
	reservation_ask_done(check, &asked, RESERVATION_GRANTED, &reserved_seen, ++now_ns);
	assert_int_equal(reservation_state_count(check), 0);
	asked = ask_begin(2, to_report);
	reservation_target_gone(check, ++now_ns);
	reservation_ask_done(check, &asked, RESERVATION_GRANTED, &reserved_seen, ++now_ns);
	assert_int_equal(reservation_state_count(check), 0);
	assert_null(reservation_check_error(check));
}

static void a_report_that_fits_no_state_is_seen_in_ignorance_too(void **state)
{
	struct reservation_seen seen = reserved_seen;

	(void)state;
	get_lost();
	settle_all();
	seen.is_holder[0] = false; /* held, and by nobody */
	seen.keys[0] = 0;
	report(2, &seen);
	assert_non_null(reservation_check_error(check));
}

/* ---- what the history is told ---- */

static void the_history_hears_who_is_denied_and_since_when(void **state)
{
	struct history_io write = {.first_block = 3, .block_count = 1, .host = 1};
	struct history_io read = {.first_block = 3, .block_count = 1};
	uint8_t bytes[BLOCK_BYTES];
	char error[HISTORY_ERROR_BYTES];

	(void)state;
	reserve(NVME_RESERVATION_WRITE_EXCLUSIVE);
	history_write_begin(history, &write, ++now_ns);
	history_stamp(history, &write, bytes);
	history_read_begin(history, &read, ++now_ns);
	assert_false(history_read_done(history, &read, ++now_ns, bytes, error));
	ask(0, to_release(0, NVME_RESERVATION_WRITE_EXCLUSIVE), RESERVATION_GRANTED);
	history_read_begin(history, &read, ++now_ns);
	assert_true(history_read_done(history, &read, ++now_ns, bytes, error));
}

static void hosts_are_known_by_their_identifier(void **state)
{
	uint8_t id[16] = {[15] = 6};

	(void)state;
	assert_int_equal(reservation_host_of(check, id), 1);
	id[15] = 4;
	assert_int_equal(reservation_host_of(check, id), HISTORY_HOSTS_MAX);
	id[15] = 9;
	assert_int_equal(reservation_host_of(check, id), HISTORY_HOSTS_MAX);
}

/* ---- two sets of rules ---- */

static struct uuid host_uuid(uint32_t host)
{
	struct uuid uuid = {{0}};

	uuid.bytes[15] = (uint8_t)(1 + host);
	return uuid;
}

/* Keys of one's own are never preempted: what that means is left open by the standard. */
static struct nvme_reservation request_draw(struct prng *prng, uint32_t host)
{
	static const enum nvme_opcode opcodes[] = {
		NVME_RESERVATION_REGISTER, NVME_RESERVATION_ACQUIRE, NVME_RESERVATION_RELEASE};
	struct nvme_reservation request = {
		.opcode = opcodes[prng_below(prng, 3)],
		.type = (enum nvme_reservation_type)(1 + prng_below(prng, 6)),
		.current_key = prng_chance(prng, 7, 8) ? KEY(host) : 99,
	};

	if (request.opcode == NVME_RESERVATION_REGISTER) {
		request.action = (uint8_t)prng_below(prng, 3);
		request.other_key = prng_chance(prng, 7, 8) ? KEY(host) : 30 + host;
		request.is_ignoring_key = prng_chance(prng, 1, 4);
		if (prng_chance(prng, 1, 4))
			request.persist = NVME_RESERVATION_PERSIST_SET;
	} else if (request.opcode == NVME_RESERVATION_ACQUIRE) {
		request.action = (uint8_t)prng_below(prng, 3);
		if (request.action != NVME_RESERVATION_ACQUIRE_NEW && prng_chance(prng, 3, 4))
			request.other_key =
				KEY((host + 1 + prng_below(prng, HISTORY_HOSTS_MAX - 1)) %
				    HISTORY_HOSTS_MAX);
	} else {
		request.action = (uint8_t)prng_below(prng, 2);
	}
	return request;
}

static enum reservation_answer answer_of(uint16_t status)
{
	if (status == NVME_STATUS_SUCCESS)
		return RESERVATION_GRANTED;
	return status == NVME_STATUS_RESERVATION_CONFLICT ? RESERVATION_CONFLICT
							  : RESERVATION_INVALID;
}

static void states_compare(const struct reservation_state *model,
			   const struct target_reservation_state *target)
{
	assert_int_equal(model->type, target->type);
	assert_int_equal(model->generation, target->generation);
	assert_int_equal(model->is_persistent, target->is_persistent);
	for (uint32_t host = 0; host < HISTORY_HOSTS_MAX; host++) {
		struct uuid uuid = host_uuid(host);
		uint32_t index = reservation_find(target, &uuid);
		uint64_t key = index == TARGET_REGISTRANTS_MAX ? 0 : target->registrants[index].key;

		assert_int_equal(model->keys[host], key);
		assert_int_equal(reservation_model_is_holder(model, host),
				 key != 0 && reservation_is_holder(target, index));
		for (uint32_t is_write = 0; is_write < 2; is_write++)
			assert_int_equal(reservation_model_allows(model, host, is_write != 0),
					 !reservation_conflicts(target, &uuid, is_write != 0));
	}
}

static void the_rules_here_and_those_of_the_target_agree(void **state)
{
	struct target_reservation_state target = {0};
	struct reservation_state model = {0};
	struct reservation_notices notices;
	uint32_t granted = 0;
	struct prng prng;

	(void)state;
	prng_init(&prng, 4711);
	for (uint32_t i = 0; i < 200000; i++) {
		uint32_t host = (uint32_t)prng_below(&prng, HISTORY_HOSTS_MAX);
		struct nvme_reservation request = request_draw(&prng, host);
		bool can_persist = prng_chance(&prng, 1, 2);
		struct uuid uuid = host_uuid(host);
		uint16_t status =
			reservation_change(&target, &uuid, &request, can_persist, &notices);

		assert_int_equal(reservation_model_apply(&model, host, &request, can_persist),
				 answer_of(status));
		states_compare(&model, &target);
		granted += status == NVME_STATUS_SUCCESS;
	}
	assert_in_range(granted, 20000, 180000); /* both outcomes were tried */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)
#define CASE_KEPT(name) cmocka_unit_test_setup_teardown(name, setup_kept, teardown)
		CASE(who_holds_it_writes_and_nobody_else),
		CASE(a_holder_that_is_refused_is_seen),
		CASE(a_read_of_a_stranger_under_exclusive_access_is_seen),
		CASE(a_write_that_began_before_the_reservation_may_end_either_way),
		CASE(a_write_that_was_denied_for_a_moment_may_be_refused),
		CASE(while_a_reservation_is_under_way_both_are_right),
		CASE(a_preempted_host_does_not_write),
		CASE(a_preempted_holder_does_not_write),
		CASE(after_a_release_all_may_write),
		CASE(an_answer_that_cannot_be_is_seen),
		CASE(of_two_that_race_one_wins),
		CASE(of_two_that_race_both_do_not_win),
		CASE(a_command_without_an_answer_may_act_until_a_later_one_is_answered),
		CASE(another_hosts_answer_leaves_a_lost_command_alive),
		CASE(a_command_that_began_before_the_loss_settles_nothing),
		CASE(an_answer_over_another_path_settles_nothing),
		CASE(a_report_must_show_a_state_that_may_be),
		CASE(a_report_of_another_type_or_holder_is_seen),
		CASE(a_report_of_a_foreign_registrant_or_generation_is_seen),
		CASE(with_its_target_goes_what_is_not_kept),
		CASE_KEPT(what_is_kept_outlives_its_target),
		CASE(nobody_keeps_what_cannot_be_kept),
		CASE(a_report_that_was_alone_ends_ignorance),
		CASE_KEPT(a_report_does_not_tell_what_outlives_the_target),
		CASE(a_report_beside_a_command_or_the_targets_end_does_not_end_ignorance),
		CASE(a_report_that_fits_no_state_is_seen_in_ignorance_too),
		CASE(the_history_hears_who_is_denied_and_since_when),
		CASE(hosts_are_known_by_their_identifier),
		CASE(the_rules_here_and_those_of_the_target_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
