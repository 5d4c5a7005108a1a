/* SPDX-License-Identifier: Apache-2.0 */
/* nth_faults.c - which call through the seams fails.
 *
 * Invariant: with one seed and one history the calls are numbered alike in every run, up to the
 * first that fails.
 */
#include "sim/nth_faults.h"

#include "sim/sim_impl.h"

#include <execinfo.h>

static const char *const kind_texts[NTH_KIND_COUNT] = {
	[NTH_MEMORY] = "memory",
	[NTH_DISK_OPEN] = "disk open",
	[NTH_DISK_INFO] = "disk info",
	[NTH_DISK_GROW] = "disk grow",
	[NTH_DISK_READ] = "disk read",
	[NTH_DISK_WRITE] = "disk write",
	[NTH_DISK_FLUSH] = "disk flush",
	[NTH_DIRECTORY] = "directory create",
	[NTH_FILE_REMOVE] = "file remove",
	[NTH_LISTEN] = "listen",
	[NTH_ACCEPT] = "accept",
	[NTH_CONNECT] = "connect",
	[NTH_SEND] = "send",
	[NTH_RECEIVE] = "receive",
	[NTH_RESOLVE] = "resolve",
	[NTH_INTERFACES] = "interface list",
	[NTH_RING] = "ring",
	[NTH_REGISTER] = "buffer registration",
	[NTH_DEVICES] = "device list",
};

const char *nth_kind_text(enum nth_kind kind)
{
	ASSERT(kind < NTH_KIND_COUNT);
	return kind_texts[kind];
}

const char *nth_mode_text(enum nth_mode mode)
{
	static const char *const texts[NTH_MODE_COUNT] = {"once", "kind", "sticky"};

	ASSERT(mode < NTH_MODE_COUNT);
	return texts[mode];
}

void sim_set_nth_faults(struct sim *sim, struct nth_faults *faults)
{
	sim->nth = faults;
}

static bool must_fail(const struct nth_faults *faults, const struct sim_process *process,
		      enum nth_kind kind)
{
	if (faults->failed_count == 0)
		return faults->call_count == faults->fail_at;
	switch (faults->mode) {
	case NTH_ONCE:
		return false;
	case NTH_STICKY_KIND:
		return kind == faults->first_kind && process->index == faults->first_process;
	case NTH_STICKY:
		return true;
	}
	ASSERT(!"a mode");
}

bool nth_fails(struct sim_process *process, enum nth_kind kind)
{
	struct nth_faults *faults = process == NULL ? NULL : process->sim->nth;

	ASSERT(kind < NTH_KIND_COUNT);
	if (faults == NULL || !faults->is_counting)
		return false;
	faults->calls[kind]++;
	faults->call_count++;
	if (faults->is_healed || !must_fail(faults, process, kind))
		return false;
	if (faults->failed_count++ == 0) {
		faults->first_kind = kind;
		faults->first_process = process->index;
		faults->first_trace_count = backtrace(faults->first_trace, NTH_TRACE_MAX);
	}
	sim_trace(process->sim, "nth fault", process->index, kind, faults->call_count);
	return true;
}
