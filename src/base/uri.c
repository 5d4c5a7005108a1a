/* SPDX-License-Identifier: Apache-2.0 */
/* uri.c - splits "scheme://host:port/path?name=value&name=value" (RFC 3986 subset).
 *
 * The text is cut into raw parts first and each part is percent-decoded after, so that an encoded
 * separator never separates. Texts with a user, a fragment, a control character or an encoded NUL
 * are refused. A bare path is taken as it stands: nothing in it is special.
 * Invariants:
 *  1. No part is longer than its raw text, so that all parts and their NULs fit in the storage.
 *  2. *ret_uri is complete on success and unspecified on failure.
 */
#include "base/uri.h"

#include "base/assert.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A run of raw text that is not decoded yet. */
struct part {
	const char *begin;
	size_t size;
};

struct splitter {
	struct uri *uri;
	size_t used; /* of uri->storage */
	const char *text;
	char *error;
	size_t error_bytes;
};

static int refuse(struct splitter *splitter, const char *reason)
{
	if (splitter->error != NULL && splitter->error_bytes > 0)
		snprintf(splitter->error, splitter->error_bytes, "'%.128s' is no usable URI: %s",
			 splitter->text, reason);
	return -EINVAL;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Copies @part and a NUL into the storage, decoded if asked. */
static int part_keep(struct splitter *splitter, struct part part, bool is_encoded,
		     const char **ret_text)
{
	struct uri *uri = splitter->uri;
	char *text = uri->storage + splitter->used;
	size_t size = 0;

	ASSERT(splitter->used + part.size + 1 <= sizeof(uri->storage));
	for (size_t i = 0; i < part.size; i++) {
		char c = part.begin[i];

		if (is_encoded && c == '%') {
			int high = i + 2 < part.size ? hex_value(part.begin[i + 1]) : -1;
			int low = i + 2 < part.size ? hex_value(part.begin[i + 2]) : -1;

			if (high < 0 || low < 0)
				return refuse(splitter, "'%' is not followed by two hex digits");
			c = (char)(high << 4 | low);
			if (c == '\0')
				return refuse(splitter, "it contains an encoded NUL");
			i += 2;
		}
		text[size++] = c;
	}
	text[size] = '\0';
	splitter->used += size + 1;
	*ret_text = text;
	return 0;
}

/* The text before the first of @stops; what is left begins with the stop or is empty. */
static struct part part_until(struct part *rest, const char *stops)
{
	struct part part = {.begin = rest->begin};

	while (part.size < rest->size && strchr(stops, rest->begin[part.size]) == NULL)
		part.size++;
	rest->begin += part.size;
	rest->size -= part.size;
	return part;
}

static int scheme_split(struct splitter *splitter, struct part *rest)
{
	struct part scheme = part_until(rest, ":");
	int rc;

	if (rest->size < 3 || strncmp(rest->begin, "://", 3) != 0)
		return refuse(splitter, "it has no \"scheme://\" and does not begin with '/'");
	if (scheme.size == 0 || !is_letter(scheme.begin[0]))
		return refuse(splitter, "its scheme does not begin with a letter");
	for (size_t i = 0; i < scheme.size; i++) {
		char c = scheme.begin[i];

		if (!is_letter(c) && !is_digit(c) && c != '+' && c != '-' && c != '.')
			return refuse(splitter, "its scheme has a character that is not allowed");
	}
	rest->begin += 3;
	rest->size -= 3;
	rc = part_keep(splitter, scheme, false, &splitter->uri->scheme);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < scheme.size; i++) {
		if (is_letter(splitter->uri->storage[i]))
			splitter->uri->storage[i] |= 0x20;
	}
	return 0;
}

static int port_parse(struct splitter *splitter, struct part port)
{
	uint32_t value = 0;

	for (size_t i = 0; i < port.size; i++) {
		if (!is_digit(port.begin[i]))
			return refuse(splitter, "its port is not a number");
		value = value * 10 + (uint32_t)(port.begin[i] - '0');
		if (value > UINT16_MAX)
			return refuse(splitter, "its port is above 65535");
	}
	if (port.size > 0 && value == 0)
		return refuse(splitter, "port 0 cannot be reached");
	splitter->uri->port = (uint16_t)value;
	return 0;
}

static int authority_split(struct splitter *splitter, struct part authority)
{
	struct part host;
	int rc;

	if (authority.size > 0 && memchr(authority.begin, '@', authority.size) != NULL)
		return refuse(splitter, "a user in it is not supported");
	if (authority.size > 0 && authority.begin[0] == '[') {
		authority.begin++;
		authority.size--;
		host = part_until(&authority, "]");
		if (authority.size == 0)
			return refuse(splitter, "'[' of its address is not closed");
		authority.begin++;
		authority.size--;
	} else {
		host = part_until(&authority, ":");
	}
	rc = part_keep(splitter, host, true, &splitter->uri->host);
	if (rc < 0 || authority.size == 0)
		return rc;
	if (authority.begin[0] != ':')
		return refuse(splitter, "its host is not followed by ':' or '/'");
	return port_parse(splitter, (struct part){authority.begin + 1, authority.size - 1});
}

static int parameters_split(struct splitter *splitter, struct part query)
{
	struct uri *uri = splitter->uri;

	while (query.size > 0) {
		struct uri_parameter *parameter = &uri->parameters[uri->parameter_count];
		struct part value = part_until(&query, "&");
		struct part name = part_until(&value, "=");
		int rc;

		if (query.size > 0) {
			query.begin++;
			query.size--;
		}
		if (name.size == 0 && value.size == 0)
			continue; /* "&&" and a '&' at the end mean nothing */
		if (uri->parameter_count == URI_PARAMETERS_MAX)
			return refuse(splitter, "it has too many parameters");
		if (name.size == 0)
			return refuse(splitter, "a parameter has no name");
		if (value.size > 0) {
			value.begin++;
			value.size--;
		}
		rc = part_keep(splitter, name, true, &parameter->name);
		if (rc < 0)
			return rc;
		rc = part_keep(splitter, value, true, &parameter->value);
		if (rc < 0)
			return rc;
		uri->parameter_count++;
	}
	return 0;
}

static int text_check(struct splitter *splitter, const char *text, size_t size)
{
	if (size == 0)
		return refuse(splitter, "it is empty");
	if (size >= URI_TEXT_BYTES_MAX)
		return refuse(splitter, "it is too long");
	for (size_t i = 0; i < size; i++) {
		if ((uint8_t)text[i] < 0x20 || text[i] == 0x7f)
			return refuse(splitter, "it contains a control character");
	}
	return 0;
}

int uri_parse(const char *text, struct uri *ret_uri, char *ret_error, size_t error_bytes)
{
	struct splitter splitter = {
		.uri = ret_uri, .text = text, .error = ret_error, .error_bytes = error_bytes};
	struct part rest = {.begin = text, .size = strnlen(text, URI_TEXT_BYTES_MAX)};
	int rc = text_check(&splitter, text, rest.size);

	if (rc < 0)
		return rc;
	ret_uri->scheme = "";
	ret_uri->host = "";
	ret_uri->path = "";
	ret_uri->port = 0;
	ret_uri->parameter_count = 0;
	if (text[0] == '/')
		return part_keep(&splitter, rest, false, &ret_uri->path);

	rc = scheme_split(&splitter, &rest);
	if (rc < 0)
		return rc;
	if (memchr(rest.begin, '#', rest.size) != NULL)
		return refuse(&splitter, "a fragment (after '#') is not supported");
	rc = authority_split(&splitter, part_until(&rest, "/?"));
	if (rc < 0)
		return rc;
	rc = part_keep(&splitter, part_until(&rest, "?"), true, &ret_uri->path);
	if (rc < 0 || rest.size == 0)
		return rc;
	return parameters_split(&splitter, (struct part){rest.begin + 1, rest.size - 1});
}

const char *uri_parameter(const struct uri *uri, const char *name)
{
	ASSERT(uri->parameter_count <= URI_PARAMETERS_MAX);
	for (uint32_t i = 0; i < uri->parameter_count; i++) {
		if (strcmp(uri->parameters[i].name, name) == 0)
			return uri->parameters[i].value;
	}
	return NULL;
}
