/* SPDX-License-Identifier: Apache-2.0 */
/* filter.h - faults and delays over any bdev; ordinary product code, switched by management.
 *
 * A filter is a bdev that passes I/O to a lower one. Rules are matched in order; each can fail,
 * delay, hold (until released) or damage I/O of given types in a block range, from the n-th hit
 * on, a number of times. URI form, main reactor: `filter:///<name>?lower=<bdev name>`.
 */
#ifndef BLOCK_FILTER_H
#define BLOCK_FILTER_H

#include "block/bdev_registry.h"

#define FILTER_RULES_MAX 16

enum filter_action {
	FILTER_FAIL,	   /* answer @status without touching the lower bdev */
	FILTER_FAIL_AFTER, /* do it below, then answer @status */
	FILTER_DELAY,	   /* pass on after @delay_ns */
	FILTER_HOLD,	   /* keep until filter_release() */
	FILTER_CORRUPT,	   /* READ: flip one byte of what came back */
};

struct filter_rule {
	enum filter_action action;
	uint32_t type_mask;	  /* 1 << enum io_type */
	struct block_range range; /* count 0: everywhere */
	uint64_t skip_hits;	  /* matches that pass first */
	uint64_t hits_max;	  /* 0: without end */
	enum io_status status;
	uint64_t delay_ns;
};

int bdev_filter_register(struct bdev_registry *registry) __attribute__((warn_unused_result));

/** Adds a rule to the filter bdev @bdev. Context: main reactor. Return: id >= 0, or -ENOSPC,
 * -EINVAL when @bdev is no filter. Takes effect on every reactor's next I/O. */
int filter_rule_add(struct bdev *bdev, const struct filter_rule *rule)
	__attribute__((warn_unused_result));
/** Return: 0 or -ENOENT. */
int filter_rule_remove(struct bdev *bdev, int id);
uint64_t filter_rule_hits(struct bdev *bdev, int id);
/** Lets held I/O go on. */
void filter_release(struct bdev *bdev);

#endif
