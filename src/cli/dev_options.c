/* SPDX-License-Identifier: Apache-2.0 */
/* dev_options.c - reads the command line of `mayastor dev`.
 *
 * Two tables, commands and options, are all there is to know: parsing and help are made of them,
 * so neither can forget what the other has.
 */
#include "cli/dev_options.h"

#include "base/size.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define ON(command) (1u << (command))
#define ON_ALL	    ((1u << DEV_COMMAND_COUNT) - 1)

struct command_row {
	const char *name;
	const char *operand; /* NULL: none */
	const char *summary;
	const char *text;
};

static const struct command_row command_rows[DEV_COMMAND_COUNT] = {
	[DEV_UP] = {"up", NULL, "start engines and a mirrored volume over them",
		    "Starts engines with file-backed devices, makes a volume with copies on them "
		    "and\nexports it over NVMe/TCP. Run again, it starts what is missing and "
		    "changes nothing\nelse; after `mayastor dev down` it brings the same volume "
		    "back with its data."},
	[DEV_STATUS] = {"status", NULL, "show engines, volume, copies and attachment",
			"Exit status 3 when there is no cluster or none of its engines runs."},
	[DEV_DOWN] = {"down", NULL, "detach the volume and stop all engines",
		      "Keeps the data unless --purge is given. Works after a crash too, and when "
		      "the state\nfile is damaged."},
	[DEV_ATTACH] = {"attach", NULL, "make the volume a block device of this machine",
			"Connects the kernel's NVMe/TCP host where there is one; else serves the "
			"volume as a\nfile through FUSE and puts a loop device on it. Prints the "
			"device. Needs root."},
	[DEV_DETACH] = {"detach", NULL, "take the block device away again",
			"Refuses while the device is mounted, unless --force is given. Needs "
			"root."},
	[DEV_START] = {"start", "NODE", "start the engine of a node and heal the volume",
		       "Starts a stopped or killed engine on its own data, then does as "
		       "`mayastor dev heal`\nunless --no-heal is given."},
	[DEV_KILL] = {"kill", "NODE", "send a signal to the engine of a node",
		      "The way to see a failure: SIGKILL unless --signal says otherwise. Waits "
		      "until the\nprocess has ended if the signal is one that ends it."},
	[DEV_HEAL] = {"heal", NULL, "bring lost copies back and show the rebuild",
		      "Tells the volume to use every copy again whose engine runs, and shows the "
		      "rebuild\nuntil all copies are in sync."},
	[DEV_REACTORS] =
		{"reactors", NULL, "show what the cores of the engines do",
		 "Counted since each engine started; what an I/O costs is the difference "
		 "of two\nanswers divided by the I/Os between them. Engines that do not run "
		 "are left out.\nExit status 3 when none runs."},
};

enum option_id {
	ID_NODES = 256,
	ID_REPLICAS,
	ID_SIZE,
	ID_DEVICE_SIZE,
	ID_VOLUME,
	ID_CORES,
	ID_BASE_PORT,
	ID_PURGE,
	ID_FORCE,
	ID_VIA,
	ID_SIGNAL,
	ID_NO_HEAL,
	ID_DIRECTORY = 'd',
	ID_OUTPUT = 'o',
	ID_HELP = 'h',
};

struct option_row {
	const char *name;
	int id;
	uint32_t commands;
	uint32_t given;
	const char *argument; /* NULL: takes none */
	const char *help;
};

static const struct option_row option_rows[] = {
	{"nodes", ID_NODES, ON(DEV_UP), DEV_GIVEN_NODES, "N", "engines to start, 1 to 16 (3)"},
	{"replicas", ID_REPLICAS, ON(DEV_UP), DEV_GIVEN_REPLICAS, "N",
	 "copies of the volume, on the first nodes (3, or --nodes if that is less)"},
	{"size", ID_SIZE, ON(DEV_UP), DEV_GIVEN_SIZE, "SIZE",
	 "size of the volume, a multiple of 4 KiB (1GiB)"},
	{"device-size", ID_DEVICE_SIZE, ON(DEV_UP), DEV_GIVEN_DEVICE_SIZE, "SIZE",
	 "size of each device file, at least 6 MiB above --size (just that)"},
	{"volume", ID_VOLUME, ON(DEV_UP), DEV_GIVEN_VOLUME, "NAME", "name of the volume (vol-1)"},
	{"cores", ID_CORES, ON(DEV_UP), DEV_GIVEN_CORES, "LIST",
	 "cores for the engines, one each in turn: 0,2-3 (all)"},
	{"base-port", ID_BASE_PORT, ON(DEV_UP), DEV_GIVEN_BASE_PORT, "PORT",
	 "first of two ports a node (free ones are looked for)"},
	{"purge", ID_PURGE, ON(DEV_DOWN), 0, NULL, "remove devices, logs and state too"},
	{"via", ID_VIA, ON(DEV_ATTACH), 0, "WAY", "kernel or fuse (kernel where it can)"},
	{"force", ID_FORCE, ON(DEV_DOWN) | ON(DEV_DETACH), 0, NULL,
	 "unmount what is mounted from the device, data in memory may be lost"},
	{"signal", ID_SIGNAL, ON(DEV_KILL), 0, "SIGNAL", "name or number (KILL)"},
	{"no-heal", ID_NO_HEAL, ON(DEV_UP) | ON(DEV_START), 0, NULL,
	 "leave copies that are out of sync as they are"},
	{"output", ID_OUTPUT, ON(DEV_STATUS) | ON(DEV_REACTORS), 0, "FORM",
	 "table, json or yaml (table)"},
	{"dir", ID_DIRECTORY, ON_ALL, 0, "DIR",
	 "where the cluster lives (MAYASTOR_DEV_DIR, ~/.local/state/mayastor-dev)"},
	{"help", ID_HELP, ON_ALL, 0, NULL, "show this text"},
};
#define OPTION_ROW_COUNT (sizeof(option_rows) / sizeof(option_rows[0]))

struct parse {
	struct dev_options *options;
	FILE *out;
	FILE *err;
};

__attribute__((format(printf, 2, 3))) static int complain(struct parse *parse, const char *format,
							  ...)
{
	va_list arguments;

	fputs("mayastor dev: ", parse->err);
	va_start(arguments, format);
	vfprintf(parse->err, format, arguments);
	va_end(arguments);
	fputc('\n', parse->err);
	return -EINVAL;
}

const char *dev_command_name(enum dev_command command)
{
	return command_rows[command].name;
}

static void help_overview(FILE *out)
{
	fputs("Usage: mayastor dev COMMAND [OPTIONS]\n\n"
	      "A whole storage cluster on this machine, for trying out and for tests.\n\n"
	      "Commands:\n",
	      out);
	for (int i = 0; i < DEV_COMMAND_COUNT; i++)
		fprintf(out, "  %-8s %-6s %s\n", command_rows[i].name,
			command_rows[i].operand != NULL ? command_rows[i].operand : "",
			command_rows[i].summary);
	fputs("\n`mayastor dev COMMAND --help` tells the options of a command.\n\n"
	      "Exit status: 0 done, 1 failed, 2 wrong arguments, 3 not there or not running.\n",
	      out);
}

static void help_command(FILE *out, enum dev_command command)
{
	const struct command_row *row = &command_rows[command];

	fprintf(out, "Usage: mayastor dev %s [OPTIONS]%s%s\n\n%s\n\nOptions:\n", row->name,
		row->operand != NULL ? " " : "", row->operand != NULL ? row->operand : "",
		row->text);
	for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
		const struct option_row *option = &option_rows[i];
		char name[64];
		char letter[8] = "   ";

		if ((option->commands & ON(command)) == 0)
			continue;
		if (option->id < 256)
			snprintf(letter, sizeof(letter), "-%c,", option->id);
		snprintf(name, sizeof(name), "--%s%s%s", option->name,
			 option->argument != NULL ? " " : "",
			 option->argument != NULL ? option->argument : "");
		fprintf(out, "  %s %-20s %s\n", letter, name, option->help);
	}
	fputs("\nExit status: 0 done, 1 failed, 2 wrong arguments, 3 not there or not running.\n",
	      out);
}

static int number_parse(const char *text, uint64_t max, uint64_t *ret_number)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number > max)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

static int count_take(struct parse *parse, const char *name, const char *text, uint32_t *ret_count)
{
	uint64_t count;

	if (number_parse(text, DEV_NODES_MAX, &count) != 0 || count == 0)
		return complain(parse, "--%s '%s' must be a number from 1 to %d", name, text,
				DEV_NODES_MAX);
	*ret_count = (uint32_t)count;
	return 0;
}

static int size_take(struct parse *parse, const char *name, const char *text, uint64_t *ret_bytes)
{
	uint64_t bytes;

	if (size_parse(text, &bytes) != 0)
		return complain(parse, "--%s '%s' is no size: write for example 512MiB or 2GiB",
				name, text);
	if (bytes < DEV_VOLUME_MIN || bytes > DEV_VOLUME_MAX)
		return complain(parse, "--%s '%s' must be 8 MiB to 16 TiB", name, text);
	if (bytes % DEV_VOLUME_QUANTUM != 0)
		return complain(parse, "--%s '%s' must be a multiple of 4096 bytes", name, text);
	*ret_bytes = bytes;
	return 0;
}

static int core_range_take(struct parse *parse, const char *word, const char *text)
{
	struct dev_options *options = parse->options;
	unsigned int first, last;
	int end = 0;

	if (sscanf(word, "%3u%n-%3u%n", &first, &end, &last, &end) < 2)
		last = first;
	if (end == 0 || word[end] != '\0' || last < first || last >= DEV_CORES_MAX)
		return complain(parse, "--cores '%s' is not understood: write for example 0,2-3",
				text);
	for (unsigned int core = first; core <= last; core++) {
		if (options->core_count == DEV_CORES_MAX)
			return complain(parse, "--cores '%s' names more than %d cores", text,
					DEV_CORES_MAX);
		options->cores[options->core_count++] = core;
	}
	return 0;
}

static int cores_take(struct parse *parse, const char *text)
{
	char copy[256];
	char *save = NULL;

	parse->options->core_count = 0;
	if (strlen(text) >= sizeof(copy))
		return complain(parse, "--cores is longer than %zu characters", sizeof(copy) - 1);
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		if (core_range_take(parse, word, text) != 0)
			return -EINVAL;
	}
	if (parse->options->core_count == 0)
		return complain(parse, "--cores '%s' names no core: write for example 0,2-3", text);
	return 0;
}

static int port_take(struct parse *parse, const char *text)
{
	uint64_t port;

	if (number_parse(text, 65535 - 2 * DEV_NODES_MAX, &port) != 0 || port < 1024)
		return complain(parse, "--base-port '%s' must be a number from 1024 to %d", text,
				65535 - 2 * DEV_NODES_MAX);
	parse->options->base_port = (uint16_t)port;
	return 0;
}

static int signal_take(struct parse *parse, const char *text)
{
	const char *name = strncmp(text, "SIG", 3) == 0 ? text + 3 : text;
	uint64_t number;

	if (number_parse(text, 64, &number) == 0 && number > 0) {
		parse->options->signal = (int)number;
		return 0;
	}
	for (int signal = 1; signal < 32; signal++) {
		const char *known = sigabbrev_np(signal);

		if (known != NULL && strcmp(known, name) == 0) {
			parse->options->signal = signal;
			return 0;
		}
	}
	return complain(parse, "--signal '%s' is no signal: write for example KILL, TERM or 9",
			text);
}

static int output_take(struct parse *parse, const char *text)
{
	static const char *const words[] = {"table", "json", "yaml"};

	for (int i = 0; i < 3; i++) {
		if (strcmp(text, words[i]) == 0) {
			parse->options->output = (enum dev_output)i;
			return 0;
		}
	}
	return complain(parse, "--output '%s' is unknown: write table, json or yaml", text);
}

static int via_take(struct parse *parse, const char *text)
{
	if (!dev_via_parse(text, &parse->options->via) || parse->options->via == DEV_VIA_NONE)
		return complain(parse, "--via '%s' is unknown: write kernel or fuse", text);
	return 0;
}

static int directory_take(struct parse *parse, const char *text)
{
	if (text[0] == '\0' || strlen(text) >= DEV_DIRECTORY_BYTES)
		return complain(parse, "--dir must have 1 to %d characters",
				DEV_DIRECTORY_BYTES - 1);
	snprintf(parse->options->directory, DEV_DIRECTORY_BYTES, "%s", text);
	return 0;
}

static int name_take(struct parse *parse, const char *what, const char *text,
		     char ret_name[DEV_NAME_BYTES])
{
	if (!dev_name_is_valid(text))
		return complain(parse,
				"%s '%.80s' must be 1 to %d of a-z, 0-9 and '-', and begin with a "
				"letter or digit",
				what, text, DEV_NAME_BYTES - 1);
	snprintf(ret_name, DEV_NAME_BYTES, "%s", text);
	return 0;
}

static int option_apply(struct parse *parse, const struct option_row *row, const char *value)
{
	struct dev_options *options = parse->options;

	options->given |= row->given;
	switch (row->id) {
	case ID_NODES:
		return count_take(parse, row->name, value, &options->node_count);
	case ID_REPLICAS:
		return count_take(parse, row->name, value, &options->replica_count);
	case ID_SIZE:
		return size_take(parse, row->name, value, &options->size_bytes);
	case ID_DEVICE_SIZE:
		return size_take(parse, row->name, value, &options->device_bytes);
	case ID_VOLUME:
		return name_take(parse, "--volume", value, options->volume);
	case ID_CORES:
		return cores_take(parse, value);
	case ID_BASE_PORT:
		return port_take(parse, value);
	case ID_VIA:
		return via_take(parse, value);
	case ID_SIGNAL:
		return signal_take(parse, value);
	case ID_OUTPUT:
		return output_take(parse, value);
	case ID_DIRECTORY:
		return directory_take(parse, value);
	case ID_PURGE:
		options->is_purge = true;
		return 0;
	case ID_FORCE:
		options->is_forced = true;
		return 0;
	case ID_NO_HEAL:
		options->is_no_heal = true;
		return 0;
	default:
		return -EINVAL;
	}
}

static void defaults_set(struct dev_options *options)
{
	*options = (struct dev_options){
		.node_count = 3,
		.replica_count = 3,
		.size_bytes = 1ull << 30,
		.volume = "vol-1",
		.signal = SIGKILL,
	};
}

/* What no option can judge alone. */
static int options_relate(struct parse *parse)
{
	struct dev_options *options = parse->options;

	if (options->command != DEV_UP)
		return 0;
	if ((options->given & DEV_GIVEN_REPLICAS) == 0 &&
	    options->replica_count > options->node_count)
		options->replica_count = options->node_count;
	if (options->replica_count > options->node_count)
		return complain(parse,
				"--replicas %u needs as many nodes: each copy lives on its own; "
				"give --nodes %u or fewer copies",
				options->replica_count, options->replica_count);
	if (options->device_bytes == 0)
		options->device_bytes = options->size_bytes + DEV_COPY_OVERHEAD_BYTES;
	if (options->device_bytes < options->size_bytes + DEV_COPY_OVERHEAD_BYTES)
		return complain(
			parse, "--device-size must be at least 6 MiB above --size: a copy has room "
			       "for labels around the data");
	return 0;
}

static int command_find(const char *name)
{
	for (int i = 0; i < DEV_COMMAND_COUNT; i++) {
		if (strcmp(command_rows[i].name, name) == 0)
			return i;
	}
	return -1;
}

static int tables_build(uint32_t command, char *short_options, struct option *long_options)
{
	char *at = short_options;
	int count = 0;

	*at++ = ':'; /* tells a missing argument from an unknown option */
	for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
		const struct option_row *row = &option_rows[i];

		if ((row->commands & ON(command)) == 0)
			continue;
		long_options[count++] =
			(struct option){row->name, row->argument != NULL, NULL, row->id};
		if (row->id >= 256)
			continue;
		*at++ = (char)row->id;
		if (row->argument != NULL)
			*at++ = ':';
	}
	*at = '\0';
	return count;
}

static const struct option_row *row_find(int id)
{
	for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
		if (option_rows[i].id == id)
			return &option_rows[i];
	}
	return NULL;
}

static int operands_take(struct parse *parse, int argc, char **argv)
{
	const struct command_row *row = &command_rows[parse->options->command];

	if (row->operand != NULL && optind == argc)
		return complain(parse,
				"%s needs the name of a node, for example node-2; see "
				"`mayastor dev status`",
				row->name);
	if (row->operand != NULL &&
	    name_take(parse, "node", argv[optind++], parse->options->node) != 0)
		return -EINVAL;
	if (optind < argc)
		return complain(parse,
				"argument '%s' is not expected; see `mayastor dev %s --help`",
				argv[optind], row->name);
	return 0;
}

static enum dev_parse command_parse(struct parse *parse, int argc, char **argv)
{
	struct option long_options[OPTION_ROW_COUNT + 1] = {{0}};
	char short_options[2 * OPTION_ROW_COUNT + 2];
	const char *command = argv[0];
	const struct option_row *row;
	int id;

	tables_build(parse->options->command, short_options, long_options);
	optind = 0; /* glibc: begin anew, also after another use in this process */
	opterr = 0;
	while ((id = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
		if (id == ID_HELP) {
			help_command(parse->out, parse->options->command);
			return DEV_PARSE_DONE;
		}
		if (id == '?' || id == ':') {
			complain(parse, "option '%s' %s; see `mayastor dev %s --help`",
				 argv[optind - 1],
				 id == ':' ? "needs a value" : "is unknown or used wrongly",
				 command);
			return DEV_PARSE_WRONG;
		}
		row = row_find(id);
		if (row == NULL || option_apply(parse, row, optarg) != 0)
			return DEV_PARSE_WRONG;
	}
	if (operands_take(parse, argc, argv) != 0 || options_relate(parse) != 0)
		return DEV_PARSE_WRONG;
	return DEV_PARSE_RUN;
}

enum dev_parse dev_options_parse(int argc, char **argv, struct dev_options *ret_options, FILE *out,
				 FILE *err)
{
	struct parse parse = {.options = ret_options, .out = out, .err = err};
	int command;

	defaults_set(ret_options);
	if (argc < 2) {
		complain(&parse, "a command is missing; see `mayastor dev --help`");
		return DEV_PARSE_WRONG;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		help_overview(out);
		return DEV_PARSE_DONE;
	}
	command = command_find(argv[1]);
	if (command < 0) {
		complain(&parse, "command '%s' is unknown; see `mayastor dev --help`", argv[1]);
		return DEV_PARSE_WRONG;
	}
	ret_options->command = (enum dev_command)command;
	return command_parse(&parse, argc - 1, argv + 1);
}
