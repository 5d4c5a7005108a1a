/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_test_fixture.h - for tests of this folder: a volume over filters over RAM disks.
 *
 * Child i is the filter "f<i>" over the RAM disk "m<i>". The RAM disks belong to the test, the
 * filters to the nexus. The home reactor is the second one unless a test says otherwise; both are
 * turned by the test's thread.
 */
#ifndef NEXUS_NEXUS_TEST_FIXTURE_H
#define NEXUS_NEXUS_TEST_FIXTURE_H

#include "block/bdev_test_fixture.h"
#include "nexus/nexus_impl.h"

#define VOLUME_CHILDREN_MAX 6
#define VOLUME_DISK_MB	    7
#define VOLUME_SIZE_BYTES   (7ull << 20)
#define VOLUME_KEY	    "volume"

struct volume {
	struct fixture *fixture;
	struct log log;
	struct nexus_recorder_memory recorder;
	struct nexus_set *set;
	struct reactor *home;
	struct nexus *nexus;
	struct bdev_channel *channel;
	struct bdev *disks[VOLUME_CHILDREN_MAX];
	struct bdev_channel *below[VOLUME_CHILDREN_MAX];
	struct nexus_create create;
	struct nexus_request request;
	struct nexus_info info;
	char uris[VOLUME_CHILDREN_MAX][128];
	uint64_t record_wait_ns;
	uint64_t epoch;
	const struct nexus_record *stored;
};

/* An I/O of the test that is not waited for at once. */
struct test_io {
	struct waiter waiter;
	struct bdev_io io;
	struct iovec iov;
	uint8_t *bytes; /* IO_BYTES_MAX, on whole pages */
};

static inline struct test_io *test_io_create(void)
{
	struct test_io *test = memory_alloc(sizeof(*test));

	assert_non_null(test);
	test->bytes = memory_alloc_pages(IO_BYTES_MAX);
	assert_non_null(test->bytes);
	return test;
}

static inline void test_io_destroy(struct test_io *test)
{
	memory_free_pages(test->bytes, IO_BYTES_MAX);
	memory_free(test);
}

static inline void volume_log(struct log *log, const char *line)
{
	if (log->user != NULL)
		fprintf(stderr, "%s\n", line);
}

static inline void volume_turns(struct volume *volume, int count)
{
	for (int i = 0; i < count; i++)
		fixture_turn(volume->fixture);
}

static inline const char *volume_uri(struct volume *volume, uint32_t index)
{
	snprintf(volume->uris[index], sizeof(volume->uris[index]),
		 "filter:///f%u?lower=m%u&uuid=00000000-0000-4000-8000-00000000000%u", index, index,
		 index);
	return volume->uris[index];
}

static inline struct bdev *volume_filter(struct volume *volume, uint32_t index)
{
	char name[16];

	snprintf(name, sizeof(name), "f%u", index);
	return bdev_find(volume->fixture->registry, name);
}

static inline int volume_rule(struct volume *volume, uint32_t index, struct filter_rule rule)
{
	int id = filter_rule_add(volume_filter(volume, index), &rule);

	assert_true(id >= 0);
	return id;
}

#define RULE_FAIL(type, why) \
	((struct filter_rule){.action = FILTER_FAIL, .type_mask = 1u << (type), .status = (why)})
#define RULE_FAIL_ONCE(type, why) \
	((struct filter_rule){    \
		.action = FILTER_FAIL, .type_mask = 1u << (type), .hits_max = 1, .status = (why)})
#define RULE_HOLD(type) ((struct filter_rule){.action = FILTER_HOLD, .type_mask = 1u << (type)})
/* Only counts. */
#define RULE_COUNT_HITS(type) \
	((struct filter_rule){.action = FILTER_DELAY, .type_mask = 1u << (type), .delay_ns = 1})

static inline struct volume *volume_begin(void **state)
{
	struct volume *volume = memory_alloc(sizeof(*volume));

	assert_non_null(volume);
	volume->fixture = *state;
	volume->home = volume->fixture->other;
	volume->log = (struct log){.level = LOG_DEBUG, .write = volume_log};
	volume->epoch = 1;
	nexus_recorder_memory_init(&volume->recorder);
	for (uint32_t i = 0; i < VOLUME_CHILDREN_MAX; i++) {
		char uri[80];

		snprintf(uri, sizeof(uri), "malloc:///m%u?size_mb=%d", i, VOLUME_DISK_MB);
		volume->disks[i] = fixture_create(volume->fixture, uri);
		volume->below[i] = fixture_open(volume->disks[i], volume->fixture->main);
	}
	return volume;
}

static inline void volume_set_create(struct volume *volume)
{
	struct nexus_set_options options = {.registry = volume->fixture->registry,
					    .recorder = &volume->recorder.recorder,
					    .log = &volume->log,
					    .record_wait_ns = volume->record_wait_ns,
					    .record_retry_ns = volume->record_wait_ns / 50};

	if (volume->set == NULL)
		assert_int_equal(nexus_set_create(&options, &volume->set), 0);
}

/* From now on the store has all the time it wants: a busy machine fails no test. */
static inline void volume_store_returns(struct volume *volume)
{
	ASSERT(volume->set != NULL);
	volume->recorder.answer = NEXUS_RECORD_OK;
	volume->set->options.record_wait_ns = 30000000000;
}

static inline void volume_start_create(struct volume *volume, uint32_t child_count,
				       struct waiter *waiter)
{
	struct nexus_options *options = &volume->create.options;

	volume_set_create(volume);
	waiter_init(waiter, volume->fixture->main);
	*options = (struct nexus_options){.name = "volume",
					  .uuid = {{1, 2, 3}},
					  .size_bytes = VOLUME_SIZE_BYTES,
					  .controller_id_min = 1,
					  .controller_id_max = 10,
					  .child_count = child_count,
					  .info_key = VOLUME_KEY,
					  .home = volume->home,
					  .epoch = volume->epoch,
					  .stored_record = volume->stored};
	for (uint32_t i = 0; i < child_count; i++)
		options->child_uris[i] = volume_uri(volume, i);
	volume->create.parent = &waiter->op;
	op_wait(&waiter->op);
	nexus_create_submit(volume->set, &volume->create);
}

static inline enum nexus_error volume_end_create(struct volume *volume, struct waiter *waiter)
{
	fixture_wait(volume->fixture, waiter);
	volume->nexus = volume->create.nexus;
	return volume->create.result;
}

static inline enum nexus_error volume_try_create(struct volume *volume, uint32_t child_count)
{
	struct waiter waiter;

	volume_start_create(volume, child_count, &waiter);
	return volume_end_create(volume, &waiter);
}

static inline void volume_create(struct volume *volume, uint32_t child_count)
{
	if (volume_try_create(volume, child_count) != NEXUS_DONE)
		fail_msg("%s", volume->create.error);
	volume->channel = fixture_open(nexus_bdev(volume->nexus), volume->home);
}

/* Runs a request and waits. */
static inline enum nexus_error volume_call(struct volume *volume,
					   void (*submit)(struct nexus *, struct nexus_request *))
{
	struct waiter waiter;

	waiter_init(&waiter, volume->fixture->main);
	volume->request.parent = &waiter.op;
	op_wait(&waiter.op);
	submit(volume->nexus, &volume->request);
	fixture_wait(volume->fixture, &waiter);
	if (volume->request.result != NEXUS_DONE)
		assert_true(volume->request.error[0] != '\0');
	return volume->request.result;
}

static inline enum nexus_error volume_child_call(struct volume *volume, uint32_t index,
						 void (*submit)(struct nexus *,
								struct nexus_request *))
{
	volume->request.uri = volume_uri(volume, index);
	return volume_call(volume, submit);
}

static inline enum nexus_error volume_action(struct volume *volume, uint32_t index,
					     enum nexus_action action)
{
	volume->request.action = action;
	return volume_child_call(volume, index, nexus_child_action_submit);
}

static inline struct nexus_info *volume_info(struct volume *volume)
{
	volume->request = (struct nexus_request){.info = &volume->info};
	assert_int_equal(volume_call(volume, nexus_info_submit), NEXUS_DONE);
	volume->request.info = NULL;
	return &volume->info;
}

static inline struct nexus_child_info *volume_child(struct volume *volume, uint32_t index)
{
	struct nexus_info *info = volume_info(volume);

	for (uint32_t i = 0; i < info->child_count; i++) {
		if (strcmp(info->children[i].uri, volume_uri(volume, index)) == 0)
			return &info->children[i];
	}
	return NULL;
}

/* Turns until the child is in this state. */
static inline void volume_await_child(struct volume *volume, uint32_t index,
				      enum nexus_child_state state)
{
	for (int i = 0; i < 20000; i++) {
		if (volume_child(volume, index)->state == state)
			return;
		volume_turns(volume, 10);
	}
	fail_msg("child %u: state %d, reason %d", index, volume_child(volume, index)->state,
		 volume_child(volume, index)->reason);
}

static inline void volume_submit(struct volume *volume, struct test_io *test, enum io_type type,
				 struct block_range range)
{
	waiter_init(&test->waiter, volume->home);
	test->iov = (struct iovec){test->bytes, range.count * 512};
	test->io = (struct bdev_io){.parent = &test->waiter.op, .type = type, .range = range};
	if (type == IO_READ || type == IO_WRITE || type == IO_COMPARE) {
		test->io.iov = &test->iov;
		test->io.iov_count = 1;
	}
	op_wait(&test->waiter.op);
	bdev_submit(volume->channel, &test->io);
}

static inline bool test_io_is_done(const struct test_io *test)
{
	return test->waiter.op.pending == 0;
}

static inline enum io_status volume_io(struct volume *volume, struct test_io *test,
				       enum io_type type, struct block_range range)
{
	volume_submit(volume, test, type, range);
	fixture_wait(volume->fixture, &test->waiter);
	return test->io.status;
}

static inline enum io_status volume_write(struct volume *volume, struct test_io *test,
					  struct block_range range, int byte)
{
	memset(test->bytes, byte, IO_BYTES_MAX);
	return volume_io(volume, test, IO_WRITE, range);
}

/* One byte of the copy of @block on child @index. */
static inline uint8_t volume_byte_below(struct volume *volume, uint32_t index, uint64_t block)
{
	uint8_t bytes[512];
	struct block_range range = {(5 << 20) / 512 + block, 1};

	assert_int_equal(fixture_io(volume->fixture, volume->below[index], IO_READ, range, bytes),
			 IO_OK);
	return bytes[0];
}

static inline void volume_write_below(struct volume *volume, uint32_t index,
				      struct block_range range, int byte)
{
	uint8_t *bytes = memory_alloc(range.count * 512);

	assert_non_null(bytes);
	memset(bytes, byte, range.count * 512);
	range.first += (5 << 20) / 512;
	assert_int_equal(fixture_io(volume->fixture, volume->below[index], IO_WRITE, range, bytes),
			 IO_OK);
	memory_free(bytes);
}

/* Are all blocks of the volume the same on both children? */
static inline bool volume_is_equal(struct volume *volume, uint32_t one, uint32_t other)
{
	uint64_t count = volume->nexus->block_count;
	uint8_t *bytes = memory_alloc(count * 1024);
	struct block_range range = {(5 << 20) / 512, count};
	bool is_equal;

	assert_non_null(bytes);
	assert_int_equal(fixture_io(volume->fixture, volume->below[one], IO_READ, range, bytes),
			 IO_OK);
	assert_int_equal(fixture_io(volume->fixture, volume->below[other], IO_READ, range,
				    bytes + count * 512),
			 IO_OK);
	is_equal = memcmp(bytes, bytes + count * 512, count * 512) == 0;
	memory_free(bytes);
	return is_equal;
}

static inline const struct nexus_record *volume_record(struct volume *volume)
{
	return nexus_recorder_memory_find(&volume->recorder, VOLUME_KEY);
}

/* As the durable record has it. */
static inline bool volume_is_recorded(struct volume *volume, uint32_t index)
{
	const struct nexus_record *record = volume_record(volume);
	struct uuid uuid;
	char text[64];

	snprintf(text, sizeof(text), "00000000-0000-4000-8000-00000000000%u", index);
	assert_true(uuid_parse(text, &uuid));
	assert_non_null(record);
	return nexus_record_is_healthy(record, &uuid);
}

static inline void volume_destroy(struct volume *volume)
{
	bdev_channel_close(volume->channel);
	volume->channel = NULL;
	volume->request = (struct nexus_request){.parent = NULL};
	assert_int_equal(volume_call(volume, nexus_destroy_submit), NEXUS_DONE);
	volume->nexus = NULL;
}

static inline void volume_end(struct volume *volume)
{
	if (volume->nexus != NULL)
		volume_destroy(volume);
	nexus_set_destroy(volume->set);
	for (uint32_t i = 0; i < VOLUME_CHILDREN_MAX; i++) {
		bdev_channel_close(volume->below[i]);
		fixture_destroy(volume->fixture, volume->disks[i]);
	}
	memory_free(volume);
}

#endif
