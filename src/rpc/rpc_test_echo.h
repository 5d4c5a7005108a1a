/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_test_echo.h - the Echo service of rpc_test.proto, for tests. */
#ifndef RPC_RPC_TEST_ECHO_H
#define RPC_RPC_TEST_ECHO_H

#include "rpc/rpc_server.h"

struct echo {
	struct reactor *reactor;
	uint32_t calls;	    /* entered */
	uint32_t abandoned; /* whose client had gone when they ended */
};

extern const struct rpc_service echo_service;

#endif
