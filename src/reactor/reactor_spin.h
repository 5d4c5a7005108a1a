/* SPDX-License-Identifier: Apache-2.0 */
/* reactor_spin.h - how long an idle reactor may spin before it sleeps; pure, private to reactor/.
 *
 * Sleeping costs several microseconds at wake-up, spinning costs a core. The rule: spin only
 * while more than half of the last idle times would have ended within the longest spin, and then
 * for about twice the usual idle time. Idle times are measured whether or not it spun, so that
 * load that comes back is noticed, and a core is given back after a few idle times.
 *
 * The longest spin has to exceed what two sleeps cost, ours and the peer's: an idle time that is
 * long only because both slept would count as a miss, and neither side would ever spin again. On
 * virtual machines a sleep costs up to 60 us; with 50 us at most the rule had two stable states,
 * the slow one with a quarter of the IOPS.
 */
#ifndef REACTOR_REACTOR_SPIN_H
#define REACTOR_REACTOR_SPIN_H

#include <stdint.h>

#define SPIN_HISTORY_COUNT 16

struct reactor_spin {
	uint32_t ns_max;
	uint16_t hits;	       /* one bit an idle time, newest lowest: ended within ns_max */
	uint64_t idle_ns_mean; /* of the hits; moving */
};

/* Return: ns to spin now, 0 to sleep at once. */
static inline uint64_t reactor_spin_limit(const struct reactor_spin *spin)
{
	uint64_t limit = 2 * spin->idle_ns_mean;

	if (__builtin_popcount(spin->hits) <= SPIN_HISTORY_COUNT / 2)
		return 0;
	return limit < spin->ns_max ? limit : spin->ns_max;
}

/* Tells how long it was idle, spinning and sleeping together. */
static inline void reactor_spin_record(struct reactor_spin *spin, uint64_t idle_ns)
{
	uint16_t is_hit = idle_ns <= spin->ns_max;

	spin->hits = (uint16_t)(spin->hits << 1 | is_hit);
	if (is_hit)
		spin->idle_ns_mean = (spin->idle_ns_mean * 7 + idle_ns) / 8 + 1;
}

#endif
