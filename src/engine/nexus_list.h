/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_list.h - the calls that look at all nexuses, one after the other, without any lock. */
#ifndef ENGINE_NEXUS_LIST_H
#define ENGINE_NEXUS_LIST_H

#include "rpc/rpc_server.h"

void nexus_list_handle(struct rpc_call *call);
void nexus_list_history_handle(struct rpc_call *call);

#endif
