/* SPDX-License-Identifier: Apache-2.0 */
/* sha256.c - SHA-256 by libcrypto's plain functions.
 *
 * Those of its EVP interface, SHA256() among them, allocate, load providers, and fail without
 * memory, for which no name could stand in.
 */
#define OPENSSL_API_COMPAT 0x10100000L /* the plain functions are called obsolete since 3.0 */

#include "base/sha256.h"

#include "base/assert.h"

#include <openssl/sha.h>

STATIC_ASSERT(SHA256_BYTES == SHA256_DIGEST_LENGTH);

void sha256(const void *bytes, size_t size_bytes, uint8_t ret_digest[SHA256_BYTES])
{
	SHA256_CTX context;
	int is_ok;

	ASSERT(ret_digest != NULL);
	ASSERT(bytes != NULL || size_bytes == 0);
	is_ok = SHA256_Init(&context) && SHA256_Update(&context, bytes, size_bytes) &&
		SHA256_Final(ret_digest, &context);
	ASSERT(is_ok);
}
