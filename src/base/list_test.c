/* SPDX-License-Identifier: Apache-2.0 */
/* list_test.c - order, removal while walking, splicing; and the little-endian fields of le.h. */
#include "base/list.h"

#include "base/le.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct item {
	struct list_node link;
	int value;
};

static void items_push(struct list_node *head, struct item *items, int count)
{
	for (int i = 0; i < count; i++) {
		list_init(&items[i].link);
		items[i].value = i;
		list_push_back(head, &items[i].link);
	}
}

static void order_is_kept_and_the_walked_item_may_leave(void **state)
{
	struct list_node head;
	struct item items[4];
	int expected = 0;

	(void)state;
	list_init(&head);
	items_push(&head, items, 4);
	list_for_each (node, &head) {
		assert_int_equal(list_entry(node, struct item, link)->value, expected++);
		list_remove(node);
	}
	assert_int_equal(expected, 4);
	assert_true(list_is_empty(&head));
	assert_null(list_pop_front(&head));
	list_remove(&items[0].link);
}

static void splice_appends_all_and_empties_the_source(void **state)
{
	struct list_node one;
	struct list_node other;
	struct item items[2];
	struct item more[2];

	(void)state;
	list_init(&one);
	list_init(&other);
	items_push(&one, items, 2);
	items_push(&other, more, 2);
	list_splice_back(&one, &other);
	assert_true(list_is_empty(&other));
	list_splice_back(&one, &other);
	assert_ptr_equal(list_pop_front(&one), &items[0].link);
	assert_ptr_equal(list_pop_front(&one), &items[1].link);
	assert_ptr_equal(list_pop_front(&one), &more[0].link);
	assert_ptr_equal(list_pop_front(&one), &more[1].link);
	assert_null(list_first(&one));
}

static void little_endian_fields_convert_both_ways(void **state)
{
	(void)state;
	assert_int_equal(le16_store(0x1234).bytes[0], 0x34);
	assert_int_equal(le16_load(le16_store(0xfedc)), 0xfedc);
	assert_int_equal(le32_store(0x12345678).bytes[3], 0x12);
	assert_int_equal(le32_load(le32_store(0xfedcba98)), 0xfedcba98);
	assert_int_equal(le64_store(0x0123456789abcdef).bytes[7], 0x01);
	assert_int_equal(le64_load(le64_store(0xfedcba9876543210)), 0xfedcba9876543210);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_is_kept_and_the_walked_item_may_leave),
		cmocka_unit_test(splice_appends_all_and_empties_the_source),
		cmocka_unit_test(little_endian_fields_convert_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
