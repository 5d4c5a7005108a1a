/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_host.c - the HostRpc service: who this engine is and what its machine has.
 *
 * Disks are looked at on a thread of its own, because they may have to spin up.
 */
#include "engine/engine_impl.h"

#include "base/memory.h"
#include "engine/block_device_message.h"
#include "initiator/initiator.h"

#include <stdio.h>
#include <string.h>

#define DEVICES_MAX	512
#define CONTROLLERS_MAX 1024

static void features_fill(const struct engine *engine, Mayastor__V1__MayastorFeatures *features)
{
	mayastor__v1__mayastor_features__init(features);
	features->asymmetricnamespaceaccess = engine->options->is_ana_enabled;
	features->has_logicalvolumemanager = true;
	features->has_snapshotrebuild = true;
	features->has_rdmacapableioengine = true;
}

static void endpoint_format(const struct engine_options *options, char *ret_text, size_t size)
{
	bool is_ipv6 = strchr(options->grpc_ip, ':') != NULL;

	snprintf(ret_text, size, "%s%s%s:%u", is_ipv6 ? "[" : "", options->grpc_ip,
		 is_ipv6 ? "]" : "", options->grpc_port);
}

static void info_handle(struct rpc_call *call)
{
	struct engine *engine = call->user;
	Mayastor__V1__MayastorInfoResponse response = MAYASTOR__V1__MAYASTOR_INFO_RESPONSE__INIT;
	Mayastor__V1__BackCompatMayastorFeatures previous =
		MAYASTOR__V1__BACK_COMPAT_MAYASTOR_FEATURES__INIT;
	Mayastor__V1__RegisterRequest registration = MAYASTOR__V1__REGISTER_REQUEST__INIT;
	Mayastor__V1__MayastorFeatures features;
	Mayastor__V1__MayastorBugFixes bugfixes = MAYASTOR__V1__MAYASTOR_BUG_FIXES__INIT;
	Mayastor__V1__APIVersion version = MAYASTOR__V1__APIVERSION__V1;
	Google__Protobuf__StringValue instance = GOOGLE__PROTOBUF__STRING_VALUE__INIT;
	Google__Protobuf__StringValue host_nqn = GOOGLE__PROTOBUF__STRING_VALUE__INIT;
	char endpoint[OS_ADDRESS_TEXT_BYTES + 16];
	char uuid[UUID_TEXT_BYTES];

	features_fill(engine, &features);
	endpoint_format(engine->options, endpoint, sizeof(endpoint));
	uuid_format(&engine->instance_uuid, uuid);
	bugfixes.nexusrebuildreplicaancestry = true;
	instance.value = uuid;
	host_nqn.value = (char *)engine->options->host_nqn;
	previous.asymmetricnamespaceaccess = features.asymmetricnamespaceaccess;
	registration.id = (char *)engine->options->node_name;
	registration.grpc_endpoint = endpoint;
	registration.instance_uuid = &instance;
	registration.n_api_version = 1;
	registration.api_version = &version;
	registration.hostnqn = &host_nqn;
	registration.features = &features;
	registration.bugfixes = &bugfixes;
	registration.version = (char *)MAYASTOR_VERSION;
	response.version = (char *)MAYASTOR_VERSION;
	response.previous_features = &previous;
	response.registration_info = &registration;
	rpc_call_reply(call, &response.base);
}

static void usage_handle(struct rpc_call *call)
{
	struct engine *engine = call->user;
	Mayastor__V1__GetMayastorResourceUsageResponse response =
		MAYASTOR__V1__GET_MAYASTOR_RESOURCE_USAGE_RESPONSE__INIT;
	Mayastor__V1__ResourceUsage message = MAYASTOR__V1__RESOURCE_USAGE__INIT;
	struct os_resource_usage usage;

	os_resource_usage(reactor_os(engine->main), &usage);
	message.soft_faults = usage.soft_faults;
	message.hard_faults = usage.hard_faults;
	message.swaps = usage.swaps;
	message.in_block_ops = usage.blocks_in;
	message.out_block_ops = usage.blocks_out;
	message.ipc_msg_send = usage.messages_sent;
	message.ipc_msg_rcv = usage.messages_received;
	message.signals = usage.signals;
	message.vol_csw = usage.switches_voluntary;
	message.invol_csw = usage.switches_involuntary;
	response.usage = &message;
	rpc_call_reply(call, &response.base);
}

/* Looks at the disks on its own thread, answers on the main reactor. */
struct device_job {
	struct reactor_message message;
	struct engine *engine;
	struct rpc_call *call;
	struct os_thread *thread;
	int count; /* or -errno */
	struct os_block_device devices[DEVICES_MAX];
	struct block_device_message texts[DEVICES_MAX];
	Mayastor__V1__BlockDevice *list[DEVICES_MAX];
};

static void devices_read(void *argument)
{
	struct device_job *job = argument;

	job->count = os_block_device_list(reactor_os(job->engine->main), job->devices, DEVICES_MAX);
	reactor_send(job->engine->main, &job->message);
}

static void devices_answer(struct reactor_message *message)
{
	struct device_job *job = container_of(message, struct device_job, message);
	const Mayastor__V1__ListBlockDevicesRequest *request = (const void *)job->call->request;
	Mayastor__V1__ListBlockDevicesResponse response =
		MAYASTOR__V1__LIST_BLOCK_DEVICES_RESPONSE__INIT;

	os_thread_join(job->thread);
	for (int i = 0; i < job->count; i++) {
		if (!request->all && !block_device_is_available(&job->devices[i]))
			continue;
		block_device_message_fill(&job->devices[i], &job->texts[i]);
		job->list[response.n_devices++] = &job->texts[i].message;
	}
	response.devices = job->list;
	if (job->count < 0)
		rpc_call_fail(job->call, RPC_INTERNAL, "the block devices cannot be listed: %s",
			      strerror(-job->count));
	else
		rpc_call_reply(job->call, &response.base);
	job->engine->jobs--;
	memory_free(job);
}

static void devices_handle(struct rpc_call *call)
{
	struct engine *engine = call->user;
	struct device_job *job = memory_alloc(sizeof(*job));

	if (job == NULL) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "no memory to list the devices");
		return;
	}
	job->engine = engine;
	job->call = call;
	job->message.run = devices_answer;
	engine->jobs++;
	if (os_thread_start(reactor_os(engine->main), -1, devices_read, job, &job->thread) != 0) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "no thread to list the devices with");
		engine->jobs--;
		memory_free(job);
	}
}

static Mayastor__V1__NvmeControllerState controller_state(enum initiator_state state)
{
	switch (state) {
	case INITIATOR_NEW:
		return MAYASTOR__V1__NVME_CONTROLLER_STATE__NEW;
	case INITIATOR_INITIALIZING:
		return MAYASTOR__V1__NVME_CONTROLLER_STATE__INITIALIZING;
	case INITIATOR_RUNNING:
		return MAYASTOR__V1__NVME_CONTROLLER_STATE__RUNNING;
	case INITIATOR_RESETTING:
	case INITIATOR_FAULTED:
		return MAYASTOR__V1__NVME_CONTROLLER_STATE__FAULTED;
	case INITIATOR_UNCONFIGURING:
		return MAYASTOR__V1__NVME_CONTROLLER_STATE__UNCONFIGURING;
	}
	return MAYASTOR__V1__NVME_CONTROLLER_STATE__FAULTED;
}

static uint32_t controllers_fill(struct engine *engine, Mayastor__V1__NvmeController *messages,
				 uint32_t capacity)
{
	uint32_t count = 0;

	for (struct bdev *bdev = bdev_next(engine->registry, NULL); bdev != NULL;
	     bdev = bdev_next(engine->registry, bdev)) {
		struct initiator_info info;

		if (count == capacity || !initiator_describe(bdev, &info))
			continue;
		mayastor__v1__nvme_controller__init(&messages[count]);
		messages[count].name = bdev->name;
		messages[count].state = controller_state(info.state);
		messages[count].size = info.size_bytes;
		messages[count].blk_size = info.block_bytes;
		count++;
	}
	return count;
}

static void controllers_handle(struct rpc_call *call)
{
	Mayastor__V1__ListNvmeControllersResponse response =
		MAYASTOR__V1__LIST_NVME_CONTROLLERS_RESPONSE__INIT;
	Mayastor__V1__NvmeController *messages =
		memory_alloc_array(CONTROLLERS_MAX, sizeof(*messages));
	Mayastor__V1__NvmeController **list = memory_alloc_array(CONTROLLERS_MAX, sizeof(*list));

	if (messages == NULL || list == NULL) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "no memory to list the controllers");
	} else {
		response.n_controllers = controllers_fill(call->user, messages, CONTROLLERS_MAX);
		for (size_t i = 0; i < response.n_controllers; i++)
			list[i] = &messages[i];
		response.controllers = list;
		rpc_call_reply(call, &response.base);
	}
	memory_free(messages);
	memory_free(list);
}

static void controller_stat_handle(struct rpc_call *call)
{
	const Mayastor__V1__StatNvmeControllerRequest *request = (const void *)call->request;
	Mayastor__V1__StatNvmeControllerResponse response =
		MAYASTOR__V1__STAT_NVME_CONTROLLER_RESPONSE__INIT;
	Mayastor__V1__NvmeControllerIoStats message = MAYASTOR__V1__NVME_CONTROLLER_IO_STATS__INIT;
	struct engine *engine = call->user;
	struct bdev *bdev = bdev_find(engine->registry, request->name);
	struct bdev_stats stats;

	if (bdev == NULL || !initiator_is_initiator(bdev)) {
		rpc_call_fail(call, RPC_NOT_FOUND, "there is no NVMe controller '%s'",
			      request->name);
		return;
	}
	bdev_stats(bdev, &stats);
	message.num_read_ops = stats.of[IO_READ].operations;
	message.bytes_read = stats.of[IO_READ].bytes;
	message.num_write_ops = stats.of[IO_WRITE].operations;
	message.bytes_written = stats.of[IO_WRITE].bytes;
	message.num_unmap_ops = stats.of[IO_UNMAP].operations;
	message.bytes_unmapped = stats.of[IO_UNMAP].bytes;
	response.stats = &message;
	rpc_call_reply(call, &response.base);
}

static const struct rpc_method host_methods[] = {
	{"GetMayastorInfo", info_handle},
	{"GetMayastorResourceUsage", usage_handle},
	{"ListBlockDevices", devices_handle},
	{"ListNvmeControllers", controllers_handle},
	{"StatNvmeController", controller_stat_handle},
};

static const struct rpc_service host_service = {
	&mayastor__v1__host_rpc__descriptor,
	host_methods,
	sizeof(host_methods) / sizeof(host_methods[0]),
};

void rpc_host_register(struct engine *engine)
{
	rpc_server_add_service(engine->rpc, &host_service, engine);
}
