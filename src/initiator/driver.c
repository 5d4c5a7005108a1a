/* SPDX-License-Identifier: Apache-2.0 */
/* driver.c - nvmf URIs: names, parameters, and the making of controllers. */
#include "initiator/initiator_impl.h"

#include "base/memory.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define TIMEOUT_MS_MAX (24u * 3600 * 1000)

struct initiator_driver {
	struct bdev_driver driver;
	struct initiator_options options;
	struct reactor *main;
};

static const char *const schemes[] = {"nvmf", "nvmf+tcp", "nvmf+rdma+tcp", NULL};

void initiator_options_default(struct initiator_options *ret_options)
{
	*ret_options = (struct initiator_options){
		.queue_depth = 128,
		.kato_ms = 10 * 1000,
		.io_timeout_ms = 5 * 1000,
		.admin_timeout_ms = 5 * 1000,
		.connect_timeout_ms = 1000,
		.reconnect_min_ms = 200,
		.reconnect_max_ms = 10 * 1000,
		.ctrl_loss_timeout_ms = 60 * 1000,
		.fail_fast_ms = 0,
		.is_sole = true,
	};
}

static int refuse(char ret_error[ERROR_TEXT_BYTES], int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(char ret_error[ERROR_TEXT_BYTES], int error, const char *format, ...)
{
	va_list arguments;

	ASSERT(error < 0);
	va_start(arguments, format);
	(void)vsnprintf(ret_error, ERROR_TEXT_BYTES, format, arguments);
	va_end(arguments);
	return error;
}

static uint16_t uri_port(const struct uri *uri)
{
	return uri->port == 0 ? INITIATOR_PORT_DEFAULT : uri->port;
}

static int uri_nqn(const struct uri *uri, const char **ret_nqn, char ret_error[ERROR_TEXT_BYTES])
{
	const char *nqn = uri->path[0] == '/' ? uri->path + 1 : uri->path;

	if (uri->host[0] == '\0')
		return refuse(ret_error, -EINVAL,
			      "device '%.200s': the URI names no host; use nvmf://<address>/<nqn>",
			      nqn);
	if (!nvme_nqn_is_valid(nqn, strlen(nqn) + 1))
		return refuse(ret_error, -EINVAL,
			      "device '%.200s': '%.200s' is no NQN (nqn. and up to %d bytes)",
			      uri->host, nqn, NQN_BYTES_MAX - 1);
	*ret_nqn = nqn;
	return 0;
}

static int driver_name(const struct uri *uri, char ret_name[NAME_BYTES_MAX],
		       char ret_error[ERROR_TEXT_BYTES])
{
	bool is_ipv6 = strchr(uri->host, ':') != NULL;
	char text[NAME_BYTES_MAX];
	const char *nqn;
	int length;
	int rc;

	rc = uri_nqn(uri, &nqn, ret_error);
	if (rc < 0)
		return rc;
	length = snprintf(text, sizeof(text), is_ipv6 ? "[%s]:%u/%sn1" : "%s:%u/%sn1", uri->host,
			  uri_port(uri), nqn);
	if (length < 0 || (size_t)length >= sizeof(text))
		return refuse(ret_error, -EINVAL, "device '%.200s': the name is too long", nqn);
	memcpy(ret_name, text, (size_t)length + 1);
	return 0;
}

static int address_add(struct initiator_controller *controller, const char *host, uint16_t port,
		       char ret_error[ERROR_TEXT_BYTES])
{
	struct os_address *address = &controller->addresses[controller->address_count];
	int rc;

	if (controller->address_count == INITIATOR_ADDRESSES_MAX)
		return refuse(ret_error, -EINVAL, "device '%.200s': more than %d addresses",
			      controller->bdev.name, INITIATOR_ADDRESSES_MAX);
	rc = os_address_resolve(reactor_os(controller->main), host, port, address);
	if (rc < 0)
		return refuse(ret_error, rc,
			      "device '%.200s': host '%.100s' is no address and has none; check "
			      "the name or use an address",
			      controller->bdev.name, host);
	ASSERT(address->size > 0);
	controller->address_count++;
	ASSERT(controller->address_count <= INITIATOR_ADDRESSES_MAX);
	return 0;
}

/* <address>, <address>:<port>, [<IPv6 address>]:<port>. */
static int address_parse(struct initiator_controller *controller, const char *text,
			 char ret_error[ERROR_TEXT_BYTES])
{
	const char *last_colon = strrchr(text, ':');
	bool has_brackets = text[0] == '[';
	bool has_port = last_colon != NULL &&
			(has_brackets ? last_colon[-1] == ']' : strchr(text, ':') == last_colon);
	size_t host_bytes = has_port ? (size_t)(last_colon - text) : strlen(text);
	char host[OS_ADDRESS_TEXT_BYTES];
	uint32_t port = INITIATOR_PORT_DEFAULT;
	int rc = -EINVAL;

	if (has_brackets && host_bytes >= 2 && text[host_bytes - 1] == ']') {
		text++;
		host_bytes -= 2;
	}
	if (has_port) {
		port = 0;
		for (const char *digit = last_colon + 1; *digit != '\0'; digit++) {
			if (*digit < '0' || *digit > '9' || port > UINT16_MAX)
				port = UINT16_MAX + 1;
			else
				port = port * 10 + (uint32_t)(*digit - '0');
		}
	}
	if (host_bytes > 0 && host_bytes < sizeof(host) && port > 0 && port <= UINT16_MAX) {
		memcpy(host, text, host_bytes);
		host[host_bytes] = '\0';
		return address_add(controller, host, (uint16_t)port, ret_error);
	}
	return refuse(ret_error, rc,
		      "device '%.200s': address '%.100s' is not of the form <ip>[:<port>]",
		      controller->bdev.name, text);
}

/* Parameters that we do not know are somebody else's. */
static int parameter_apply(struct initiator_controller *controller,
			   const struct uri_parameter *parameter, char ret_error[ERROR_TEXT_BYTES])
{
	const char *value = parameter->value;

	if (strcmp(parameter->name, "address") == 0)
		return address_parse(controller, value, ret_error);
	if (strcmp(parameter->name, "hdgst") == 0)
		controller->options.has_header_digest = strcmp(value, "0") != 0;
	if (strcmp(parameter->name, "ddgst") == 0)
		controller->options.has_data_digest = strcmp(value, "0") != 0;
	if (strcmp(parameter->name, "uuid") == 0) {
		if (!uuid_parse(value, &controller->expected_uuid))
			return refuse(ret_error, -EINVAL, "device '%.200s': '%.100s' is no uuid",
				      controller->bdev.name, value);
		controller->has_expected_uuid = true;
	}
	if (strcmp(parameter->name, "hostnqn") == 0) {
		if (!nvme_nqn_is_valid(value, strlen(value) + 1))
			return refuse(ret_error, -EINVAL,
				      "device '%.200s': host NQN '%.100s' is no NQN",
				      controller->bdev.name, value);
		memcpy(controller->hostnqn, value, strlen(value) + 1);
	}
	return 0;
}

/* Everything that the URI says. */
static int controller_configure(struct initiator_controller *controller, const struct uri *uri,
				char ret_error[ERROR_TEXT_BYTES])
{
	const char *nqn = NULL;
	int rc;

	rc = uri_nqn(uri, &nqn, ret_error);
	if (rc < 0)
		return rc;
	memcpy(controller->subnqn, nqn, strlen(nqn) + 1);
	rc = address_add(controller, uri->host, uri_port(uri), ret_error);
	for (uint32_t i = 0; i < uri->parameter_count && rc == 0; i++)
		rc = parameter_apply(controller, &uri->parameters[i], ret_error);
	return rc;
}

/* Host NQN and the rest that comes from the driver's options. */
static void controller_init(struct initiator_controller *controller,
			    const struct initiator_driver *driver)
{
	struct queue_shared *shared = &controller->shared;
	uint64_t seed;

	ASSERT(controller->main == NULL && driver->main != NULL);
	controller->main = driver->main;
	controller->options = driver->options;
	memcpy(controller->hostnqn, driver->options.host_nqn, sizeof(driver->options.host_nqn));
	os_entropy_fill(reactor_os(driver->main), &seed, sizeof(seed));
	prng_init(&controller->prng, seed);
	controller->found_ana_state = NVME_ANA_OPTIMIZED;
	shared->options = &controller->options;
	shared->subnqn = controller->subnqn;
	shared->hostnqn = controller->hostnqn;
	shared->name = controller->bdev.name;
	atomic_init(&shared->ana_state, NVME_ANA_OPTIMIZED);
}

static int controller_create(struct bdev_create *create, const struct initiator_driver *driver,
			     struct initiator_controller **ret_controller)
{
	struct initiator_controller *controller = memory_alloc(sizeof(*controller));
	int rc;

	if (controller == NULL)
		return refuse(create->error, -ENOMEM, "device '%.200s': out of memory",
			      create->name);
	memcpy(controller->bdev.name, create->name, sizeof(create->name));
	controller_init(controller, driver);
	rc = controller_configure(controller, &create->uri, create->error);
	if (rc < 0)
		goto fail;
	controller->shared.has_header_digest = controller->options.has_header_digest;
	controller->shared.has_data_digest = controller->options.has_data_digest;
	rc = refuse(create->error, -ENOMEM, "device '%.200s': out of memory", create->name);
	controller->stage_data = memory_alloc(STAGE_DATA_BYTES);
	if (controller->stage_data == NULL)
		goto fail;
	if (queue_create(&controller->shared, driver->main, true, ADMIN_DEPTH, &controller->admin) <
	    0)
		goto fail;
	ASSERT(controller->address_count > 0 && controller->subnqn[0] != '\0');
	ASSERT(controller->hostnqn[0] != '\0');
	create->error[0] = '\0';
	*ret_controller = controller;
	return 0;

fail:
	controller_free(controller);
	return rc;
}

static void driver_create(struct bdev_create *create)
{
	struct initiator_driver *driver =
		container_of(create->driver, struct initiator_driver, driver);
	struct initiator_controller *controller = NULL;

	ASSERT(create->parent != NULL && driver->main == bdev_registry_main(create->registry));
	create->result = controller_create(create, driver, &controller);
	if (create->result < 0) {
		op_done(create->parent);
		return;
	}
	ASSERT(controller != NULL);
	controller->create = create;
	controller_start(controller);
}

static void driver_release(struct bdev_driver *base)
{
	memory_free(container_of(base, struct initiator_driver, driver));
}

static bool options_are_sane(const struct initiator_options *options)
{
	const uint32_t times_ms[] = {options->io_timeout_ms, options->admin_timeout_ms,
				     options->connect_timeout_ms, options->reconnect_min_ms,
				     options->reconnect_max_ms};

	for (size_t i = 0; i < sizeof(times_ms) / sizeof(times_ms[0]); i++) {
		if (times_ms[i] == 0 || times_ms[i] > TIMEOUT_MS_MAX)
			return false;
	}
	return options->reconnect_min_ms <= options->reconnect_max_ms && options->log != NULL &&
	       options->queue_depth > 0 && options->queue_depth <= INITIATOR_QUEUE_DEPTH_MAX &&
	       nvme_nqn_is_valid(options->host_nqn, sizeof(options->host_nqn));
}

int initiator_register(struct bdev_registry *registry, const struct initiator_options *options)
{
	struct initiator_driver *driver;

	if (!options_are_sane(options))
		return -EINVAL;
	driver = memory_alloc(sizeof(*driver));
	if (driver == NULL)
		return -ENOMEM;
	driver->driver = (struct bdev_driver){
		.schemes = schemes,
		.name = driver_name,
		.create = driver_create,
		.release = driver_release,
	};
	driver->options = *options;
	driver->main = bdev_registry_main(registry);
	bdev_registry_add_driver(registry, &driver->driver);
	return 0;
}
