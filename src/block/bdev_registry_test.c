/* SPDX-License-Identifier: Apache-2.0 */
/* bdev_registry_test.c - creating and destroying by URI: a table of refusals, then the rules of
 * names, uuids, references and concurrent requests.
 */
#include "block/bdev_test_fixture.h"

#include <errno.h>

#define UUID_ONE "3a1f0c9e-6b0a-4d7e-9a55-0d2c1b7e8f40"
#define UUID_TWO "3a1f0c9e-6b0a-4d7e-9a55-0d2c1b7e8f41"

static const struct refusal {
	const char *uri;
	int result;
	const char *said; /* part of the sentence */
} refusals[] = {
	{"", -EINVAL, ""},
	{"bogus:///a", -EINVAL, "use malloc"},
	{"bogus:///a", -EINVAL, "bogus"},
	{"malloc://", -EINVAL, ""},
	{"malloc:///", -EINVAL, "1 to"},
	{"malloc:///a", -EINVAL, "exactly one"},
	{"malloc:///a?size_mb=1&num_blocks=8", -EINVAL, "exactly one"},
	{"malloc:///a?size_mb=0", -EINVAL, "zero"},
	{"malloc:///a?num_blocks=0", -EINVAL, "zero"},
	{"malloc:///a?size_mb=-1", -EINVAL, "size_mb '-1'"},
	{"malloc:///a?size_mb=", -EINVAL, "number"},
	{"malloc:///a?size_mb=1x", -EINVAL, "number"},
	{"malloc:///a?size_mb=18446744073709551616", -EINVAL, "number"},
	{"malloc:///a?size_mb=18446744073709551615", -EINVAL, "2^63"},
	{"malloc:///a?num_blocks=18446744073709551615&blk_size=4096", -EINVAL, "2^63"},
	{"malloc:///a?size_mb=1&blk_size=1024", -EINVAL, "512 or 4096"},
	{"malloc:///a?size_mb=1&blk_size=", -EINVAL, "512 or 4096"},
	{"malloc:///a?size_mb=1&uuid=nonsense", -EINVAL, "uuid"},
	{"malloc:///a?size_mb=1&uuid=00000000-0000-0000-0000-000000000000", -EINVAL, "uuid"},
	{"malloc:///a?size_mb=1&colour=red", -EINVAL, "colour"},
	{"malloc:///a?size_mb=1&size_mb=1", -EINVAL, "twice"},
	{"malloc:///a?size_mb=1&rescan", -EINVAL, "allowed: uuid, blk_size, size_mb"},
	{"malloc:///a?size_mb=1&resize=perhaps", -EINVAL, "true or false"},
	{"malloc://host/a?size_mb=1", -EINVAL, "host"},
	{"malloc:///a%01b?size_mb=1", -EINVAL, "control character"},
	{"null:///a", -EINVAL, "exactly one"},
	{"null:///a?size_mb=1&colour=red", -EINVAL, "colour"},
	{"aio:///no/such/path", -ENOENT, "does not exist"},
	{"uring:///no/such/path", -ENOENT, "does not exist"},
	{"/no/such/path", -ENOENT, "/no/such/path"},
	{"aio:///dev/null/x", -ENOENT, "does not exist"},
	{"aio:///tmp?size_mb=1", -EINVAL, "size_mb"},
	{"aio:///tmp?blk_size=513", -EINVAL, "512 or 4096"},
	{"aio:///tmp", -EISDIR, "regular file or a block device"},
	{"bdev:///nobody", -ENOENT, "create it first"},
	{"loopback:///nobody?uuid=" UUID_ONE, -ENOENT, "create it first"},
	{"bdev:///nobody?size_mb=1", -EINVAL, "allowed: uuid"},
	{"pcie:///0000:01:00.0", -ENOTSUP, "use aio:///dev/nvmeXn1"},
	{"filter:///f", -EINVAL, "lower="},
	{"filter:///f?lower=nobody", -ENOENT, "nobody"},
};

static void refusals_name_the_reason(void **state)
{
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *refusal = &refusals[i];

		if (fixture_try(fixture, refusal->uri) != refusal->result ||
		    strstr(fixture->create.error, refusal->said) == NULL)
			fail_msg("%s: %d %s", refusal->uri, fixture->create.result,
				 fixture->create.error);
		assert_null(fixture->create.bdev);
	}
	assert_null(bdev_next(fixture->registry, NULL));
}

static void too_long_uris_are_refused(void **state)
{
	struct fixture *fixture = *state;
	char uri[URI_TEXT_BYTES_SHOWN];

	memset(uri, 'a', sizeof(uri) - 1);
	uri[sizeof(uri) - 1] = '\0';
	memcpy(uri, "malloc:///", 10);
	assert_int_equal(fixture_try(fixture, uri), -EINVAL);
	uri[10 + NAME_BYTES_MAX] = '\0';
	assert_int_equal(fixture_try(fixture, uri), -EINVAL);
}

static void an_existing_name_is_refused_and_shown(void **state)
{
	struct fixture *fixture = *state;
	struct bdev *bdev = fixture_create(fixture, "malloc:///a?size_mb=1&uuid=" UUID_ONE);

	assert_string_equal(bdev->name, "a");
	assert_string_equal(bdev->uri, "malloc:///a?size_mb=1&uuid=" UUID_ONE);
	assert_int_equal(fixture_try(fixture, "malloc:///a?size_mb=1"), -EEXIST);
	assert_ptr_equal(fixture->create.bdev, bdev);
	assert_int_equal(fixture_try(fixture, "null:///a?size_mb=1"), -EEXIST);
	assert_int_equal(fixture_try(fixture, "null:///a?size_mb=2&resize"), -EEXIST);
	assert_int_equal(fixture_try(fixture, "filter:///a?lower=a"), -EEXIST);
	assert_ptr_equal(fixture->create.bdev, bdev);
	fixture_destroy(fixture, bdev);
}

static void an_existing_uuid_is_refused_and_nothing_is_left(void **state)
{
	struct fixture *fixture = *state;
	struct bdev *bdev = fixture_create(fixture, "malloc:///a?size_mb=1&uuid=" UUID_ONE);

	assert_int_equal(fixture_try(fixture, "malloc:///b?size_mb=1&uuid=" UUID_ONE), -EEXIST);
	assert_ptr_equal(fixture->create.bdev, bdev);
	assert_null(bdev_find(fixture->registry, "b"));
	assert_int_equal(fixture_try(fixture, "filter:///b?lower=a&uuid=" UUID_ONE), -EEXIST);
	assert_string_equal(bdev->claimed_by, ""); /* the filter went away again */
	fixture_destroy(fixture, bdev);
}

static void bdevs_are_found_by_name_and_uuid_and_listed_in_order(void **state)
{
	struct fixture *fixture = *state;
	struct bdev *one = fixture_create(fixture, "malloc:///one?size_mb=1&uuid=" UUID_ONE);
	struct bdev *two = fixture_create(fixture, "null:///two?size_mb=1");
	struct uuid uuid;

	assert_true(uuid_parse(UUID_ONE, &uuid));
	assert_ptr_equal(bdev_find(fixture->registry, "one"), one);
	assert_ptr_equal(bdev_find_by_uuid(fixture->registry, &uuid), one);
	assert_ptr_equal(bdev_find_by_uuid(fixture->registry, &two->uuid), two);
	assert_null(bdev_find(fixture->registry, "three"));
	assert_ptr_equal(bdev_next(fixture->registry, NULL), one);
	assert_ptr_equal(bdev_next(fixture->registry, one), two);
	assert_null(bdev_next(fixture->registry, two));
	fixture_destroy(fixture, one);
	fixture_destroy(fixture, two);
}

static void a_bdev_in_use_is_not_destroyed(void **state)
{
	struct fixture *fixture = *state;
	struct bdev *bdev = fixture_create(fixture, "malloc:///a?size_mb=1");
	struct bdev_channel *channel = fixture_open(bdev, fixture->other);

	assert_int_equal(fixture_try_destroy(fixture, bdev, false), -EBUSY);
	assert_non_null(strstr(fixture->destroy.error, "open"));
	bdev_channel_close(channel);
	assert_int_equal(bdev_claim(bdev, "pool p1"), 0);
	assert_int_equal(fixture_try_destroy(fixture, bdev, false), -EBUSY);
	assert_non_null(strstr(fixture->destroy.error, "pool p1"));
	assert_ptr_equal(bdev_find(fixture->registry, "a"), bdev);
	bdev_unclaim(bdev);
	assert_int_equal(fixture_try_destroy(fixture, bdev, false), 0);
	assert_null(bdev_find(fixture->registry, "a"));
}

static void destroying_tells_the_listeners(void **state)
{
	struct fixture *fixture = *state;
	struct bdev *bdev = fixture_create(fixture, "malloc:///a?size_mb=1");
	struct fixture_listener heard;

	fixture_listen(&heard, bdev);
	fixture_destroy(fixture, bdev);
	assert_int_equal(heard.removed_count, 1);
	bdev_unlisten(&heard.listener); /* though the bdev is gone */
}

static void an_alias_gives_the_bdev_and_a_reference(void **state)
{
	struct fixture *fixture = *state;
	struct bdev *bdev = fixture_create(fixture, "malloc:///a?size_mb=1&uuid=" UUID_ONE);

	assert_false(fixture->create.is_reference);
	assert_ptr_equal(fixture_create(fixture, "bdev:///a?uuid=" UUID_ONE), bdev);
	assert_true(fixture->create.is_reference);
	assert_ptr_equal(fixture_create(fixture, "loopback:///a"), bdev);
	assert_true(fixture->create.is_reference);
	assert_string_equal(bdev->uri, "malloc:///a?size_mb=1&uuid=" UUID_ONE);
	assert_int_equal(fixture_try(fixture, "bdev:///a?uuid=" UUID_TWO), -EINVAL);
	assert_non_null(strstr(fixture->create.error, UUID_ONE));
	assert_false(fixture->create.is_reference);

	assert_int_equal(fixture_try_destroy(fixture, bdev, false), -EBUSY);
	assert_int_equal(fixture_try_destroy(fixture, bdev, true), 0);
	assert_int_equal(fixture_try_destroy(fixture, bdev, false), -EBUSY);
	assert_int_equal(fixture_try_destroy(fixture, bdev, true), 0);
	assert_ptr_equal(bdev_find(fixture->registry, "a"), bdev);
	fixture_destroy(fixture, bdev);
}

static void an_alias_of_a_lost_bdev_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct bdev *bdev = fixture_create(fixture, "malloc:///a?size_mb=1");

	bdev_notify(bdev, BDEV_REMOVED);
	assert_int_equal(fixture_try(fixture, "bdev:///a"), -ENODEV);
	fixture_destroy(fixture, bdev);
}

static void names_of_uris_are_told_without_creating(void **state)
{
	struct fixture *fixture = *state;
	char name[NAME_BYTES_MAX];
	char error[ERROR_TEXT_BYTES];

	assert_int_equal(
		bdev_registry_name(fixture->registry, "malloc:///x?size_mb=1", name, error), 0);
	assert_string_equal(name, "x");
	assert_int_equal(bdev_registry_name(fixture->registry, "aio:///dev/sdb", name, error), 0);
	assert_string_equal(name, "/dev/sdb");
	assert_int_equal(bdev_registry_name(fixture->registry, "/dev/sdb", name, error), 0);
	assert_string_equal(name, "/dev/sdb");
	assert_int_equal(bdev_registry_name(fixture->registry, "what:///x", name, error), -EINVAL);
	assert_non_null(strstr(error, "what"));
}

/* A driver that answers when the test says so, and a bdev whose provider destroys it. */

struct slow_driver {
	struct bdev_driver driver;
	struct bdev_create *create;
	struct bdev bdev;
};

static int slow_name(const struct uri *uri, char ret_name[NAME_BYTES_MAX],
		     char ret_error[ERROR_TEXT_BYTES])
{
	(void)ret_error;
	snprintf(ret_name, NAME_BYTES_MAX, "%s", uri->path + 1);
	return 0;
}

static void slow_create(struct bdev_create *create)
{
	struct slow_driver *slow = container_of(create->driver, struct slow_driver, driver);

	slow->create = create;
}

static void slow_answer(struct slow_driver *slow, struct fixture *fixture)
{
	static const struct bdev_ops ops = {.product_name = "provided elsewhere"};

	slow->bdev = (struct bdev){.ops = &ops,
				   .main = fixture->main,
				   .block_bytes = 512,
				   .block_count = 1,
				   .memory_alignment = 1,
				   .uuid.bytes = {9}};
	snprintf(slow->bdev.name, sizeof(slow->bdev.name), "%s", slow->create->name);
	bdev_init(&slow->bdev);
	slow->create->bdev = &slow->bdev;
	op_done(slow->create->parent);
}

static void one_name_is_created_by_one_request_at_a_time(void **state)
{
	static const char *const schemes[] = {"slow", NULL};
	struct fixture *fixture = *state;
	struct slow_driver slow = {
		.driver = {.schemes = schemes, .name = slow_name, .create = slow_create}};
	struct bdev_create create = {.registry = fixture->registry, .uri_text = "slow:///a"};
	struct waiter waiter;

	bdev_registry_add_driver(fixture->registry, &slow.driver);
	waiter_init(&waiter, fixture->main);
	create.parent = &waiter.op;
	op_wait(&waiter.op);
	bdev_create_submit(&create);
	fixture_turn(fixture);
	assert_int_equal(waiter.op.pending, 1);
	assert_int_equal(fixture_try(fixture, "slow:///a"), -EBUSY);
	assert_int_equal(fixture_try(fixture, "malloc:///a?size_mb=1"), -EBUSY);
	assert_null(bdev_find(fixture->registry, "a"));
	slow_answer(&slow, fixture);
	fixture_wait(fixture, &waiter);
	assert_int_equal(create.result, 0);
	assert_ptr_equal(create.parent, &waiter.op);
	assert_ptr_equal(bdev_find(fixture->registry, "a"), &slow.bdev);
	/* What a provider made without a destroy function is not destroyed here. */
	assert_int_equal(fixture_try_destroy(fixture, &slow.bdev, false), -ENOTSUP);
	bdev_registry_remove(fixture->registry, &slow.bdev);
	assert_int_equal(bdev_registry_add(fixture->registry, &slow.bdev), 0);
	bdev_registry_remove(fixture->registry, &slow.bdev);
	list_remove(&slow.driver.link);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE(refusals_name_the_reason),
		RULE(too_long_uris_are_refused),
		RULE(an_existing_name_is_refused_and_shown),
		RULE(an_existing_uuid_is_refused_and_nothing_is_left),
		RULE(bdevs_are_found_by_name_and_uuid_and_listed_in_order),
		RULE(a_bdev_in_use_is_not_destroyed),
		RULE(destroying_tells_the_listeners),
		RULE(an_alias_gives_the_bdev_and_a_reference),
		RULE(an_alias_of_a_lost_bdev_is_refused),
		RULE(names_of_uris_are_told_without_creating),
		RULE(one_name_is_created_by_one_request_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
