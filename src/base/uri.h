/* SPDX-License-Identifier: Apache-2.0 */
/* uri.h - splits a device or service URI into parts (RFC 3986 subset); pure, bounded. */
#ifndef BASE_URI_H
#define BASE_URI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define URI_TEXT_BYTES_MAX 1024
#define URI_PARAMETERS_MAX 16

struct uri_parameter {
	const char *name;
	const char *value; /* "" when there is no '=' */
};

/* All texts point into @storage and are percent-decoded. */
struct uri {
	const char *scheme; /* lower case; "" for a bare path */
	const char *host;   /* without the brackets of an IPv6 address; "" when absent */
	uint16_t port;	    /* 0 when absent */
	const char *path;   /* with its leading slash; "" when absent */
	struct uri_parameter parameters[URI_PARAMETERS_MAX];
	uint32_t parameter_count;
	char storage[URI_TEXT_BYTES_MAX * 2];
};

/**
 * uri_parse - @text into @ret_uri
 * A text that begins with '/' is a bare path. @ret_error, when not NULL, receives one sentence
 * that names what is wrong.
 * Return: 0 or -EINVAL.
 */
int uri_parse(const char *text, struct uri *ret_uri, char *ret_error, size_t error_bytes)
	__attribute__((warn_unused_result));

/** The value of the first parameter @name, NULL when there is none. */
const char *uri_parameter(const struct uri *uri, const char *name);

#endif
