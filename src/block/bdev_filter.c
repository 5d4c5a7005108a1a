/* SPDX-License-Identifier: Apache-2.0 */
/* bdev_filter.c - `filter:///name?lower=bdev`: faults and delays by rule.
 *
 * Life of an I/O: wait for a slot of the channel, JUDGE it by the rules, PAUSE if one says so, pass
 * it to LOWER unless it failed already, REPLY.
 *
 * Rules are written by the main reactor and read by all, without a lock: each stands in a cell with
 * a sequence number that is odd while it changes. A reader that meets a change takes the cell for
 * empty; its I/O ran at the same time as the change and may see either. The order of the rules is
 * one word, so a change of one rule hides no other.
 *
 * Invariants:
 *  1. An I/O acts on at most one rule, judged once.
 *  2. Held I/O sits in its channel's list `held`, and counts as in flight: a channel with held I/O
 *     cannot be closed.
 *  3. The memory of a channel lives until no release message to it is under way.
 *  4. Who waits for a slot gets one in arrival order; nobody waits while a slot is free.
 */
#include "block/filter.h"

#include "base/memory.h"
#include "base/slab.h"
#include "block/bdev_impl.h"
#include "block/bdev_uri_impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Words of a rule in its cell. */
enum rule_word {
	RULE_ACTION, /* enum filter_action + 1; 0: the cell is empty */
	RULE_TYPE_MASK,
	RULE_FIRST,
	RULE_COUNT,
	RULE_SKIP_HITS,
	RULE_HITS_MAX,
	RULE_STATUS,
	RULE_DELAY_NS,
};
#define RULE_WORD_COUNT 8

/* The order word: index of a cell + 1 in each ORDER_BITS, 0 at the end. */
#define ORDER_BITS 5
#define ORDER_MASK ((1u << ORDER_BITS) - 1)
STATIC_ASSERT(FILTER_RULES_MAX < ORDER_MASK);
STATIC_ASSERT(FILTER_RULES_MAX *ORDER_BITS < 64);

struct rule_cell {
	_Atomic uint32_t sequence; /* odd while the words change */
	_Atomic uint64_t words[RULE_WORD_COUNT];
	_Atomic uint64_t hits;
	int id; /* main reactor only; -1: empty */
};

struct filter_bdev {
	struct bdev bdev;
	struct bdev *lower;
	struct bdev_listener listener;
	_Atomic uint64_t order; /* of cells, oldest rule in the lowest bits; see ORDER_BITS */
	struct rule_cell cells[FILTER_RULES_MAX];
	uint32_t generation; /* of rule ids; main reactor only */
};

struct filter_channel {
	struct bdev_channel *lower;
	struct slab *slots;	  /* struct filter_io */
	struct list_node waiting; /* struct bdev_io.link: for a slot */
	struct list_node held;	  /* struct filter_io.link */
	struct reactor_message release_message;
	_Atomic bool is_message_sent;
	bool is_closed;
};

enum filter_step {
	FILTER_JUDGE, /* does a rule act on it? */
	FILTER_PAUSE, /* hold or delay */
	FILTER_LOWER, /* do it below */
	FILTER_REPLY,
};

struct filter_io {
	struct op op;
	enum filter_step step;
	struct filter_channel *channel;
	struct bdev_io *upper;
	bool is_matched;
	struct filter_rule rule; /* when matched */
	struct reactor_timer timer;
	struct list_node link;
	struct bdev_io lower;
};

/* Rules. */

static void cell_write(struct rule_cell *cell, const uint64_t words[RULE_WORD_COUNT])
{
	uint32_t sequence = atomic_load_explicit(&cell->sequence, memory_order_relaxed);

	ASSERT(words[RULE_ACTION] <= FILTER_CORRUPT + 1);
	ASSERT((words[RULE_ACTION] == 0) == (words[RULE_TYPE_MASK] == 0));
	ASSERT(sequence % 2 == 0);
	atomic_store_explicit(&cell->sequence, sequence + 1, memory_order_relaxed);
	/* Releases: who sees one of these words sees the odd number too. */
	for (int i = 0; i < RULE_WORD_COUNT; i++)
		atomic_store_explicit(&cell->words[i], words[i], memory_order_release);
	atomic_store_explicit(&cell->sequence, sequence + 2, memory_order_release);
}

static bool cell_read(struct rule_cell *cell, struct filter_rule *ret_rule)
{
	uint32_t sequence = atomic_load_explicit(&cell->sequence, memory_order_acquire);
	uint64_t words[RULE_WORD_COUNT];

	for (int i = 0; i < RULE_WORD_COUNT; i++)
		words[i] = atomic_load_explicit(&cell->words[i], memory_order_acquire);
	if (sequence % 2 != 0 || words[RULE_ACTION] == 0 ||
	    atomic_load_explicit(&cell->sequence, memory_order_relaxed) != sequence)
		return false;
	ASSERT(words[RULE_ACTION] <= FILTER_CORRUPT + 1);
	ASSERT(words[RULE_TYPE_MASK] < (1u << IO_TYPE_COUNT));
	*ret_rule = (struct filter_rule){
		.action = (enum filter_action)(words[RULE_ACTION] - 1),
		.type_mask = (uint32_t)words[RULE_TYPE_MASK],
		.range = {.first = words[RULE_FIRST], .count = words[RULE_COUNT]},
		.skip_hits = words[RULE_SKIP_HITS],
		.hits_max = words[RULE_HITS_MAX],
		.status = (enum io_status)words[RULE_STATUS],
		.delay_ns = words[RULE_DELAY_NS],
	};
	return true;
}

static bool rule_matches(const struct filter_rule *rule, const struct bdev_io *io)
{
	ASSERT(rule->range.first <= rule->range.first + rule->range.count);
	ASSERT(rule->type_mask != 0);
	ASSERT((unsigned)io->type < IO_TYPE_COUNT);
	if ((rule->type_mask & (1u << io->type)) == 0)
		return false;
	if (rule->range.count == 0 || io->type == IO_FLUSH)
		return true;
	return block_range_overlaps(rule->range, io->range);
}

/* Counts a match. Return: true if the rule acts this time. */
static bool cell_hit(struct rule_cell *cell, const struct filter_rule *rule)
{
	uint64_t hit = atomic_fetch_add_explicit(&cell->hits, 1, memory_order_relaxed);

	ASSERT(rule->type_mask != 0);
	ASSERT(hit < UINT64_MAX);
	if (hit < rule->skip_hits)
		return false;
	return rule->hits_max == 0 || hit - rule->skip_hits < rule->hits_max;
}

static bool rule_find(struct filter_bdev *filter, const struct bdev_io *io,
		      struct filter_rule *ret_rule)
{
	uint64_t order = atomic_load_explicit(&filter->order, memory_order_acquire);

	ASSERT(order >> (FILTER_RULES_MAX * ORDER_BITS) == 0);
	for (; order != 0; order >>= ORDER_BITS) {
		struct rule_cell *cell = &filter->cells[(order & ORDER_MASK) - 1];

		ASSERT((order & ORDER_MASK) != 0);
		ASSERT((order & ORDER_MASK) <= FILTER_RULES_MAX);
		if (cell_read(cell, ret_rule) && rule_matches(ret_rule, io) &&
		    cell_hit(cell, ret_rule))
			return true;
	}
	return false;
}

/* I/O. */

static enum filter_step filter_judge(struct filter_io *request)
{
	struct filter_bdev *filter =
		container_of(request->upper->channel->bdev, struct filter_bdev, bdev);

	ASSERT(request->step == FILTER_JUDGE);
	ASSERT(request->upper->channel->driver == request->channel);
	ASSERT(!request->channel->is_closed);
	ASSERT(op_is_idle(&request->op));
	request->is_matched = rule_find(filter, request->upper, &request->rule);
	if (!request->is_matched)
		return FILTER_LOWER;
	switch (request->rule.action) {
	case FILTER_FAIL:
		ASSERT(request->rule.status != IO_OK);
		return FILTER_REPLY;
	case FILTER_DELAY:
	case FILTER_HOLD:
		return FILTER_PAUSE;
	case FILTER_FAIL_AFTER:
	case FILTER_CORRUPT:
		return FILTER_LOWER;
	}
	return FILTER_LOWER;
}

static void filter_timer_expired(struct reactor_timer *timer)
{
	struct filter_io *request = container_of(timer, struct filter_io, timer);

	ASSERT(request->is_matched);
	ASSERT(request->op.pending == 1);
	ASSERT(request->step == FILTER_LOWER); /* what comes after the pause */
	ASSERT(request->rule.action == FILTER_DELAY);
	op_done(&request->op);
}

static enum op_flow filter_pause(struct filter_io *request)
{
	ASSERT(request->rule.action == FILTER_HOLD || request->rule.action == FILTER_DELAY);
	ASSERT(op_is_idle(&request->op));
	ASSERT(request->is_matched);
	ASSERT(list_is_empty(&request->link));

	op_wait(&request->op);
	if (request->rule.action == FILTER_HOLD) {
		list_push_back(&request->channel->held, &request->link);
	} else {
		reactor_timer_init(&request->timer, request->upper->channel->reactor,
				   filter_timer_expired);
		reactor_timer_start(&request->timer, request->rule.delay_ns);
	}
	return op_join(&request->op);
}

static enum op_flow filter_lower(struct filter_io *request)
{
	const struct bdev_io *upper = request->upper;
	struct bdev_io *lower = &request->lower;

	ASSERT(upper->channel != NULL);
	ASSERT(!request->is_matched || request->rule.action != FILTER_FAIL);
	ASSERT(list_is_empty(&request->link));
	ASSERT(op_is_idle(&request->op));
	/* Field by field: the driver's bytes need no clearing. */
	lower->parent = &request->op;
	lower->type = upper->type;
	lower->is_fua = upper->is_fua;
	lower->range = upper->range;
	lower->iov = upper->iov;
	lower->iov_count = upper->iov_count;
	op_wait(&request->op);
	bdev_submit(request->channel->lower, lower);
	return op_join(&request->op);
}

static void io_corrupt(const struct bdev_io *io)
{
	uint8_t *bytes = io->iov[0].iov_base;

	ASSERT(io->type == IO_READ);
	ASSERT(io->iov_count > 0);
	bytes[io->iov[0].iov_len / 2] ^= 0xff;
}

static enum io_status filter_status(const struct filter_io *request)
{
	ASSERT(!request->is_matched || (unsigned)request->rule.action <= FILTER_CORRUPT);
	ASSERT(request->step == FILTER_REPLY);
	if (!request->is_matched)
		return request->lower.status;
	if (request->rule.action == FILTER_FAIL || request->rule.action == FILTER_FAIL_AFTER)
		return request->rule.status;
	if (request->rule.action == FILTER_CORRUPT && request->lower.status == IO_OK)
		io_corrupt(request->upper);
	return request->lower.status;
}

static void filter_reply(struct filter_io *request)
{
	struct bdev_io *upper = request->upper;
	struct filter_channel *channel = request->channel;
	struct list_node *next = list_pop_front(&channel->waiting);
	enum io_status status = filter_status(request);

	ASSERT(!channel->is_closed);
	ASSERT(next == NULL ||
	       slab_acquired_count(channel->slots) == slab_capacity(channel->slots));
	ASSERT(list_is_empty(&request->link));
	ASSERT(op_is_idle(&request->op));
	if (next != NULL) {
		/* The slot goes on to whoever waits longest; woken, not entered: no recursion. */
		request->upper = list_entry(next, struct bdev_io, link);
		request->step = FILTER_JUDGE;
		op_wake(&request->op);
	} else {
		slab_release(channel->slots, request);
	}
	bdev_io_done(upper, status);
}

static void filter_run(struct op *op)
{
	struct filter_io *request = container_of(op, struct filter_io, op);

	for (;;) {
		switch (request->step) {
		case FILTER_JUDGE:
			request->step = filter_judge(request);
			break;
		case FILTER_PAUSE:
			request->step = FILTER_LOWER;
			if (filter_pause(request) == OP_WAIT)
				return;
			break;
		case FILTER_LOWER:
			request->step = FILTER_REPLY;
			if (filter_lower(request) == OP_WAIT)
				return;
			break;
		case FILTER_REPLY:
			filter_reply(request); /* @request may be reused from here on */
			return;
		}
	}
}

static void filter_submit(struct bdev_channel *bdev_channel, struct bdev_io *io)
{
	struct filter_channel *channel = bdev_channel->driver;
	struct filter_io *request = slab_acquire(channel->slots);

	ASSERT(io->channel == bdev_channel);
	ASSERT(channel->lower->reactor == bdev_channel->reactor);
	ASSERT(!channel->is_closed);
	if (request == NULL) {
		list_push_back(&channel->waiting, &io->link);
		return;
	}
	ASSERT(list_is_empty(&channel->waiting));
	request->channel = channel;
	request->upper = io;
	request->step = FILTER_JUDGE;
	list_init(&request->link);
	op_init(&request->op, reactor_ready(bdev_channel->reactor), filter_run);
	op_start(&request->op);
}

/* Channels. */

static void filter_channel_free(struct filter_channel *channel)
{
	ASSERT(list_is_empty(&channel->held));
	ASSERT(list_is_empty(&channel->waiting));
	ASSERT(channel->lower == NULL);
	ASSERT(channel->is_closed);
	ASSERT(slab_acquired_count(channel->slots) == 0);
	slab_destroy(channel->slots);
	memory_free(channel);
}

static void filter_release_run(struct reactor_message *message)
{
	struct filter_channel *channel =
		container_of(message, struct filter_channel, release_message);
	struct list_node *node;

	ASSERT(!channel->is_closed || list_is_empty(&channel->held));
	ASSERT(atomic_load(&channel->is_message_sent));
	if (channel->is_closed) {
		filter_channel_free(channel);
		return;
	}
	/* First, so that a release from now on sends another message. */
	atomic_store(&channel->is_message_sent, false);
	while ((node = list_pop_front(&channel->held)) != NULL)
		op_done(&list_entry(node, struct filter_io, link)->op);
}

static int filter_channel_open(struct bdev_channel *bdev_channel)
{
	struct filter_bdev *filter = container_of(bdev_channel->bdev, struct filter_bdev, bdev);
	struct filter_channel *channel = memory_alloc(sizeof(*channel));
	int rc;

	ASSERT(bdev_channel->driver == NULL);
	if (channel == NULL)
		return -ENOMEM;
	list_init(&channel->waiting);
	list_init(&channel->held);
	channel->release_message.run = filter_release_run;
	rc = slab_create(sizeof(struct filter_io), FILTER_INFLIGHT_MAX, &channel->slots);
	if (rc < 0)
		goto fail_channel;
	rc = bdev_channel_open(filter->lower, bdev_channel->reactor, &channel->lower);
	if (rc < 0)
		goto fail_slots;
	ASSERT(channel->lower->bdev == filter->lower);
	ASSERT(!channel->is_closed);
	bdev_channel->driver = channel;
	return 0;

fail_slots:
	slab_destroy(channel->slots);
fail_channel:
	memory_free(channel);
	return rc;
}

static void filter_channel_close(struct bdev_channel *bdev_channel)
{
	struct filter_channel *channel = bdev_channel->driver;

	ASSERT(bdev_channel->inflight == 0);
	ASSERT(channel->lower->inflight == 0);
	ASSERT(slab_acquired_count(channel->slots) == 0);
	ASSERT(!channel->is_closed);
	ASSERT(list_is_empty(&channel->held));
	ASSERT(list_is_empty(&channel->waiting));
	bdev_channel_close(channel->lower);
	channel->lower = NULL;
	channel->is_closed = true;
	/* Not in the bdev's list any more: no message is sent from now on. */
	if (!atomic_load(&channel->is_message_sent))
		filter_channel_free(channel);
}

/* The bdev. */

static void filter_event(struct bdev_listener *listener, struct bdev *lower, enum bdev_event event)
{
	struct filter_bdev *filter = container_of(listener, struct filter_bdev, listener);

	ASSERT(lower->main == filter->bdev.main);
	ASSERT(event != BDEV_REMOVED || bdev_is_removed(lower));
	ASSERT(lower->block_count >= filter->bdev.block_count);
	ASSERT(lower == filter->lower);
	switch (event) {
	case BDEV_REMOVED:
		bdev_notify(&filter->bdev, BDEV_REMOVED);
		break;
	case BDEV_INTERRUPTED:
		bdev_notify(&filter->bdev, BDEV_INTERRUPTED);
		break;
	case BDEV_RESIZED:
		if (!bdev_is_removed(&filter->bdev))
			bdev_grow(&filter->bdev, lower->block_count);
		break;
	}
}

static void filter_destroy(struct bdev *bdev, struct op *parent)
{
	struct filter_bdev *filter = container_of(bdev, struct filter_bdev, bdev);

	ASSERT(bdev->reference_count == 0);
	ASSERT(bdev->claimed_by[0] == '\0');
	ASSERT(list_is_empty(&bdev->registry_link));
	ASSERT(bdev_channel_count(bdev) == 0);
	ASSERT(filter->lower->claimed_by[0] != '\0');
	bdev_unlisten(&filter->listener);
	bdev_unclaim(filter->lower);
	memory_free(filter);
	op_done(parent);
}

static const struct bdev_ops filter_ops = {
	.product_name = "filter",
	.channel_open = filter_channel_open,
	.channel_close = filter_channel_close,
	.submit = filter_submit,
	.destroy = filter_destroy,
};

static void filter_fill(struct filter_bdev *filter, struct bdev_create *create,
			const struct bdev_uri_options *options)
{
	struct bdev *bdev = &filter->bdev;
	const struct bdev *lower = filter->lower;

	ASSERT(lower != bdev);
	ASSERT(!bdev_is_removed(lower));
	ASSERT(lower->claimed_by[0] != '\0');
	memcpy(bdev->name, create->name, sizeof(bdev->name));
	bdev->uuid = bdev_uri_uuid(create, options);
	bdev->ops = &filter_ops;
	bdev->main = bdev_registry_main(create->registry);
	bdev->home = lower->home;
	bdev->block_bytes = lower->block_bytes;
	bdev->physical_block_bytes = lower->physical_block_bytes;
	bdev->block_count = lower->block_count;
	bdev->memory_alignment = lower->memory_alignment;
	bdev->can_unmap = lower->can_unmap;
	bdev->can_write_zeroes = lower->can_write_zeroes;
	bdev->can_compare = lower->can_compare;
	bdev->waits_for_engines = lower->waits_for_engines;
	bdev->reads_zero_after_unmap = lower->reads_zero_after_unmap;
	bdev->has_volatile_cache = lower->has_volatile_cache;
	bdev->is_local = lower->is_local;
	if (lower->is_local) /* else it may change, and nobody would say so here */
		bdev->cache_id = lower->cache_id;
	bdev_init(bdev);
	ASSERT(lower->block_count > 0);
	ASSERT(atomic_load(&filter->order) == 0);
	for (int i = 0; i < FILTER_RULES_MAX; i++)
		filter->cells[i].id = -1;
	filter->listener.event = filter_event;
	bdev_listen(filter->lower, &filter->listener);
}

static int filter_make(struct bdev_create *create)
{
	struct bdev_uri_options options;
	struct filter_bdev *filter;
	struct bdev *lower;
	char owner[NAME_BYTES_MAX];
	int rc;

	rc = bdev_uri_options(&create->uri, BDEV_URI_LOWER | BDEV_URI_UUID, &options,
			      create->error);
	if (rc < 0)
		return rc;
	if (options.lower == NULL)
		return bdev_uri_refuse(create->error, -EINVAL,
				       "filter '%.300s': no lower device given; add lower=<name>",
				       create->name);
	lower = bdev_find(create->registry, options.lower);
	if (lower == NULL || bdev_is_removed(lower))
		return bdev_uri_refuse(
			create->error, -ENOENT,
			"filter '%.150s': lower device '%.150s' does not exist; create "
			"it first",
			create->name, options.lower);
	filter = memory_alloc(sizeof(*filter));
	if (filter == NULL)
		return bdev_uri_refuse(create->error, -ENOMEM,
				       "filter '%.300s': out of memory; free some", create->name);
	snprintf(owner, sizeof(owner), "filter %.480s", create->name);
	rc = bdev_claim(lower, owner);
	if (rc < 0) {
		memory_free(filter);
		return bdev_uri_refuse(create->error, rc,
				       "filter '%.150s': lower device '%.150s' is claimed by "
				       "'%.100s'; stop that first",
				       create->name, lower->name, lower->claimed_by);
	}
	filter->lower = lower;
	filter_fill(filter, create, &options);
	ASSERT(filter->bdev.block_count == lower->block_count);
	create->bdev = &filter->bdev;
	return 0;
}

static void filter_create(struct bdev_create *create)
{
	ASSERT(create->bdev == NULL);
	create->result = filter_make(create);
	ASSERT(create->result <= 0);
	ASSERT((create->result == 0) == (create->bdev != NULL));
	op_done(create->parent);
}

static const char *const filter_schemes[] = {"filter", NULL};

int bdev_filter_register(struct bdev_registry *registry)
{
	const struct bdev_driver driver = {
		.schemes = filter_schemes,
		.name = bdev_uri_plain_name,
		.create = filter_create,
	};

	return bdev_driver_register(registry, &driver);
}

/* Management of rules. */

/* NULL when @bdev is no filter. */
static struct filter_bdev *filter_of(struct bdev *bdev)
{
	return bdev->ops == &filter_ops ? container_of(bdev, struct filter_bdev, bdev) : NULL;
}

static struct rule_cell *cell_find(struct filter_bdev *filter, int id)
{
	ASSERT(id >= -1);
	for (int i = 0; i < FILTER_RULES_MAX; i++) {
		if (filter->cells[i].id == id)
			return &filter->cells[i];
	}
	return NULL;
}

static void order_append(struct filter_bdev *filter, const struct rule_cell *cell)
{
	uint64_t order = atomic_load_explicit(&filter->order, memory_order_relaxed);
	uint64_t entry = (uint64_t)(cell - filter->cells) + 1;
	int shift = 0;

	ASSERT(cell->id >= 0);
	ASSERT(order >> ((FILTER_RULES_MAX - 1) * ORDER_BITS) == 0);
	while (((order >> shift) & ORDER_MASK) != 0)
		shift += ORDER_BITS;
	ASSERT(entry <= FILTER_RULES_MAX);
	ASSERT(shift < FILTER_RULES_MAX * ORDER_BITS);
	atomic_store_explicit(&filter->order, order | entry << shift, memory_order_release);
}

static void order_remove(struct filter_bdev *filter, const struct rule_cell *cell)
{
	uint64_t order = atomic_load_explicit(&filter->order, memory_order_relaxed);
	uint64_t entry = (uint64_t)(cell - filter->cells) + 1;
	uint64_t below;
	int shift = 0;

	ASSERT(order != 0);
	while (((order >> shift) & ORDER_MASK) != entry) {
		shift += ORDER_BITS;
		ASSERT(shift < FILTER_RULES_MAX * ORDER_BITS);
	}
	below = order & ((1ull << shift) - 1);
	ASSERT(cell->id >= 0);
	order = order >> (shift + ORDER_BITS) << shift | below;
	atomic_store_explicit(&filter->order, order, memory_order_release);
	ASSERT(order >> (FILTER_RULES_MAX * ORDER_BITS) == 0);
}

static bool rule_is_valid(const struct filter_rule *rule)
{
	if (rule->type_mask == 0 || rule->type_mask >= (1u << IO_TYPE_COUNT))
		return false;
	if (rule->range.first + rule->range.count < rule->range.first)
		return false;
	switch (rule->action) {
	case FILTER_FAIL:
	case FILTER_FAIL_AFTER:
		return rule->status > IO_OK && rule->status <= IO_INTERNAL_ERROR;
	case FILTER_DELAY:
		return rule->delay_ns <= FILTER_DELAY_NS_MAX;
	case FILTER_HOLD:
		return true;
	case FILTER_CORRUPT:
		return rule->type_mask == (1u << IO_READ);
	}
	return false;
}

int filter_rule_add(struct bdev *bdev, const struct filter_rule *rule)
{
	struct filter_bdev *filter = filter_of(bdev);
	struct rule_cell *cell;
	const uint64_t words[RULE_WORD_COUNT] = {
		[RULE_ACTION] = (uint64_t)rule->action + 1,
		[RULE_TYPE_MASK] = rule->type_mask,
		[RULE_FIRST] = rule->range.first,
		[RULE_COUNT] = rule->range.count,
		[RULE_SKIP_HITS] = rule->skip_hits,
		[RULE_HITS_MAX] = rule->hits_max,
		[RULE_STATUS] = rule->status,
		[RULE_DELAY_NS] = rule->delay_ns,
	};

	if (filter == NULL || !rule_is_valid(rule))
		return -EINVAL;
	cell = cell_find(filter, -1);
	if (cell == NULL)
		return -ENOSPC;
	ASSERT(atomic_load(&cell->words[RULE_ACTION]) == 0);
	ASSERT(cell->id == -1);
	ASSERT_SLOW(cell_find(filter, (int)(filter->generation & INT32_MAX)) == NULL);
	atomic_store_explicit(&cell->hits, 0, memory_order_relaxed);
	cell_write(cell, words);
	cell->id = (int)(filter->generation & INT32_MAX);
	filter->generation++;
	order_append(filter, cell);
	return cell->id;
}

int filter_rule_remove(struct bdev *bdev, int id)
{
	static const uint64_t nothing[RULE_WORD_COUNT];
	struct filter_bdev *filter = filter_of(bdev);
	struct rule_cell *cell;

	if (filter == NULL || id < 0)
		return -ENOENT;
	cell = cell_find(filter, id);
	if (cell == NULL)
		return -ENOENT;
	order_remove(filter, cell);
	cell_write(cell, nothing);
	ASSERT(atomic_load(&cell->words[RULE_ACTION]) == 0);
	cell->id = -1;
	return 0;
}

uint64_t filter_rule_hits(struct bdev *bdev, int id)
{
	struct filter_bdev *filter = filter_of(bdev);
	struct rule_cell *cell;

	if (filter == NULL || id < 0)
		return 0;
	cell = cell_find(filter, id);
	return cell == NULL ? 0 : atomic_load_explicit(&cell->hits, memory_order_relaxed);
}

void filter_release(struct bdev *bdev)
{
	ASSERT(filter_of(bdev) != NULL);

	bdev_lock(bdev);
	list_for_each (node, &bdev->channels) {
		struct filter_channel *channel =
			list_entry(node, struct bdev_channel, link)->driver;

		ASSERT(channel != NULL);
		ASSERT(!channel->is_closed);
		if (!atomic_exchange(&channel->is_message_sent, true))
			reactor_send(list_entry(node, struct bdev_channel, link)->reactor,
				     &channel->release_message);
	}
	bdev_unlock(bdev);
}
