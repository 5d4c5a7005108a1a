/* SPDX-License-Identifier: Apache-2.0 */
/* interface_choice.c - matches an interface description against the machine's addresses. */
#include "engine/interface_choice.h"

#include "base/assert.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum choice_kind { CHOOSE_BY_NAME, CHOOSE_BY_MAC, CHOOSE_BY_IP, CHOOSE_BY_SUBNET };

struct choice {
	enum choice_kind kind;
	const char *value;
	uint8_t mac[6];
	struct os_address network;
	uint32_t prefix_bits;
};

static const uint8_t *address_bytes(const struct os_address *address, uint32_t *ret_size)
{
	if (os_address_is_ipv6(address)) {
		*ret_size = 16;
		return ((const struct sockaddr_in6 *)&address->storage)->sin6_addr.s6_addr;
	}
	*ret_size = 4;
	return (const uint8_t *)&((const struct sockaddr_in *)&address->storage)->sin_addr;
}

static bool address_is_within(const struct os_address *address, const struct choice *choice)
{
	uint32_t size;
	uint32_t network_size;
	const uint8_t *bytes = address_bytes(address, &size);
	const uint8_t *network = address_bytes(&choice->network, &network_size);
	uint32_t whole = choice->prefix_bits / 8;
	uint8_t mask = (uint8_t)(0xff00u >> (choice->prefix_bits % 8));

	if (size != network_size || memcmp(bytes, network, whole) != 0)
		return false;
	return whole == size || ((bytes[whole] ^ network[whole]) & mask) == 0;
}

static int mac_parse(const char *text, uint8_t ret_mac[6])
{
	unsigned int part[6];
	int end = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &part[0], &part[1], &part[2], &part[3],
		   &part[4], &part[5], &end) != 6 ||
	    text[end] != '\0')
		return -EINVAL;
	for (int i = 0; i < 6; i++)
		ret_mac[i] = (uint8_t)part[i];
	return 0;
}

static int subnet_parse(const char *text, struct choice *choice)
{
	char host[OS_ADDRESS_TEXT_BYTES];
	const char *slash = strchr(text, '/');
	char *end;
	unsigned long bits;

	if (slash == NULL || slash[1] == '\0' || (size_t)(slash - text) >= sizeof(host))
		return -EINVAL;
	snprintf(host, sizeof(host), "%.*s", (int)(slash - text), text);
	bits = strtoul(slash + 1, &end, 10);
	if (*end != '\0' || host[0] == '\0' || os_address_parse(host, 0, &choice->network) != 0)
		return -EINVAL;
	if (bits > (os_address_is_ipv6(&choice->network) ? 128 : 32))
		return -EINVAL;
	choice->prefix_bits = (uint32_t)bits;
	return 0;
}

static int choice_parse(const char *text, struct choice *ret_choice)
{
	static const struct {
		const char *prefix;
		enum choice_kind kind;
	} forms[] = {{"name:", CHOOSE_BY_NAME},
		     {"mac:", CHOOSE_BY_MAC},
		     {"ip:", CHOOSE_BY_IP},
		     {"subnet:", CHOOSE_BY_SUBNET}};

	memset(ret_choice, 0, sizeof(*ret_choice));
	ret_choice->kind = CHOOSE_BY_IP;
	ret_choice->value = text;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (strncmp(text, forms[i].prefix, strlen(forms[i].prefix)) != 0)
			continue;
		ret_choice->kind = forms[i].kind;
		ret_choice->value = text + strlen(forms[i].prefix);
	}
	if (ret_choice->value[0] == '\0')
		return -EINVAL;
	if (ret_choice->kind == CHOOSE_BY_MAC)
		return mac_parse(ret_choice->value, ret_choice->mac);
	if (ret_choice->kind == CHOOSE_BY_SUBNET)
		return subnet_parse(ret_choice->value, ret_choice);
	if (ret_choice->kind == CHOOSE_BY_IP)
		return os_address_parse(ret_choice->value, 0, &ret_choice->network);
	return 0;
}

static bool choice_matches(const struct choice *choice, const struct os_interface *interface)
{
	switch (choice->kind) {
	case CHOOSE_BY_NAME:
		return strcmp(interface->name, choice->value) == 0;
	case CHOOSE_BY_MAC:
		return memcmp(interface->mac, choice->mac, sizeof(choice->mac)) == 0;
	case CHOOSE_BY_SUBNET:
		return address_is_within(&interface->address, choice);
	case CHOOSE_BY_IP:
		return false;
	}
	return false;
}

int interface_choose(const char *text, const struct os_interface *interfaces, uint32_t count,
		     char ret_host[OS_ADDRESS_TEXT_BYTES], char ret_error[ERROR_TEXT_BYTES])
{
	const struct os_interface *best = NULL;
	struct choice choice;

	ASSERT(text != NULL && ret_host != NULL);
	if (choice_parse(text, &choice) != 0) {
		snprintf(ret_error, ERROR_TEXT_BYTES,
			 "target interface '%s' is not understood: write name:<interface>, "
			 "mac:<address>, ip:<address> or subnet:<address>/<bits>",
			 text);
		return -EINVAL;
	}
	if (choice.kind == CHOOSE_BY_IP) {
		snprintf(ret_host, OS_ADDRESS_TEXT_BYTES, "%s", choice.value);
		return 0;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (!interfaces[i].is_up || !choice_matches(&choice, &interfaces[i]))
			continue;
		if (best == NULL || (os_address_is_ipv6(&best->address) &&
				     !os_address_is_ipv6(&interfaces[i].address)))
			best = &interfaces[i];
	}
	if (best == NULL) {
		snprintf(ret_error, ERROR_TEXT_BYTES,
			 "no interface of this machine that is up matches '%s': `ip address` lists "
			 "what there is",
			 text);
		return -ENODEV;
	}
	os_address_host(&best->address, ret_host);
	return 0;
}
