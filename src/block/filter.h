/* SPDX-License-Identifier: Apache-2.0 */
/* filter.h - faults and delays over any bdev; ordinary product code, switched by management.
 *
 * A filter is a bdev that passes I/O to a lower one. Rules are matched in the
 * order in which they were added; each can fail,
 * delay, hold (until released) or damage I/O of given types in a block range, from the n-th hit
 * on, a number of times. The first rule that acts decides; what no rule acts on passes.
 * URI form, main reactor: `filter:///<name>?lower=<bdev name>`, optionally `&uuid=`. It claims the
 * lower bdev and passes on its removal and growth.
 *
 * A channel has FILTER_INFLIGHT_MAX I/O below at once, held and delayed ones included; more wait
 * in line.
 */
#ifndef BLOCK_FILTER_H
#define BLOCK_FILTER_H

#include "block/bdev_registry.h"

#define FILTER_RULES_MAX    12
#define FILTER_INFLIGHT_MAX 256
#define FILTER_DELAY_NS_MAX (600ull * 1000 * 1000 * 1000)

enum filter_action {
	FILTER_FAIL,	   /* answer @status without touching the lower bdev */
	FILTER_FAIL_AFTER, /* do it below, then answer @status */
	FILTER_DELAY,	   /* pass on after @delay_ns */
	FILTER_HOLD,	   /* keep until filter_release() */
	FILTER_CORRUPT,	   /* READ only: flip one byte of what came back */
};

struct filter_rule {
	enum filter_action action;
	uint32_t type_mask;	  /* 1 << enum io_type, at least one */
	struct block_range range; /* overlap matches; count 0: everywhere; FLUSH: not looked at */
	uint64_t skip_hits;	  /* matches that pass first */
	uint64_t hits_max;	  /* 0: without end */
	enum io_status status;	  /* FILTER_FAIL, FILTER_FAIL_AFTER: not IO_OK */
	uint64_t delay_ns;	  /* FILTER_DELAY: up to FILTER_DELAY_NS_MAX */
};

int bdev_filter_register(struct bdev_registry *registry) __attribute__((warn_unused_result));

/** Adds a rule to the filter bdev @bdev. Context: main reactor. Return: id >= 0, or -ENOSPC,
 * -EINVAL when @bdev is no filter or the rule is malformed. Takes effect on every reactor's next
 * I/O. */
int filter_rule_add(struct bdev *bdev, const struct filter_rule *rule)
	__attribute__((warn_unused_result));
/** Return: 0 or -ENOENT. */
int filter_rule_remove(struct bdev *bdev, int id);
/** Matches so far, those that passed unharmed (skip_hits, after hits_max) included. */
uint64_t filter_rule_hits(struct bdev *bdev, int id);
/** Lets held I/O go on, on every reactor. Later ones are held as long as the rule stays. */
void filter_release(struct bdev *bdev);

#endif
