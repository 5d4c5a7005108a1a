/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the generated types carry presence and numbers as the interface has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/mayastor/v1/bdev.pb-c.h"
#include "api/mayastor/v1/host.pb-c.h"
#include "api/mayastor/v1/json.pb-c.h"
#include "api/mayastor/v1/nexus.pb-c.h"
#include "api/mayastor/v1/pool.pb-c.h"
#include "api/mayastor/v1/registration.pb-c.h"
#include "api/mayastor/v1/replica.pb-c.h"
#include "api/mayastor/v1/snapshot.pb-c.h"
#include "api/mayastor/v1/snapshot_rebuild.pb-c.h"
#include "api/mayastor/v1/stats.pb-c.h"
#include "api/mayastor/v1/test.pb-c.h"
#include "api/mayastor_c/v1/diagnostics.pb-c.h"

static void absent_and_zero_differ_for_optional_fields(void **state)
{
	Mayastor__V1__CreatePoolRequest request = MAYASTOR__V1__CREATE_POOL_REQUEST__INIT;
	uint8_t bytes[32];

	(void)state;
	assert_int_equal(mayastor__v1__create_pool_request__get_packed_size(&request), 0);
	request.has_cluster_size = 1;
	size_t size = mayastor__v1__create_pool_request__pack(&request, bytes);
	assert_int_equal(size, 2);
	assert_memory_equal(bytes, "\x28\x00", 2); /* field 5, varint */

	Mayastor__V1__CreatePoolRequest *copy =
		mayastor__v1__create_pool_request__unpack(NULL, size, bytes);
	assert_non_null(copy);
	assert_true(copy->has_cluster_size);
	assert_null(copy->md_args);
	mayastor__v1__create_pool_request__free_unpacked(copy, NULL);
}

static void optional_texts_are_null_when_absent(void **state)
{
	Mayastor__V1__Replica replica = MAYASTOR__V1__REPLICA__INIT;
	uint8_t bytes[32];
	static const uint8_t expected[] = {0x72, 0}; /* field 14, no bytes */

	(void)state;
	assert_null(replica.entity_id);
	assert_string_equal(replica.name, "");
	replica.entity_id = (char *)"";
	assert_int_equal(mayastor__v1__replica__pack(&replica, bytes), 2);
	assert_memory_equal(bytes, expected, 2);
	Mayastor__V1__Replica *copy = mayastor__v1__replica__unpack(NULL, 2, bytes);
	assert_non_null(copy);
	assert_string_equal(copy->entity_id, "");
	assert_null(copy->snapshot_uuid);
	mayastor__v1__replica__free_unpacked(copy, NULL);
}

static void optional_enums_and_floats_have_presence(void **state)
{
	Mayastor__V1__CreateNexusRequest nexus = MAYASTOR__V1__CREATE_NEXUS_REQUEST__INIT;
	Mayastor__V1__PoolMetadataArgs args = MAYASTOR__V1__POOL_METADATA_ARGS__INIT;
	uint8_t bytes[32];

	(void)state;
	nexus.has_resvtype = 1;
	nexus.resvtype = MAYASTOR__V1__NVME_RESERVATION__ExclusiveAccess;
	assert_int_equal(mayastor__v1__create_nexus_request__pack(&nexus, bytes), 2);
	assert_memory_equal(bytes, "\x50\x02", 2);
	args.has_md_resv_ratio = 1;
	assert_int_equal(mayastor__v1__pool_metadata_args__pack(&args, bytes), 5);
}

static void real_oneofs_keep_their_case(void **state)
{
	Mayastor__V1__DestroyReplicaRequest request = MAYASTOR__V1__DESTROY_REPLICA_REQUEST__INIT;

	(void)state;
	assert_int_equal(request.pool_case, MAYASTOR__V1__DESTROY_REPLICA_REQUEST__POOL__NOT_SET);
	request.pool_case = MAYASTOR__V1__DESTROY_REPLICA_REQUEST__POOL_POOL_UUID;
	request.pool_uuid = (char *)"u";
	assert_int_equal(mayastor__v1__destroy_replica_request__get_packed_size(&request), 3);
}

static void services_have_their_names_and_methods(void **state)
{
	static const struct {
		const ProtobufCServiceDescriptor *service;
		const char *name;
		unsigned methods;
	} expected[] = {
		{&mayastor__v1__bdev_rpc__descriptor, "mayastor.v1.BdevRpc", 5},
		{&mayastor__v1__host_rpc__descriptor, "mayastor.v1.HostRpc", 5},
		{&mayastor__v1__json_rpc__descriptor, "mayastor.v1.JsonRpc", 1},
		{&mayastor__v1__nexus_rpc__descriptor, "mayastor.v1.NexusRpc", 21},
		{&mayastor__v1__pool_rpc__descriptor, "mayastor.v1.PoolRpc", 8},
		{&mayastor__v1__replica_rpc__descriptor, "mayastor.v1.ReplicaRpc", 7},
		{&mayastor__v1__snapshot_rpc__descriptor, "mayastor.v1.SnapshotRpc", 6},
		{&mayastor__v1__snapshot_rebuild_rpc__descriptor, "mayastor.v1.SnapshotRebuildRpc",
		 3},
		{&mayastor__v1__stats_rpc__descriptor, "mayastor.v1.StatsRpc", 4},
		{&mayastor__v1__test_rpc__descriptor, "mayastor.v1.TestRpc", 5},
		{&mayastor__v1__registration__descriptor, "mayastor.v1.Registration", 2},
		{&mayastor_c__v1__diagnostics__descriptor, "mayastor_c.v1.Diagnostics", 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		assert_string_equal(expected[i].service->name, expected[i].name);
		assert_int_equal(expected[i].service->n_methods, expected[i].methods);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(absent_and_zero_differ_for_optional_fields),
		cmocka_unit_test(optional_texts_are_null_when_absent),
		cmocka_unit_test(optional_enums_and_floats_have_presence),
		cmocka_unit_test(real_oneofs_keep_their_case),
		cmocka_unit_test(services_have_their_names_and_methods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
