/* SPDX-License-Identifier: Apache-2.0 */
/* subsystem_impl.h - what subsystem_manage.c (main) asks of subsystem.c (home). */
#ifndef TARGET_SUBSYSTEM_IMPL_H
#define TARGET_SUBSYSTEM_IMPL_H

#include "target/target_impl.h"

/* Functions of reactor calls; each ends in one reactor_call_finish(). Context: home. */
void subsystem_home_open(struct reactor_call *call);
void subsystem_home_end(struct reactor_call *call);
void subsystem_home_pause(struct reactor_call *call);
void subsystem_home_resume(struct reactor_call *call);
void subsystem_home_set_ana_state(struct reactor_call *call);
void subsystem_home_set_allowed_hosts(struct reactor_call *call);
void subsystem_home_inspect(struct reactor_call *call);

/** The bdev has another size, or is gone. Context: home. */
void subsystem_home_changed(struct target_subsystem *subsystem);

/** Copies @count valid names. */
void allowed_hosts_fill(struct allowed_hosts *hosts, const char *const *names, uint32_t count);

#endif
