/* SPDX-License-Identifier: Apache-2.0 */
/* vendor_cache_id.h - a field of our own in Identify Namespace: which life of its cache it is.
 *
 * Identify Namespace is vendor specific from byte 384 on (NVM command set 1.0, figure 97). Our
 * target writes there:
 *
 *	384	8	"MAYCACHE"
 *	392	16	bdev->cache_id of the device (block/bdev.h)
 *
 * Without the word in front, as of targets of other makers, the id is unknown.
 */
#ifndef NVME_VENDOR_CACHE_ID_H
#define NVME_VENDOR_CACHE_ID_H

#include "base/uuid.h"
#include "nvme/nvme_namespace_layout.h"

#include <string.h>

#define VENDOR_CACHE_ID_WORD	   "MAYCACHE"
#define VENDOR_CACHE_ID_WORD_BYTES 8

/** Nil leaves @data as it is. */
static inline void vendor_cache_id_encode(struct nvme_identify_namespace *data,
					  const struct uuid *cache_id)
{
	if (uuid_is_nil(cache_id))
		return;
	memcpy(data->vendor, VENDOR_CACHE_ID_WORD, VENDOR_CACHE_ID_WORD_BYTES);
	memcpy(data->vendor + VENDOR_CACHE_ID_WORD_BYTES, cache_id->bytes, sizeof(cache_id->bytes));
}

/** Nil when there is none. */
static inline void vendor_cache_id_decode(const struct nvme_identify_namespace *data,
					  struct uuid *ret_cache_id)
{
	*ret_cache_id = (struct uuid){{0}};
	if (memcmp(data->vendor, VENDOR_CACHE_ID_WORD, VENDOR_CACHE_ID_WORD_BYTES) == 0)
		memcpy(ret_cache_id->bytes, data->vendor + VENDOR_CACHE_ID_WORD_BYTES,
		       sizeof(ret_cache_id->bytes));
}

#endif
