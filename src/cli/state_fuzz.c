/* SPDX-License-Identifier: Apache-2.0 */
/* state_fuzz.c - any text as a cluster's state file, a line of mounts, or a process on record.
 *
 * A state that is accepted is written and accepted again, and then it is written the same.
 */
#include "base/assert.h"
#include "cli/dev_state.h"
#include "cli/mounts.h"
#include "cli/process.h"

#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 2048

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static void state_check(const char *text, size_t size_bytes)
{
	struct cli_error error = {0};
	struct dev_state state, again;
	char *written, *rewritten;

	if (dev_state_decode(text, size_bytes, &state, &error) != CLI_OK) {
		ASSERT(error.text[0] != '\0');
		return;
	}
	ASSERT(state.node_count <= DEV_NODES_MAX);
	written = dev_state_encode(&state);
	ASSERT(written != NULL);
	ASSERT(dev_state_decode(written, strlen(written), &again, &error) == CLI_OK);
	rewritten = dev_state_encode(&again);
	ASSERT(rewritten != NULL && strcmp(written, rewritten) == 0);
	free(written);
	free(rewritten);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	char line[LINE_BYTES] = {0};
	struct mount_entry entry;
	struct process process;

	state_check((const char *)bytes, size_bytes);
	memcpy(line, bytes, size_bytes < sizeof(line) ? size_bytes : sizeof(line) - 1);
	if (mount_entry_parse(line, &entry))
		ASSERT(memchr(entry.point, '\0', sizeof(entry.point)) != NULL);
	if (process_record_parse(line, &process))
		ASSERT(process.pid > 0 && memchr(process.boot, '\0', sizeof(process.boot)) != NULL);
	return 0;
}
