/* SPDX-License-Identifier: Apache-2.0 */
/* attach_options.c - reads the command line of mayastor-attach. */
#include "attach/attach_options.h"

#include "base/size.h"
#include "base/uri.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#define LOSS_TIMEOUT_MS	    600000
#define LOSS_TIMEOUT_MS_MAX (24u * 3600 * 1000)

static const struct option long_options[] = {
	{"uri", required_argument, NULL, 'u'},	     {"mount", required_argument, NULL, 'm'},
	{"host-nqn", required_argument, NULL, 'n'},  {"log", required_argument, NULL, 'l'},
	{"log-level", required_argument, NULL, 'L'}, {"timeout", required_argument, NULL, 't'},
	{"foreground", no_argument, NULL, 'f'},	     {"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},	     {NULL, 0, NULL, 0},
};

static void help_print(FILE *out)
{
	fputs("Usage: mayastor-attach --uri URI --mount DIR [OPTIONS]\n\n"
	      "Shows a volume as the file DIR/volume, through FUSE: a disk for machines whose "
	      "kernel\n"
	      "has no NVMe/TCP host. Put a loop device on it with\n"
	      "`losetup --direct-io=on --find --show DIR/volume`. Ends when DIR is unmounted\n"
	      "(`fusermount3 -u DIR`).\n\n"
	      "Options:\n"
	      "  -u, --uri URI          nvmf+tcp://address:port/nqn of the volume\n"
	      "  -m, --mount DIR        an empty directory\n"
	      "  -t, --timeout TIME     how long I/O waits for a lost engine before it fails "
	      "(10m)\n"
	      "  -n, --host-nqn NQN     name of this host (made from the host's name)\n"
	      "  -l, --log FILE         append the log to FILE (standard error)\n"
	      "  -L, --log-level LEVEL  error, warn, info, debug or trace (info)\n"
	      "  -f, --foreground       do not go into the background\n"
	      "  -h, --help             show this text\n"
	      "  -V, --version          show the version\n\n"
	      "Reads and writes must be whole blocks of the volume. Without --foreground it "
	      "returns\n"
	      "when the file is there.\n\n"
	      "Exit status: 0 after an orderly end, 1 failed, 2 wrong arguments.\n",
	      out);
}

__attribute__((format(printf, 2, 3))) static int complain(FILE *err, const char *format, ...)
{
	va_list arguments;

	fputs("mayastor-attach: ", err);
	va_start(arguments, format);
	vfprintf(err, format, arguments);
	va_end(arguments);
	fputc('\n', err);
	return -EINVAL;
}

static int text_take(FILE *err, const char *name, char *ret_text, size_t size)
{
	if (optarg[0] == '\0' || strlen(optarg) >= size)
		return complain(err, "%s must have 1 to %zu characters", name, size - 1);
	snprintf(ret_text, size, "%s", optarg);
	return 0;
}

static int uri_take(FILE *err, struct attach_options *options)
{
	struct uri uri;

	if (text_take(err, "--uri", options->uri, sizeof(options->uri)) != 0)
		return -EINVAL;
	if (uri_parse(options->uri, &uri, NULL, 0) != 0 || strncmp(uri.scheme, "nvmf", 4) != 0 ||
	    uri.host[0] == '\0' || strlen(uri.path) < 2)
		return complain(err,
				"--uri '%s' is no address of a volume: write for example "
				"nvmf+tcp://192.0.2.1:8420/nqn.2019-05.io.openebs:NAME",
				options->uri);
	return 0;
}

static int timeout_take(FILE *err, struct attach_options *options)
{
	uint64_t ns;

	if (duration_parse(optarg, &ns) != 0 || ns < 1000000 || ns / 1000000 > LOSS_TIMEOUT_MS_MAX)
		return complain(err, "--timeout '%s' must be 1ms to 24h, for example 30s", optarg);
	options->loss_timeout_ms = (uint32_t)(ns / 1000000);
	return 0;
}

static int option_take(FILE *err, int id, struct attach_options *options)
{
	switch (id) {
	case 'u':
		return uri_take(err, options);
	case 'm':
		return text_take(err, "--mount", options->mount, sizeof(options->mount));
	case 'n':
		return text_take(err, "--host-nqn", options->host_nqn, sizeof(options->host_nqn));
	case 'l':
		return text_take(err, "--log", options->log_path, sizeof(options->log_path));
	case 't':
		return timeout_take(err, options);
	case 'L':
		if (!log_level_parse(optarg, &options->log_level))
			return complain(
				err,
				"--log-level '%s' is unknown: write error, warn, info, debug "
				"or trace",
				optarg);
		return 0;
	case 'f':
		options->is_foreground = true;
		return 0;
	default:
		return complain(err, "option '%s'; see `mayastor-attach --help`",
				id == ':' ? "needs a value" : "is unknown");
	}
}

enum attach_parse attach_options_parse(int argc, char **argv, struct attach_options *ret_options,
				       FILE *out, FILE *err)
{
	int id;

	*ret_options =
		(struct attach_options){.loss_timeout_ms = LOSS_TIMEOUT_MS, .log_level = LOG_INFO};
	optind = 0; /* glibc: begin anew, also after another use in this process */
	opterr = 0;
	while ((id = getopt_long(argc, argv, ":u:m:t:n:l:L:fhV", long_options, NULL)) != -1) {
		if (id == 'h') {
			help_print(out);
			return ATTACH_PARSE_DONE;
		}
		if (id == 'V') {
			fputs("mayastor-attach " MAYASTOR_VERSION "\n", out);
			return ATTACH_PARSE_DONE;
		}
		if (id == '?' || id == ':') {
			complain(err, "option '%s' %s; see `mayastor-attach --help`",
				 argv[optind - 1], id == ':' ? "needs a value" : "is unknown");
			return ATTACH_PARSE_WRONG;
		}
		if (option_take(err, id, ret_options) != 0)
			return ATTACH_PARSE_WRONG;
	}
	if (optind < argc)
		complain(err, "argument '%s' is not expected", argv[optind]);
	else if (ret_options->uri[0] == '\0' || ret_options->mount[0] == '\0')
		complain(err, "--uri and --mount are needed; see `mayastor-attach --help`");
	else
		return ATTACH_PARSE_RUN;
	return ATTACH_PARSE_WRONG;
}
