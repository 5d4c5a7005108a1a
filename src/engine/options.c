/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - reads the command line and the environment into one struct.
 *
 * The order of precedence is command line, environment, default. Everything wrong ends in one
 * sentence that names the option, the rule and the way out.
 */
#include "engine/options.h"

#include "base/assert.h"
#include "base/size.h"
#include "engine/interface_choice.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define INTERFACES_MAX 128

/* What happens to an option. */
enum option_kind {
	OPTION_TAKEN,	/* has a case in option_apply() */
	OPTION_IGNORED, /* concerns huge pages or fixed pools, which this engine does without */
	OPTION_REFUSED, /* asks for what this engine cannot do */
};

enum option_id {
	ID_GRPC_ENDPOINT = 'g',
	ID_REGISTRATION = 'R',
	ID_LOG_COMPONENT = 'L',
	ID_LOG_FORMAT = 'F',
	ID_CORE_MASK = 'm',
	ID_CORE_LIST = 'l',
	ID_NODE_NAME = 'N',
	ID_HUGE_MEMORY = 's',
	ID_NO_PCI = 'u',
	ID_JSON_RPC = 'r',
	ID_CONFIG = 'y',
	ID_POOLS = 'P',
	ID_STORE = 'p',
	ID_TARGET_INTERFACE = 'T',
	ID_DIAGNOSE = 'd',
	ID_HELP = 'h',
	ID_VERSION = 'V',
	ID_GRPC_IP = 256,
	ID_GRPC_PORT,
	ID_TARGET_PORT,
	ID_TARGET_SECOND_PORT,
	ID_STATE_DIRECTORY,
	ID_LOG_LEVEL,
	ID_PTPL_DIRECTORY,
	ID_HUGE_DIRECTORY,
	ID_ENV_CONTEXT,
	ID_STORE_TIMEOUT,
	ID_STORE_RETRIES,
	ID_BDEV_POOL,
	ID_CONTROLLER_POOL,
	ID_CRDT,
	ID_API_VERSIONS,
	ID_FREEZE_DETECTION,
	ID_FREEZE_TIMEOUT,
	ID_EVENTS,
	ID_LVM,
	ID_SNAPSHOT_REBUILD,
	ID_RDMA,
};

struct option_row {
	const char *name;
	int id;
	int has_argument;
	enum option_kind kind;
	const char *argument;
	const char *help; /* for refused ones: why */
};

static const struct option_row option_rows[] = {
	{"node-name", ID_NODE_NAME, 1, OPTION_TAKEN, "NAME", "name of this node (HOSTNAME)"},
	{"grpc-ip", ID_GRPC_IP, 1, OPTION_TAKEN, "IP", "management address (::)"},
	{"grpc-port", ID_GRPC_PORT, 1, OPTION_TAKEN, "PORT", "management port (10124)"},
	{"grpc-endpoint", ID_GRPC_ENDPOINT, 1, OPTION_TAKEN, "IP[:PORT]", "older form of the two"},
	{"tgt-iface", ID_TARGET_INTERFACE, 1, OPTION_TAKEN, "CHOICE",
	 "where hosts connect: name:IF, mac:.., ip:.., subnet:.. (NVMF_TGT_IFACE, MY_POD_IP, "
	 "127.0.0.1)"},
	{"tgt-port", ID_TARGET_PORT, 1, OPTION_TAKEN, "PORT", "NVMe/TCP port (8420)"},
	{"tgt-second-port", ID_TARGET_SECOND_PORT, 1, OPTION_TAKEN, "PORT",
	 "another NVMe/TCP port, 0 for none (4421)"},
	{"tgt-crdt", ID_CRDT, 1, OPTION_TAKEN, "N[,N,N]",
	 "command retry delays in 100 ms, 0..100 (NVMF_TGT_CRDT, 0)"},
	{"core-list", ID_CORE_LIST, 1, OPTION_TAKEN, "LIST", "cores to run on: 1,2-3; over -m"},
	{"core-mask", ID_CORE_MASK, 1, OPTION_TAKEN, "MASK", "the same as a mask (0x1)"},
	{"state-dir", ID_STATE_DIRECTORY, 1, OPTION_TAKEN, "DIR",
	 "where losses of copies are recorded (MAYASTOR_STATE_DIR, /var/lib/mayastor)"},
	{"ptpl-dir", ID_PTPL_DIRECTORY, 1, OPTION_TAKEN, "DIR",
	 "where reservations persist; without it they do not"},
	{"log-format", ID_LOG_FORMAT, 1, OPTION_TAKEN, "WORDS",
	 "default|compact|json, color|nocolor, date|nodate, host|nohost"},
	{"log-level", ID_LOG_LEVEL, 1, OPTION_TAKEN, "LEVEL",
	 "error, warn, info, debug or trace (RUST_LOG, info)"},
	{"api-versions", ID_API_VERSIONS, 1, OPTION_TAKEN, "LIST", "v1; v0 is not served"},
	{"help", ID_HELP, 0, OPTION_TAKEN, NULL, "show this text"},
	{"version", ID_VERSION, 0, OPTION_TAKEN, NULL, "show the version"},
	{"log-component", ID_LOG_COMPONENT, 1, OPTION_IGNORED, "NAME", NULL},
	{"huge-memory", ID_HUGE_MEMORY, 1, OPTION_IGNORED, "SIZE", NULL},
	{"huge-dir", ID_HUGE_DIRECTORY, 1, OPTION_IGNORED, "DIR", NULL},
	{"no-pci", ID_NO_PCI, 0, OPTION_IGNORED, NULL, NULL},
	{"env-context", ID_ENV_CONTEXT, 1, OPTION_IGNORED, "TEXT", NULL},
	{"bdev-pool-size", ID_BDEV_POOL, 1, OPTION_IGNORED, "N", NULL},
	{"nvme-ctl-pool-size", ID_CONTROLLER_POOL, 1, OPTION_IGNORED, "N", NULL},
	{"ps-timeout", ID_STORE_TIMEOUT, 1, OPTION_IGNORED, "TIME", NULL},
	{"ps-retries", ID_STORE_RETRIES, 1, OPTION_IGNORED, "N", NULL},
	{"reactor-freeze-timeout", ID_FREEZE_TIMEOUT, 1, OPTION_IGNORED, "TIME", NULL},
	{"rpc-socket", ID_JSON_RPC, 1, OPTION_REFUSED, "PATH", "there is no JSON-RPC socket"},
	{"registration", ID_REGISTRATION, 1, OPTION_REFUSED, "URI",
	 "this engine does not register with a control plane"},
	{"config", ID_CONFIG, 1, OPTION_REFUSED, "FILE", "use options and environment instead"},
	{"pools", ID_POOLS, 1, OPTION_REFUSED, "FILE", "this engine has no pools"},
	{"persistent-store", ID_STORE, 1, OPTION_REFUSED, "ENDPOINT",
	 "losses are recorded in --state-dir"},
	{"diagnose-stack", ID_DIAGNOSE, 1, OPTION_REFUSED, "PID", "use gdb -p PID"},
	{"reactor-freeze-detection", ID_FREEZE_DETECTION, 0, OPTION_REFUSED, NULL,
	 "there is no freeze detection"},
	{"events-url", ID_EVENTS, 1, OPTION_REFUSED, "URL", "this engine publishes no events"},
	{"enable-lvm", ID_LVM, 1, OPTION_REFUSED, "BOOL", "there is no LVM backend"},
	{"enable-snapshot-rebuild", ID_SNAPSHOT_REBUILD, 1, OPTION_REFUSED, "BOOL",
	 "there is no snapshot rebuild"},
	{"enable-rdma", ID_RDMA, 1, OPTION_REFUSED, "BOOL", "there is no RDMA transport"},
};
#define OPTION_ROW_COUNT (sizeof(option_rows) / sizeof(option_rows[0]))

struct parse {
	struct os *os;
	struct engine_options *options;
	const char *target_interface;
	FILE *err;
};

__attribute__((format(printf, 2, 3))) static int complain(struct parse *parse, const char *format,
							  ...)
{
	va_list arguments;

	fputs("io-engine: ", parse->err);
	va_start(arguments, format);
	vfprintf(parse->err, format, arguments);
	va_end(arguments);
	fputc('\n', parse->err);
	return -EINVAL;
}

static int number_parse(const char *text, uint64_t max, uint64_t *ret_number)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 0);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number > max)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

static int port_take(struct parse *parse, const char *name, const char *text, uint16_t *ret_port)
{
	uint64_t port;

	if (number_parse(text, 65535, &port) != 0)
		return complain(parse, "%s '%s' is no port: write a number from 0 to 65535", name,
				text);
	*ret_port = (uint16_t)port;
	return 0;
}

static int text_take(struct parse *parse, const char *name, const char *text, char *ret_text,
		     size_t size)
{
	if (strlen(text) >= size || text[0] == '\0')
		return complain(parse, "%s '%.40s' must have 1 to %zu characters", name, text,
				size - 1);
	snprintf(ret_text, size, "%s", text);
	return 0;
}

static int endpoint_take(struct parse *parse, const char *text)
{
	char host[OS_ADDRESS_TEXT_BYTES];
	const char *colon = strrchr(text, ':');
	size_t length = strlen(text);

	if (text[0] == '[' || (colon != NULL && strchr(text, ':') == colon)) {
		if (text[0] == '[' && (colon == NULL || colon[-1] != ']'))
			colon = NULL;
		if (colon != NULL) {
			if (port_take(parse, "--grpc-endpoint port", colon + 1,
				      &parse->options->grpc_port) != 0)
				return -EINVAL;
			length = (size_t)(colon - text);
		}
	}
	if (length > 1 && text[0] == '[' && text[length - 1] == ']') {
		text++;
		length -= 2;
	}
	snprintf(host, sizeof(host), "%.*s", (int)length, text);
	return text_take(parse, "--grpc-endpoint", host, parse->options->grpc_ip,
			 sizeof(parse->options->grpc_ip));
}

static int crdt_take(struct parse *parse, const char *text)
{
	uint16_t *crdt = parse->options->target_crdt;
	unsigned int value[3];
	int end = 0;
	int count = sscanf(text, "%3u%n,%3u,%3u%n", &value[0], &end, &value[1], &value[2], &end);

	if ((count != 1 && count != 3) || text[end] != '\0')
		return complain(parse, "--tgt-crdt '%s' must be one or three numbers", text);
	for (int i = 0; i < 3; i++) {
		if (value[count == 1 ? 0 : i] > 100)
			return complain(parse, "--tgt-crdt '%s': each must be 0 to 100", text);
		crdt[i] = (uint16_t)value[count == 1 ? 0 : i];
	}
	return 0;
}

static int core_add(struct parse *parse, uint64_t core, const char *text)
{
	struct engine_options *options = parse->options;

	if (core >= os_core_count(parse->os))
		return complain(parse, "core %llu of '%s' does not exist: this machine has 0 to %u",
				(unsigned long long)core, text, os_core_count(parse->os) - 1);
	for (uint32_t i = 0; i < options->core_count; i++) {
		if (options->cores[i] == (int)core)
			return complain(parse, "core %llu is named twice in '%s'",
					(unsigned long long)core, text);
	}
	if (options->core_count == REACTORS_MAX)
		return complain(parse, "'%s' names more than %d cores", text, REACTORS_MAX);
	options->cores[options->core_count++] = (int)core;
	return 0;
}

static int core_list_take(struct parse *parse, const char *text)
{
	const char *at = text;

	parse->options->core_count = 0;
	while (true) {
		char *end;
		uint64_t first = strtoull(at, &end, 10);
		uint64_t last = first;

		if (end == at || at[0] == '-' || first >= 4096)
			break;
		if (*end == '-') {
			at = end + 1;
			last = strtoull(at, &end, 10);
			if (end == at || last < first || last >= 4096)
				break;
		}
		for (uint64_t core = first; core <= last; core++) {
			if (core_add(parse, core, text) != 0)
				return -EINVAL;
		}
		if (*end == '\0')
			return 0;
		if (*end != ',')
			break;
		at = end + 1;
	}
	return complain(parse, "core list '%s' is not understood: write for example 1,2-3", text);
}

static int core_mask_take(struct parse *parse, const char *text)
{
	char *end;
	unsigned long long mask;

	errno = 0;
	mask = strtoull(text, &end, 16);
	if (*end != '\0' || errno != 0 || mask == 0 || text[0] == '-')
		return complain(parse, "core mask '%s' must be a hexadecimal number above 0", text);
	parse->options->core_count = 0;
	for (uint32_t core = 0; core < 64; core++) {
		if ((mask >> core & 1) != 0 && core_add(parse, core, text) != 0)
			return -EINVAL;
	}
	return 0;
}

static int log_format_take(struct parse *parse, const char *text)
{
	struct engine_options *options = parse->options;
	char copy[128];
	char *save = NULL;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		if (strcmp(word, "json") == 0)
			options->log_style = LOG_STYLE_JSON;
		else if (strcmp(word, "default") == 0 || strcmp(word, "compact") == 0)
			options->log_style = LOG_STYLE_TEXT;
		else if (strcmp(word, "color") == 0 || strcmp(word, "nocolor") == 0)
			options->log_has_color = word[0] == 'c';
		else if (strcmp(word, "date") == 0 || strcmp(word, "nodate") == 0)
			options->log_has_date = word[0] == 'd';
		else if (strcmp(word, "host") == 0 || strcmp(word, "nohost") == 0)
			options->log_has_host = word[0] == 'h';
		else
			return complain(parse, "log format '%s' is unknown: see --help", word);
	}
	return 0;
}

static int api_versions_take(struct parse *parse, const char *text)
{
	char copy[64];
	char *save = NULL;
	bool has_v1 = false;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		if (strcasecmp(word, "v1") == 0)
			has_v1 = true;
		else if (strcasecmp(word, "v0") != 0)
			return complain(parse, "API version '%s' is unknown: write v1", word);
	}
	return has_v1 ? 0 : complain(parse, "--api-versions '%s': v1 is the one served", text);
}

static int option_apply(struct parse *parse, int id, const char *value)
{
	struct engine_options *options = parse->options;

	switch (id) {
	case ID_NODE_NAME:
		return text_take(parse, "--node-name", value, options->node_name,
				 sizeof(options->node_name));
	case ID_GRPC_IP:
		return text_take(parse, "--grpc-ip", value, options->grpc_ip,
				 sizeof(options->grpc_ip));
	case ID_GRPC_PORT:
		return port_take(parse, "--grpc-port", value, &options->grpc_port);
	case ID_GRPC_ENDPOINT:
		return endpoint_take(parse, value);
	case ID_TARGET_INTERFACE:
		parse->target_interface = value;
		return 0;
	case ID_TARGET_PORT:
		return port_take(parse, "--tgt-port", value, &options->target_port);
	case ID_TARGET_SECOND_PORT:
		return port_take(parse, "--tgt-second-port", value, &options->target_second_port);
	case ID_CRDT:
		return crdt_take(parse, value);
	case ID_CORE_LIST:
		return core_list_take(parse, value);
	case ID_CORE_MASK:
		return core_mask_take(parse, value);
	case ID_STATE_DIRECTORY:
		return text_take(parse, "--state-dir", value, options->state_directory,
				 sizeof(options->state_directory));
	case ID_PTPL_DIRECTORY:
		return text_take(parse, "--ptpl-dir", value, options->ptpl_directory,
				 sizeof(options->ptpl_directory));
	case ID_LOG_FORMAT:
		return log_format_take(parse, value);
	case ID_LOG_LEVEL:
		return log_level_parse(value, &options->log_level)
			       ? 0
			       : complain(parse, "log level '%s' is unknown: see --help", value);
	case ID_API_VERSIONS:
		return api_versions_take(parse, value);
	default:
		return 0;
	}
}

static const struct option_row *row_find(int id)
{
	for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
		if (option_rows[i].id == id)
			return &option_rows[i];
	}
	return NULL;
}

static void defaults_set(struct engine_options *options)
{
	memset(options, 0, sizeof(*options));
	snprintf(options->node_name, sizeof(options->node_name), "mayastor-node");
	snprintf(options->grpc_ip, sizeof(options->grpc_ip), "::");
	snprintf(options->state_directory, sizeof(options->state_directory), "/var/lib/mayastor");
	options->grpc_port = 10124;
	options->target_port = 8420;
	options->target_second_port = 4421;
	options->target_queue_depth = 32;
	options->target_queue_pairs_max = 32;
	options->core_count = 1;
	options->log_level = LOG_INFO;
	options->log_has_date = true;
	options->initiator_io_timeout_ms = 5000;
	options->initiator_admin_timeout_ms = 5000;
	options->initiator_keep_alive_ms = 10000;
	options->initiator_connect_timeout_ms = 1000;
}

/* A time by its plain name, else by its older name with the unit in it. */
static int time_take(struct parse *parse, const char *name, const char *older, uint64_t unit_ns,
		     uint32_t *ret_ms)
{
	const char *text = os_environment(parse->os, name);
	uint64_t ns;

	if (text != NULL) {
		if (duration_parse(text, &ns) != 0)
			return complain(parse, "%s '%s' is no time: write 10s or 500ms", name,
					text);
	} else {
		text = os_environment(parse->os, older);
		if (text == NULL)
			return 0;
		if (number_parse(text, UINT32_MAX, &ns) != 0)
			return complain(parse, "%s '%s' is no number", older, text);
		ns *= unit_ns;
	}
	if (ns < 1000000 || ns / 1000000 > UINT32_MAX)
		return complain(parse, "%s '%s' must be 1 ms to 49 days", name, text);
	*ret_ms = (uint32_t)(ns / 1000000);
	return 0;
}

static int count_take(struct parse *parse, const char *name, uint64_t min, uint64_t max,
		      uint32_t *ret_count)
{
	const char *text = os_environment(parse->os, name);
	uint64_t count;

	if (text == NULL)
		return 0;
	if (number_parse(text, max, &count) != 0 || count < min)
		return complain(parse, "%s '%s' must be %llu to %llu", name, text,
				(unsigned long long)min, (unsigned long long)max);
	*ret_count = (uint32_t)count;
	return 0;
}

static int environment_options_apply(struct parse *parse)
{
	static const struct {
		const char *name;
		int id;
	} rows[] = {{"HOSTNAME", ID_NODE_NAME},
		    {"MY_POD_IP", ID_TARGET_INTERFACE},
		    {"NVMF_TGT_IFACE", ID_TARGET_INTERFACE},
		    {"NVMF_TGT_CRDT", ID_CRDT},
		    {"MAYASTOR_STATE_DIR", ID_STATE_DIRECTORY}};
	const char *level = os_environment(parse->os, "RUST_LOG");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *value = os_environment(parse->os, rows[i].name);

		if (value != NULL && value[0] != '\0' && option_apply(parse, rows[i].id, value))
			return -EINVAL;
	}
	/* That filter language knows more than levels; what is no level is left alone. */
	if (level != NULL)
		(void)log_level_parse(level, &parse->options->log_level);
	return 0;
}

static int environment_apply(struct parse *parse)
{
	struct engine_options *options = parse->options;
	const char *text;

	if (environment_options_apply(parse) != 0)
		return -EINVAL;
	text = os_environment(parse->os, "NEXUS_NVMF_ANA_ENABLE");
	options->is_ana_enabled = text != NULL && strcmp(text, "1") == 0;
	if (os_environment(parse->os, "NEXUS_NVMF_RESV_ENABLE") != NULL)
		return complain(parse, "NEXUS_NVMF_RESV_ENABLE is set, but this engine takes no "
				       "reservations on its children: unset it, and see to it that "
				       "only one engine runs a volume");
	text = os_environment(parse->os, "HOSTNQN");
	if (text != NULL)
		snprintf(options->host_nqn, sizeof(options->host_nqn), "%s", text);
	text = os_environment(parse->os, "MAYASTOR_NVMF_HOSTID");
	if (text != NULL)
		snprintf(options->host_id, sizeof(options->host_id), "%s", text);
	if (time_take(parse, "NVME_TIMEOUT", "NVME_TIMEOUT_US", 1000,
		      &options->initiator_io_timeout_ms) != 0 ||
	    time_take(parse, "NVME_TIMEOUT_ADMIN", "NVME_TIMEOUT_ADMIN_US", 1000,
		      &options->initiator_admin_timeout_ms) != 0 ||
	    time_take(parse, "NVME_KATO", "NVME_KATO_MS", 1000000,
		      &options->initiator_keep_alive_ms) != 0 ||
	    count_take(parse, "NVMF_TCP_MAX_QUEUE_DEPTH", 2, 1024, &options->target_queue_depth) ||
	    count_take(parse, "NVMF_TCP_MAX_QPAIRS_PER_CTRL", 2, 32,
		       &options->target_queue_pairs_max) != 0 ||
	    count_take(parse, "NEXUS_REBUILD_MIB_S", 0, 1u << 20,
		       &options->rebuild_mib_per_second) != 0)
		return -EINVAL;
	return 0;
}

static int target_address_choose(struct parse *parse)
{
	struct os_interface interfaces[INTERFACES_MAX];
	char error[ERROR_TEXT_BYTES];
	int count;

	snprintf(parse->options->target_ip, sizeof(parse->options->target_ip), "127.0.0.1");
	if (parse->target_interface == NULL)
		return 0;
	count = os_interface_list(parse->os, interfaces, INTERFACES_MAX);
	if (interface_choose(parse->target_interface, interfaces, count < 0 ? 0 : (uint32_t)count,
			     parse->options->target_ip, error) != 0)
		return complain(parse, "%s", error);
	return 0;
}

static void host_nqn_default(struct engine_options *options)
{
	if (options->host_nqn[0] != '\0')
		return;
	if (options->host_id[0] != '\0')
		snprintf(options->host_nqn, sizeof(options->host_nqn),
			 "nqn.2019-05.io.openebs:uuid:%s", options->host_id);
	else
		snprintf(options->host_nqn, sizeof(options->host_nqn),
			 "nqn.2019-05.io.openebs:node-name:%s", options->node_name);
}

static void getopt_tables_build(char *short_options, struct option *long_options)
{
	char *at = short_options;

	for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
		const struct option_row *row = &option_rows[i];

		long_options[i] = (struct option){row->name, row->has_argument, NULL, row->id};
		if (row->id >= 256)
			continue;
		*at++ = (char)row->id;
		if (row->has_argument)
			*at++ = ':';
	}
	*at = '\0';
}

/* Handles one option that getopt found. */
static enum options_outcome option_take(struct parse *parse, int id)
{
	const struct option_row *row = row_find(id);

	if (row == NULL) {
		fputs("io-engine: see io-engine --help\n", parse->err);
		return OPTIONS_WRONG;
	}
	if (id == ID_HELP) {
		options_help(stdout);
		return OPTIONS_DONE;
	}
	if (id == ID_VERSION) {
		puts("io-engine " MAYASTOR_VERSION);
		return OPTIONS_DONE;
	}
	if (row->kind == OPTION_REFUSED) {
		complain(parse, "--%s is not supported: %s", row->name, row->help);
		return OPTIONS_WRONG;
	}
	return option_apply(parse, id, optarg) == 0 ? OPTIONS_RUN : OPTIONS_WRONG;
}

enum options_outcome options_parse(struct os *os, int argc, char **argv,
				   struct engine_options *ret_options, FILE *err)
{
	struct parse parse = {.os = os, .options = ret_options, .err = err};
	struct option long_options[OPTION_ROW_COUNT + 1] = {{0}};
	char short_options[2 * OPTION_ROW_COUNT + 1];
	int id;

	ASSERT(os != NULL && ret_options != NULL);
	defaults_set(ret_options);
	if (environment_apply(&parse) != 0)
		return OPTIONS_WRONG;
	getopt_tables_build(short_options, long_options);
	optind = 0; /* glibc: begin anew, also after another use in this process */
	while ((id = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
		enum options_outcome outcome = option_take(&parse, id);

		if (outcome != OPTIONS_RUN)
			return outcome;
	}
	/* The reference takes address and port of its API by position too. */
	if (optind < argc && option_apply(&parse, ID_GRPC_IP, argv[optind++]) != 0)
		return OPTIONS_WRONG;
	if (optind < argc && option_apply(&parse, ID_GRPC_PORT, argv[optind++]) != 0)
		return OPTIONS_WRONG;
	if (optind < argc) {
		complain(&parse, "argument '%s' is not expected", argv[optind]);
		return OPTIONS_WRONG;
	}
	if (target_address_choose(&parse) != 0)
		return OPTIONS_WRONG;
	host_nqn_default(ret_options);
	return OPTIONS_RUN;
}

void options_help(FILE *out)
{
	fputs("Usage: io-engine [OPTIONS] [GRPC_IP [GRPC_PORT]]\n\n"
	      "The storage engine of one node: exports block devices and mirrors over NVMe/TCP "
	      "and\n"
	      "is managed by gRPC. Defaults are in brackets, with the environment variable that\n"
	      "changes them.\n\nOptions:\n",
	      out);
	for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
		const struct option_row *row = &option_rows[i];
		char name[64];

		if (row->kind != OPTION_TAKEN)
			continue;
		snprintf(name, sizeof(name), "--%s%s%s", row->name, row->argument ? " " : "",
			 row->argument ? row->argument : "");
		if (row->id < 256)
			fprintf(out, "  -%c, %-26s %s\n", row->id, name, row->help);
		else
			fprintf(out, "      %-26s %s\n", name, row->help);
	}
	fputs("\nAccepted without effect, because nothing is set aside for this engine:\n ", out);
	for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
		if (option_rows[i].kind == OPTION_IGNORED)
			fprintf(out, " --%s", option_rows[i].name);
	}
	fputs("\n\nNot supported: refused with the reason:\n ", out);
	for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
		if (option_rows[i].kind == OPTION_REFUSED)
			fprintf(out, " --%s", option_rows[i].name);
	}
	fputs("\n\nEnvironment: NEXUS_NVMF_ANA_ENABLE=1, HOSTNQN,\n"
	      "MAYASTOR_NVMF_HOSTID, NVME_TIMEOUT, NVME_TIMEOUT_ADMIN, NVME_KATO,\n"
	      "NVMF_TCP_MAX_QUEUE_DEPTH, NVMF_TCP_MAX_QPAIRS_PER_CTRL,\n"
	      "NEXUS_REBUILD_MIB_S.\n\n"
	      "Exit status: 0 after a clean stop, 1 when the start failed, 2 for wrong options.\n",
	      out);
}
