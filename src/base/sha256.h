/* SPDX-License-Identifier: Apache-2.0 */
/* sha256.h - SHA-256 (FIPS 180-4), for names that are derived from other names. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32

/** Cannot fail. */
void sha256(const void *bytes, size_t size_bytes, uint8_t ret_digest[SHA256_BYTES]);

#endif
