/* SPDX-License-Identifier: Apache-2.0 */
/* interface.c - asks the kernel for interfaces and their addresses. */
#include "os/os_interface.h"

#include "base/assert.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <stdio.h>
#include <string.h>

static void mac_find(const struct ifaddrs *all, const char *name, uint8_t ret_mac[6])
{
	for (const struct ifaddrs *one = all; one != NULL; one = one->ifa_next) {
		const struct sockaddr_ll *link = (const void *)one->ifa_addr;

		if (link == NULL || link->sll_family != AF_PACKET || link->sll_halen != 6)
			continue;
		if (strcmp(one->ifa_name, name) == 0)
			memcpy(ret_mac, link->sll_addr, 6);
	}
}

static socklen_t family_size(int family)
{
	if (family == AF_INET)
		return sizeof(struct sockaddr_in);
	return family == AF_INET6 ? sizeof(struct sockaddr_in6) : 0;
}

int os_interface_list(struct os *os, struct os_interface *ret_interfaces, uint32_t capacity)
{
	struct ifaddrs *all;
	uint32_t count = 0;

	ASSERT(os != NULL && ret_interfaces != NULL);
	if (getifaddrs(&all) != 0)
		return -errno;
	for (struct ifaddrs *one = all; one != NULL && count < capacity; one = one->ifa_next) {
		struct os_interface *found = &ret_interfaces[count];
		socklen_t size = one->ifa_addr ? family_size(one->ifa_addr->sa_family) : 0;

		if (size == 0)
			continue;
		memset(found, 0, sizeof(*found));
		snprintf(found->name, sizeof(found->name), "%s", one->ifa_name);
		memcpy(&found->address.storage, one->ifa_addr, size);
		found->address.size = size;
		found->is_up = (one->ifa_flags & IFF_UP) != 0;
		mac_find(all, one->ifa_name, found->mac);
		count++;
	}
	freeifaddrs(all);
	return (int)count;
}
