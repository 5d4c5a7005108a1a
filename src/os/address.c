/* SPDX-License-Identifier: Apache-2.0 */
/* address.c - internet addresses as text; pure, shared by all implementations of the seam. */
#include "base/assert.h"
#include "os/os_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* A numeric scope ("%2") behind a link-local address; names need the system's interface table. */
static int scope_parse(const char *text, uint32_t *ret_scope)
{
	uint64_t scope = 0;

	if (*text == '\0')
		return -EINVAL;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		scope = scope * 10 + (uint64_t)(*text - '0');
		if (scope > UINT32_MAX)
			return -EINVAL;
	}
	*ret_scope = (uint32_t)scope;
	return 0;
}

static int ipv6_parse(const char *host, uint16_t port, struct os_address *ret_address)
{
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	char digits[INET6_ADDRSTRLEN];
	const char *percent = strchr(host, '%');
	size_t size_bytes = percent == NULL ? strlen(host) : (size_t)(percent - host);

	if (size_bytes >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, host, size_bytes);
	digits[size_bytes] = '\0';
	if (inet_pton(AF_INET6, digits, &ipv6.sin6_addr) != 1)
		return -EINVAL;
	if (percent != NULL && scope_parse(percent + 1, &ipv6.sin6_scope_id) < 0)
		return -EINVAL;
	memset(ret_address, 0, sizeof(*ret_address));
	memcpy(&ret_address->storage, &ipv6, sizeof(ipv6));
	ret_address->size = sizeof(ipv6);
	return 0;
}

int os_address_parse(const char *host, uint16_t port, struct os_address *ret_address)
{
	struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(port)};

	if (inet_pton(AF_INET, host, &ipv4.sin_addr) == 1) {
		memset(ret_address, 0, sizeof(*ret_address));
		memcpy(&ret_address->storage, &ipv4, sizeof(ipv4));
		ret_address->size = sizeof(ipv4);
		return 0;
	}
	return ipv6_parse(*host == '\0' ? "::" : host, port, ret_address);
}

bool os_address_is_ipv6(const struct os_address *address)
{
	return address->storage.ss_family == AF_INET6;
}

uint16_t os_address_port(const struct os_address *address)
{
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;

	if (os_address_is_ipv6(address)) {
		memcpy(&ipv6, &address->storage, sizeof(ipv6));
		return ntohs(ipv6.sin6_port);
	}
	memcpy(&ipv4, &address->storage, sizeof(ipv4));
	return ntohs(ipv4.sin_port);
}

void os_address_host(const struct os_address *address, char ret_text[OS_ADDRESS_TEXT_BYTES])
{
	char digits[INET6_ADDRSTRLEN] = "";
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;

	if (!os_address_is_ipv6(address)) {
		memcpy(&ipv4, &address->storage, sizeof(ipv4));
		inet_ntop(AF_INET, &ipv4.sin_addr, digits, sizeof(digits));
		snprintf(ret_text, OS_ADDRESS_TEXT_BYTES, "%s", digits);
		return;
	}
	memcpy(&ipv6, &address->storage, sizeof(ipv6));
	inet_ntop(AF_INET6, &ipv6.sin6_addr, digits, sizeof(digits));
	if (ipv6.sin6_scope_id == 0)
		snprintf(ret_text, OS_ADDRESS_TEXT_BYTES, "%s", digits);
	else
		snprintf(ret_text, OS_ADDRESS_TEXT_BYTES, "%s%%%u", digits, ipv6.sin6_scope_id);
}

void os_address_format(const struct os_address *address, char ret_text[OS_ADDRESS_TEXT_BYTES])
{
	char host[OS_ADDRESS_TEXT_BYTES];
	unsigned port = os_address_port(address);
	int size;

	os_address_host(address, host);
	if (os_address_is_ipv6(address))
		size = snprintf(ret_text, OS_ADDRESS_TEXT_BYTES, "[%.*s]:%u", INET6_ADDRSTRLEN + 16,
				host, port);
	else
		size = snprintf(ret_text, OS_ADDRESS_TEXT_BYTES, "%.*s:%u", INET_ADDRSTRLEN, host,
				port);
	ASSERT(size > 0 && size < OS_ADDRESS_TEXT_BYTES);
}
