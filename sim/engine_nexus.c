/* SPDX-License-Identifier: Apache-2.0 */
/* engine_nexus.c - which copies the nexus is made of.
 *
 * This is what a control plane decides. A nexus is created over children that can all be opened, so
 * after a failure it is tried with those whose engines are up. Rules:
 *  1. Without a record all copies of the plan are taken: they are new.
 *  2. Otherwise one of the copies is healthy by the record, and has not lost its power, unless all
 *     healthy ones have.
 *  3. A healthy copy that left the plan is taken when no healthy one is in it.
 *  4. A copy whose disk has shrunk is named as well: the nexus must refuse it, and is tried without
 *     it the next time. Whatever was named, the volume has the size that its hosts know.
 */
#include "sim/engine_run.h"
#include "sim/sim_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DISK_PATH "/dev/disk"

static void child_uuid(uint32_t child, struct uuid *ret_uuid)
{
	*ret_uuid = (struct uuid){{0}};
	ret_uuid->bytes[0] = 0xc1;
	ret_uuid->bytes[6] = 0x40;
	ret_uuid->bytes[8] = 0x80;
	ret_uuid->bytes[15] = (uint8_t)child;
}

void engine_child_uri(struct engine_run *run, uint32_t child, char ret_uri[URI_TEXT_BYTES_SHOWN])
{
	const struct cluster *cluster = run->engine->cluster;
	char uuid_text[UUID_TEXT_BYTES];
	struct uuid uuid;

	child_uuid(child, &uuid);
	uuid_format(&uuid, uuid_text);
	if (cluster->options.is_local || child == 0)
		snprintf(ret_uri, URI_TEXT_BYTES_SHOWN, "aio://" DISK_PATH "%u?blk_size=%u&uuid=%s",
			 child, cluster->options.block_bytes, uuid_text);
	else
		engine_network_child_uri(&cluster->engines[child], uuid_text, ret_uri);
}

bool cluster_is_recorded_healthy(const struct cluster *cluster, uint32_t engine)
{
	const struct nexus_record *record = store_record(cluster->store);
	struct uuid uuid;

	child_uuid(engine, &uuid);
	return record != NULL && nexus_record_is_healthy(record, &uuid);
}

bool cluster_has_kept_power(const struct cluster *cluster, uint32_t engine)
{
	const struct nexus_record *record = store_record(cluster->store);
	const struct nexus_record_child *recorded;
	struct uuid uuid;

	child_uuid(engine, &uuid);
	recorded = record == NULL ? NULL : nexus_record_find(record, &uuid);
	if (recorded == NULL || !recorded->is_healthy)
		return false;
	sim_boot_id(cluster->engines[cluster->options.is_local ? 0 : engine].process, &uuid);
	return uuid_is_equal(&recorded->cache_id, &uuid);
}

/* The nexus itself tells which of them to believe. */
static uint32_t children_order(const struct cluster *cluster, uint32_t chosen,
			       uint32_t order[ENGINES_MAX])
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < cluster->options.engine_count; i++) {
		if ((chosen & 1u << i) != 0)
			order[count++] = i;
	}
	return count;
}

static bool is_large_enough(const struct cluster *cluster, uint32_t child)
{
	return sim_disk_size_bytes(cluster->engines[child].disk) >=
	       cluster_disk_bytes(&cluster->options);
}

static bool is_reachable(struct cluster *cluster, uint32_t child)
{
	const struct engine *engine = &cluster->engines[child];

	if (sim_disk_faults(engine->disk)->is_gone)
		return false;
	return cluster->options.is_local || child == 0 || engine->is_up;
}

/* Return: bit by child, 0 when it must not be tried now. */
static uint32_t children_choose(struct engine_run *run)
{
	struct cluster *cluster = run->engine->cluster;
	uint32_t wanted = cluster->placed;
	uint32_t healthy = 0;
	uint32_t trusted = 0;
	uint32_t reachable = 0;
	uint32_t large = 0;

	if (store_record(cluster->store) == NULL)
		return wanted;
	for (uint32_t i = 0; i < cluster->options.engine_count; i++) {
		large |= (uint32_t)is_large_enough(cluster, i) << i;
		healthy |= (uint32_t)cluster_is_recorded_healthy(cluster, i) << i;
		trusted |= (uint32_t)cluster_has_kept_power(cluster, i) << i;
		reachable |= (uint32_t)is_reachable(cluster, i) << i;
	}
	if ((wanted & healthy) == 0 || (trusted != 0 && (wanted & trusted) == 0))
		wanted |= healthy;
	if (run->tries % 2 == 1)
		wanted &= reachable & large;
	if (trusted == 0)
		return (wanted & healthy) != 0 ? wanted : 0;
	return (wanted & trusted) != 0 ? wanted : 0;
}

bool engine_nexus_submit(struct engine_run *run)
{
	struct cluster *cluster = run->engine->cluster;
	const struct nexus_record *record = store_record(cluster->store);
	struct nexus_create *create = &run->create;
	uint32_t chosen = children_choose(run);
	uint32_t order[ENGINES_MAX];
	uint32_t count = children_order(cluster, chosen, order);

	run->tries++;
	if (count == 0)
		return false;
	*create = (struct nexus_create){
		.parent = &run->boot,
		.options = {.name = "volume",
			    .size_bytes = cluster->options.volume_bytes,
			    .controller_id_min = 1,
			    .controller_id_max = NEXUS_CONTROLLER_ID_MAX,
			    .child_count = count,
			    .home = run->reactors[run->reactor_count - 1],
			    .epoch = store_take_epoch(cluster->store)},
	};
	create->options.uuid.bytes[15] = 0xff;
	create->options.uuid.bytes[6] = 0x40;
	create->options.uuid.bytes[8] = 0x80;
	if (record != NULL) {
		run->record = *record;
		create->options.stored_record = &run->record;
	}
	for (uint32_t i = 0; i < count; i++) {
		engine_child_uri(run, order[i], run->uris[i]);
		create->options.child_uris[i] = run->uris[i];
	}
	sim_trace(cluster->sim, "nexus", chosen, run->tries, record != NULL);
	nexus_create_submit(run->set, create);
	return true;
}

bool engine_nexus_judge(struct engine_run *run)
{
	struct cluster *cluster = run->engine->cluster;

	if (run->create.result != NEXUS_DONE) {
		log_warn(&run->log, "nexus not created: %s", run->create.error);
		return false;
	}
	run->nexus = run->create.nexus;
	run->tries = 0;
	if (nexus_bdev(run->nexus)->block_count < cluster_block_count(&cluster->options))
		cluster_fail(cluster, "a volume of %" PRIu64 " blocks was made anew with %" PRIu64,
			     cluster_block_count(&cluster->options),
			     nexus_bdev(run->nexus)->block_count);
	return true;
}
