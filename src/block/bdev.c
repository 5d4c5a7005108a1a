/* SPDX-License-Identifier: Apache-2.0 */
/* bdev.c - the gate, channels, statistics, and who uses a bdev.
 *
 * Invariants:
 *  1. channel_count counts channels that are open or being opened. Giving up a count is the last
 *     thing a closing channel does to the bdev, since it may be freed right after.
 *  2. While CHANNELS_WATCHED is set nothing is added to the count. Whoever takes it to zero then
 *     sends unused_message, and main frees nothing before that message has run.
 *  3. The spin lock guards the list of channels and closed_stats. It is taken when a channel is
 *     opened or closed and by statistics, never by I/O.
 *  4. Statistics of a channel are written by its reactor alone; others may read a sum in which one
 *     I/O is counted in one number and not yet in another.
 */
#include "block/bdev.h"

#include "base/memory.h"
#include "block/bdev_impl.h"

#include <errno.h>
#include <string.h>

#define CHANNELS_WATCHED (1u << 31)

/* Statistics. */

static void counter_add(uint64_t *counter, uint64_t value)
{
	ASSERT(*counter <= UINT64_MAX - value);
	__atomic_store_n(counter, *counter + value, __ATOMIC_RELAXED);
}

static uint64_t counter_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void stats_count(struct bdev_io_stats *stats, const struct bdev_io *io)
{
	const struct bdev_channel *channel = io->channel;
	uint64_t latency_ns = reactor_now_ns(channel->reactor) - io->submitted_ns;

	ASSERT((unsigned)io->type < IO_TYPE_COUNT);
	ASSERT(latency_ns <= INT64_MAX); /* the clock does not go back */
	if (io->type != IO_FLUSH)
		counter_add(&stats->bytes, io->range.count * channel->bdev->block_bytes);
	if (io->status != IO_OK && io->status != IO_COMPARE_FAILED)
		counter_add(&stats->failures, 1);
	counter_add(&stats->latency_ns_total, latency_ns);
	if (stats->operations == 0 || latency_ns < stats->latency_ns_min)
		__atomic_store_n(&stats->latency_ns_min, latency_ns, __ATOMIC_RELAXED);
	if (latency_ns > stats->latency_ns_max)
		__atomic_store_n(&stats->latency_ns_max, latency_ns, __ATOMIC_RELAXED);
	counter_add(&stats->operations, 1);
	ASSERT(stats->latency_ns_min <= stats->latency_ns_max);
	ASSERT(stats->failures <= stats->operations);
}

static void stats_merge(struct bdev_stats *sum, const struct bdev_stats *part)
{
	for (int i = 0; i < IO_TYPE_COUNT; i++) {
		struct bdev_io_stats *to = &sum->of[i];
		const struct bdev_io_stats *from = &part->of[i];
		uint64_t min_ns = counter_read(&from->latency_ns_min);
		uint64_t max_ns = counter_read(&from->latency_ns_max);

		if (counter_read(&from->operations) == 0)
			continue;
		if (to->operations == 0 || min_ns < to->latency_ns_min)
			to->latency_ns_min = min_ns;
		if (max_ns > to->latency_ns_max)
			to->latency_ns_max = max_ns;
		to->operations += counter_read(&from->operations);
		to->bytes += counter_read(&from->bytes);
		to->failures += counter_read(&from->failures);
		to->latency_ns_total += counter_read(&from->latency_ns_total);
	}
}

void bdev_stats(struct bdev *bdev, struct bdev_stats *ret_stats)
{
	bdev_lock(bdev);
	*ret_stats = bdev->closed_stats;
	list_for_each (node, &bdev->channels)
		stats_merge(ret_stats, &list_entry(node, struct bdev_channel, link)->stats);
	bdev_unlock(bdev);
}

uint64_t bdev_lock_count(const struct bdev *bdev)
{
	return counter_read(&bdev->lock_count);
}

/* Who uses it. */

/* Context: main reactor. */
static void unused_check(struct bdev *bdev)
{
	struct op *waiter = bdev->unused_waiter;

	ASSERT(waiter == NULL || (atomic_load(&bdev->channel_count) & CHANNELS_WATCHED) != 0);
	if (waiter == NULL || bdev->is_unused_message_due || bdev->claimed_by[0] != '\0' ||
	    bdev->reference_count > 0)
		return;
	ASSERT(atomic_load(&bdev->channel_count) == CHANNELS_WATCHED);
	ASSERT(list_is_empty(&bdev->channels));
	bdev->unused_waiter = NULL;
	atomic_store(&bdev->channel_count, 0);
	op_done(waiter);
}

static void unused_run(struct reactor_message *message)
{
	struct bdev *bdev = container_of(message, struct bdev, unused_message);

	ASSERT(bdev->unused_waiter != NULL);
	ASSERT(atomic_load(&bdev->channel_count) == CHANNELS_WATCHED);
	ASSERT(bdev->is_unused_message_due);
	bdev->is_unused_message_due = false;
	unused_check(bdev);
}

void bdev_wait_unused(struct bdev *bdev, struct op *parent)
{
	ASSERT(bdev->unused_waiter == NULL);
	ASSERT(parent != NULL);
	ASSERT(parent->pending > 0);
	ASSERT((atomic_load(&bdev->channel_count) & CHANNELS_WATCHED) == 0);
	ASSERT(!bdev->is_unused_message_due);

	bdev->unused_waiter = parent;
	if (atomic_fetch_or(&bdev->channel_count, CHANNELS_WATCHED) > 0)
		bdev->is_unused_message_due = true;
	unused_check(bdev);
}

static int channel_count_raise(struct bdev *bdev)
{
	uint32_t count = atomic_load(&bdev->channel_count);

	do {
		if ((count & CHANNELS_WATCHED) != 0)
			return -ENODEV;
		ASSERT(count + 1 < CHANNELS_WATCHED);
	} while (!atomic_compare_exchange_weak(&bdev->channel_count, &count, count + 1));
	return 0;
}

/* @bdev may be gone when this returns. */
static void channel_count_drop(struct bdev *bdev)
{
	uint32_t before = atomic_fetch_sub(&bdev->channel_count, 1);

	ASSERT((before & ~CHANNELS_WATCHED) > 0);
	if (before == (CHANNELS_WATCHED | 1))
		reactor_send(bdev->main, &bdev->unused_message);
}

uint32_t bdev_channel_count(const struct bdev *bdev)
{
	return atomic_load(&bdev->channel_count) & ~CHANNELS_WATCHED;
}

bool bdev_is_removed(const struct bdev *bdev)
{
	return atomic_load_explicit(&bdev->is_removed, memory_order_acquire);
}

int bdev_claim(struct bdev *bdev, const char *owner)
{
	ASSERT(bdev->unused_waiter == NULL);
	ASSERT(owner != NULL);
	ASSERT(owner[0] != '\0');
	ASSERT(strlen(owner) < sizeof(bdev->claimed_by));

	if (strcmp(bdev->claimed_by, owner) == 0)
		return 0;
	if (bdev->claimed_by[0] != '\0')
		return -EBUSY;
	memcpy(bdev->claimed_by, owner, strlen(owner) + 1);
	return 0;
}

void bdev_unclaim(struct bdev *bdev)
{
	ASSERT(bdev->claimed_by[0] != '\0');
	ASSERT(strnlen(bdev->claimed_by, NAME_BYTES_MAX) < NAME_BYTES_MAX);

	bdev->claimed_by[0] = '\0';
	unused_check(bdev);
}

void bdev_ref(struct bdev *bdev)
{
	ASSERT(bdev->unused_waiter == NULL);
	ASSERT(bdev->reference_count < UINT32_MAX);
	bdev->reference_count++;
}

void bdev_unref(struct bdev *bdev)
{
	ASSERT(bdev->reference_count > 0);
	bdev->reference_count--;
	unused_check(bdev);
}

/* Events. */

void bdev_listen(struct bdev *bdev, struct bdev_listener *listener)
{
	ASSERT(bdev->unused_waiter == NULL);
	ASSERT(listener->event != NULL);
	list_init(&listener->link);
	list_push_back(&bdev->listeners, &listener->link);
}

void bdev_unlisten(struct bdev_listener *listener)
{
	ASSERT(listener->link.next != NULL); /* it did listen once */
	list_remove(&listener->link);
}

/*
 * A listener may stop listening, or stop others, or begin to: the walk therefore moves those that
 * were told to a list of their own and gives them back at the end.
 */
void bdev_notify(struct bdev *bdev, enum bdev_event event)
{
	struct list_node waiting;
	struct list_node *node;

	ASSERT((unsigned)event <= BDEV_INTERRUPTED);
	if (event == BDEV_REMOVED &&
	    atomic_exchange_explicit(&bdev->is_removed, true, memory_order_acq_rel))
		return;
	list_init(&waiting);
	list_splice_back(&waiting, &bdev->listeners);
	while ((node = list_pop_front(&waiting)) != NULL) {
		struct bdev_listener *listener = list_entry(node, struct bdev_listener, link);

		ASSERT(listener->event != NULL);
		list_push_back(&bdev->listeners, node);
		listener->event(listener, bdev, event);
	}
}

void bdev_grow(struct bdev *bdev, uint64_t block_count)
{
	ASSERT(block_count <= UINT64_MAX / bdev->block_bytes);
	ASSERT(block_count > bdev->block_count);
	ASSERT(!bdev_is_removed(bdev));

	/* Pairs with the gate: who sees the new size sees what the driver did to provide it. */
	bdev->block_count = block_count;
	bdev_notify(bdev, BDEV_RESIZED);
}

/* Set-up and channels. */

void bdev_init(struct bdev *bdev)
{
	ASSERT(strnlen(bdev->name, NAME_BYTES_MAX) < NAME_BYTES_MAX);
	ASSERT(bdev->memory_alignment <= BLOCK_BYTES_MAX);
	ASSERT(!bdev->reads_zero_after_unmap || bdev->can_unmap || bdev->can_write_zeroes);
	ASSERT(bdev->name[0] != '\0');
	ASSERT(bdev->ops != NULL);
	ASSERT(bdev->main != NULL);
	ASSERT(bdev->block_bytes == BLOCK_BYTES_MIN || bdev->block_bytes == BLOCK_BYTES_MAX);
	ASSERT(bdev->block_count > 0);
	ASSERT(bdev->block_count <= UINT64_MAX / bdev->block_bytes);
	ASSERT(bdev->memory_alignment > 0);
	ASSERT((bdev->memory_alignment & (bdev->memory_alignment - 1)) == 0);

	bdev->claimed_by[0] = '\0';
	atomic_init(&bdev->channel_count, 0);
	atomic_init(&bdev->is_removed, false);
	atomic_init(&bdev->lock, 0);
	bdev->reference_count = 0;
	bdev->unused_waiter = NULL;
	bdev->is_unused_message_due = false;
	bdev->unused_message.run = unused_run;
	list_init(&bdev->listeners);
	list_init(&bdev->channels);
	list_init(&bdev->registry_link);
	memset(&bdev->closed_stats, 0, sizeof(bdev->closed_stats));
}

int bdev_channel_open(struct bdev *bdev, struct reactor *reactor, struct bdev_channel **ret_channel)
{
	struct bdev_channel *channel;
	int rc;

	ASSERT(bdev->ops != NULL);
	ASSERT(reactor != NULL);
	if (bdev->home != NULL && bdev->home != reactor)
		return -EXDEV;
	rc = channel_count_raise(bdev);
	if (rc < 0)
		return rc;
	rc = -ENODEV;
	if (bdev_is_removed(bdev))
		goto fail_count;
	rc = -ENOMEM;
	channel = memory_alloc(sizeof(*channel));
	if (channel == NULL)
		goto fail_count;
	channel->bdev = bdev;
	channel->reactor = reactor;
	list_init(&channel->link);
	rc = bdev->ops->channel_open(channel);
	ASSERT(channel->inflight == 0);
	if (rc < 0)
		goto fail_channel;
	bdev_lock(bdev);
	list_push_back(&bdev->channels, &channel->link);
	ASSERT((atomic_load(&bdev->channel_count) & ~CHANNELS_WATCHED) > 0);
	bdev_unlock(bdev);
	*ret_channel = channel;
	return 0;

fail_channel:
	memory_free(channel);
fail_count:
	channel_count_drop(bdev);
	return rc;
}

void bdev_channel_close(struct bdev_channel *channel)
{
	struct bdev *bdev;

	if (channel == NULL)
		return;
	ASSERT(channel->inflight == 0);
	ASSERT(channel->reactor != NULL);
	bdev = channel->bdev;
	ASSERT(bdev_channel_count(bdev) > 0);
	bdev_lock(bdev);
	ASSERT(!list_is_empty(&channel->link));
	list_remove(&channel->link);
	stats_merge(&bdev->closed_stats, &channel->stats);
	bdev_unlock(bdev);
	bdev->ops->channel_close(channel);
	memory_free(channel);
	channel_count_drop(bdev);
}

/* The gate. */

static bool io_type_is_possible(const struct bdev *bdev, enum io_type type)
{
	switch (type) {
	case IO_READ:
	case IO_WRITE:
	case IO_FLUSH:
		return true;
	case IO_UNMAP:
		return bdev->can_unmap;
	case IO_WRITE_ZEROES:
		return bdev->can_write_zeroes;
	case IO_COMPARE:
		return bdev->can_compare;
	}
	return false;
}

static void io_assert_memory(const struct bdev *bdev, const struct bdev_io *io)
{
	uint64_t mask = bdev->memory_alignment - 1;
	uint64_t bytes = 0;
	uint64_t bits = 0;

	ASSERT(io->iov_count > 0);
	ASSERT(io->iov != NULL);
	for (uint32_t i = 0; i < io->iov_count; i++) {
		bits |= (uintptr_t)io->iov[i].iov_base | io->iov[i].iov_len;
		bytes += io->iov[i].iov_len;
	}
	ASSERT((bits & mask) == 0);
	ASSERT(bytes == io->range.count * bdev->block_bytes);
}

static bool io_type_has_memory(enum io_type type)
{
	return type == IO_READ || type == IO_WRITE || type == IO_COMPARE;
}

void bdev_submit(struct bdev_channel *channel, struct bdev_io *io)
{
	const struct bdev *bdev = channel->bdev;

	ASSERT(channel->inflight < UINT32_MAX);
	ASSERT(bdev->home == NULL || bdev->home == channel->reactor);
	ASSERT(io->parent == NULL || io->parent->pending > 0);
	ASSERT(bdev_channel_count(bdev) > 0);
	ASSERT((unsigned)io->type < IO_TYPE_COUNT);
	ASSERT(io_type_is_possible(bdev, io->type));
	if (io->type != IO_FLUSH) {
		ASSERT(io->range.count > 0);
		ASSERT(block_range_is_within(io->range, bdev->block_count));
	}
	if (io_type_has_memory(io->type))
		io_assert_memory(bdev, io);

	io->channel = channel;
	io->submitted_ns = reactor_now_ns(channel->reactor);
	list_init(&io->link);
	channel->inflight++;
	if (__builtin_expect(bdev_is_removed(bdev), 0)) {
		REACHED("gate_of_a_removed_bdev");
		bdev_io_done(io, IO_DEVICE_GONE);
		return;
	}
	bdev->ops->submit(channel, io);
}

void bdev_io_done(struct bdev_io *io, enum io_status status)
{
	struct bdev_channel *channel = io->channel;

	ASSERT((unsigned)io->type < IO_TYPE_COUNT);
	ASSERT(channel != NULL);
	ASSERT(channel->inflight > 0);
	ASSERT((unsigned)status <= IO_INTERNAL_ERROR);
	io->status = status;
	stats_count(&channel->stats.of[io->type], io);
	channel->inflight--;
	io->channel = NULL; /* a second answer to the same submission is found at once */
	op_done(io->parent);
}
