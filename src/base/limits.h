/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h - a limit on everything that somebody else could make grow. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#define NAME_BYTES_MAX	     512  /* bdev and nexus names ("host:port/nqn"), NUL included */
#define URI_TEXT_BYTES_SHOWN 1024 /* a device URI, NUL included */
#define NQN_BYTES_MAX	     224  /* NVMe base 2.0, section 4.5: 223 bytes and NUL */
#define ERROR_TEXT_BYTES     512  /* one sentence that names object, reason and way out */

#define BLOCK_BYTES_MIN 512
#define BLOCK_BYTES_MAX 4096

#define IO_BYTES_MAX	 (128 * 1024) /* one host command; MDTS 5 */
#define IO_IOV_COUNT_MAX 34	      /* 128 KiB in pages, one more at either end */

#define NEXUS_CHILDREN_MAX 16
#define REACTORS_MAX	   64

#endif
