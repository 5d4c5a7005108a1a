/* SPDX-License-Identifier: Apache-2.0 */
/* op.c - runs what is ready. */
#include "base/op.h"

uint32_t op_queue_run(struct op_queue *queue, uint32_t budget)
{
	uint32_t count = 0;

	ASSERT(budget > 0);
	while (count < budget) {
		struct list_node *node = list_pop_front(&queue->ops);
		struct op *op;

		if (node == NULL)
			break;
		op = list_entry(node, struct op, link);
		ASSERT(!op->is_joined);
		count++;
		op->run(op);
	}
	return count;
}
