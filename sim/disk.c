/* SPDX-License-Identifier: Apache-2.0 */
/* disk.c - os/os_disk.h on simulated disks, their write caches and their faults.
 *
 * An operation takes effect when it completes: a read sees the content of that moment, a write
 * takes its bytes from the owner's memory at that moment. Between completion and flush a write is
 * a `cached` record; flushes and FUA apply records to the durable content in their order.
 *
 * Invariants:
 *  1. current = durable with all cached records applied in order.
 *  2. A completed flush leaves no record that was completed before the flush was submitted.
 *  3. After a power cut current = durable, and no record exists.
 */
#include "base/memory.h"
#include "sim/disk_image.h"
#include "sim/nth_faults.h"
#include "sim/sim_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR_BYTES	   512 /* of a disk that does not say */
#define CACHED_COUNT_MAX   256 /* a device writes its oldest out by itself */
#define LATENCY_NS_MIN	   (10 * SIM_US)
#define LATENCY_NS_MAX	   (150 * SIM_US)
#define FLUSH_NS_MAX	   (2 * SIM_MS)
#define NS_PER_KIB	   500
#define FAULT_CHANCE_WHOLE 10000

struct cached {
	struct list_node link;
	uint64_t number; /* grows with completion */
	uint64_t offset;
	size_t size;
	bool is_forced; /* FUA: survives whatever happens */
	bool is_zeroes;
	uint8_t bytes[];
};

struct sim_disk {
	struct list_node link; /* of the machine */
	struct sim_process *process;
	uint32_t index;
	char *path;
	struct sim_disk_options options;
	struct sim_disk_faults faults;
	struct disk_image current;
	struct disk_image durable;
	struct list_node cached; /* in order of completion */
	uint32_t cached_count;
	uint64_t cached_number_next;
	bool is_held_exclusively;
};

struct sim_disk_copy {
	struct disk_image image;
};

struct os_disk { /* an opened disk, memory of the process */
	struct sim_disk *disk;
	uint32_t flags;
	uint32_t inflight;
};

struct request { /* of the world; listed at the process */
	struct list_node link;
	struct sim_disk *disk;
	struct os_ring *ring;
	struct os_disk_io *io;
	struct sim_event event;
	struct sim_completion completion;
	uint64_t flush_below; /* FLUSH: records with a lower number */
	bool is_stuck;
	bool is_complete; /* took effect; waits for its owner's turn */
};

/* ---- content ---- */

static void cached_apply(struct sim_disk *disk, const struct cached *cached)
{
	disk_image_write(&disk->durable, cached->offset, cached->is_zeroes ? NULL : cached->bytes,
			 cached->size);
}

static void cached_drop(struct sim_disk *disk, struct cached *cached)
{
	list_remove(&cached->link);
	disk->cached_count--;
	free(cached);
}

/* Some blocks reach the medium, each by itself; a device writes one logical block atomically. */
static void cached_tear(struct sim_disk *disk, const struct cached *cached)
{
	size_t sector = disk->options.block_bytes;

	for (size_t at = 0; at < cached->size; at += sector) {
		size_t left = cached->size - at;

		if (!sim_chance(disk->process->sim, 1, 2))
			continue;
		disk_image_write(&disk->durable, cached->offset + at,
				 cached->is_zeroes ? NULL : cached->bytes + at,
				 left < sector ? left : sector);
	}
}

static void flush_below(struct sim_disk *disk, uint64_t number)
{
	list_for_each (node, &disk->cached) {
		struct cached *cached = list_entry(node, struct cached, link);

		if (cached->number >= number)
			return;
		cached_apply(disk, cached);
		cached_drop(disk, cached);
	}
}

/* @bytes NULL: zeroes. */
static void content_write(struct sim_disk *disk, uint64_t offset, const void *bytes, size_t size,
			  bool is_forced)
{
	struct cached *cached;

	disk_image_write(&disk->current, offset, bytes, size);
	if (offset + size > disk->options.size_bytes)
		disk->options.size_bytes = offset + size;
	cached = malloc(sizeof(*cached) + (bytes == NULL ? 0 : size));
	ASSERT(cached != NULL);
	*cached = (struct cached){
		.number = disk->cached_number_next++,
		.offset = offset,
		.size = size,
		.is_forced = is_forced,
		.is_zeroes = bytes == NULL,
	};
	if (bytes != NULL)
		memcpy(cached->bytes, bytes, size);
	list_init(&cached->link);
	list_push_back(&disk->cached, &cached->link);
	disk->cached_count++;
	if (disk->options.is_write_through)
		flush_below(disk, UINT64_MAX);
	else if (disk->cached_count > CACHED_COUNT_MAX)
		flush_below(disk, disk->cached_number_next - CACHED_COUNT_MAX);
}

void sim_disk_power_cut(struct sim_disk *disk)
{
	uint32_t counts[3] = {0, 0, 0};

	disk->process->power_cuts++;
	list_for_each (node, &disk->cached) {
		struct cached *cached = list_entry(node, struct cached, link);
		uint64_t fate = cached->is_forced ? 0 : sim_draw(disk->process->sim, 0, 2);

		counts[fate]++;
		if (fate == 0)
			cached_apply(disk, cached);
		else if (fate == 1)
			cached_tear(disk, cached);
		cached_drop(disk, cached);
	}
	sim_trace(disk->process->sim, "disk kept/torn/lost", counts[0], counts[1], counts[2]);
	disk_image_deinit(&disk->current);
	disk_image_copy(&disk->durable, &disk->current);
	ASSERT(disk->cached_count == 0);
}

/* ---- disks of a machine ---- */

struct sim_disk *sim_disk_find(struct sim_process *process, const char *path)
{
	list_for_each (node, &process->disks) {
		struct sim_disk *disk = list_entry(node, struct sim_disk, link);

		if (strcmp(disk->path, path) == 0)
			return disk;
	}
	return NULL;
}

struct sim_disk *sim_disk_create(struct sim_process *process, const char *path,
				 const struct sim_disk_options *options)
{
	struct sim_disk *disk = sim_allocate(sizeof(*disk));

	ASSERT(sim_disk_find(process, path) == NULL);
	disk->process = process;
	disk->path = sim_allocate(strlen(path) + 1);
	memcpy(disk->path, path, strlen(path) + 1);
	disk->options = *options;
	if (disk->options.block_bytes == 0)
		disk->options.block_bytes = SECTOR_BYTES;
	list_for_each (node, &process->disks)
		disk->index++;
	list_init(&disk->cached);
	list_init(&disk->link);
	list_push_back(&process->disks, &disk->link);
	return disk;
}

static void disk_free(struct sim_disk *disk)
{
	list_for_each (node, &disk->cached) {
		cached_drop(disk, list_entry(node, struct cached, link));
	}
	disk_image_deinit(&disk->current);
	disk_image_deinit(&disk->durable);
	list_remove(&disk->link);
	free(disk->path);
	free(disk);
}

void sim_disk_free_all(struct sim_process *process)
{
	ASSERT(list_is_empty(&process->disk_requests));
	list_for_each (node, &process->disks) {
		disk_free(list_entry(node, struct sim_disk, link));
	}
}

struct sim_disk_faults *sim_disk_faults(struct sim_disk *disk)
{
	return &disk->faults;
}

void sim_disk_peek(const struct sim_disk *disk, uint64_t offset_bytes, void *bytes,
		   size_t size_bytes)
{
	disk_image_read(&disk->current, offset_bytes, bytes, size_bytes);
}

void sim_disk_poke(struct sim_disk *disk, uint64_t offset_bytes, const void *bytes,
		   size_t size_bytes)
{
	flush_below(disk, UINT64_MAX);
	disk_image_write(&disk->current, offset_bytes, bytes, size_bytes);
	disk_image_write(&disk->durable, offset_bytes, bytes, size_bytes);
}

void sim_disk_flip(struct sim_disk *disk, uint64_t offset_bytes, uint32_t bit)
{
	uint8_t byte;

	ASSERT(bit < 8);
	sim_trace(disk->process->sim, "bit flipped", disk->process->index, offset_bytes, bit);
	sim_disk_peek(disk, offset_bytes, &byte, 1);
	byte ^= (uint8_t)(1u << bit);
	sim_disk_poke(disk, offset_bytes, &byte, 1);
}

uint64_t sim_disk_size_bytes(const struct sim_disk *disk)
{
	return disk->options.size_bytes;
}

void sim_disk_resize(struct sim_disk *disk, uint64_t size_bytes)
{
	ASSERT(size_bytes % disk->options.block_bytes == 0);
	sim_trace(disk->process->sim, "disk resized", disk->process->index, size_bytes, 0);
	disk->options.size_bytes = size_bytes;
}

bool sim_disk_has_cache(const struct sim_disk *disk)
{
	return !disk->options.is_write_through;
}

struct sim_disk_copy *sim_disk_copy_create(const struct sim_disk *disk)
{
	struct sim_disk_copy *copy = sim_allocate(sizeof(*copy));

	disk_image_copy(&disk->current, &copy->image);
	return copy;
}

void sim_disk_copy_destroy(struct sim_disk_copy *copy)
{
	if (copy == NULL)
		return;
	disk_image_deinit(&copy->image);
	free(copy);
}

void sim_disk_copy_restore(struct sim_disk *disk, const struct sim_disk_copy *copy)
{
	list_for_each (node, &disk->process->disk_requests)
		ASSERT(list_entry(node, struct request, link)->disk != disk);
	sim_trace(disk->process->sim, "disk rolled back", disk->process->index, disk->index, 0);
	list_for_each (node, &disk->cached)
		cached_drop(disk, list_entry(node, struct cached, link));
	disk_image_deinit(&disk->current);
	disk_image_deinit(&disk->durable);
	disk_image_copy(&copy->image, &disk->current);
	disk_image_copy(&copy->image, &disk->durable);
}

uint32_t sim_disk_unflushed_count(const struct sim_disk *disk)
{
	return disk->cached_count;
}

/* ---- operations ---- */

#define NOWHERE UINT64_MAX

/*
 * Where a silent fault takes an operation instead: the same place when it does not.
 * Operations outside of the region, or as large as it, are spared.
 */
static uint64_t place_draw(struct sim_disk *disk, const struct os_disk_io *io, uint32_t chance)
{
	const struct sim_disk_faults *faults = &disk->faults;
	struct sim *sim = disk->process->sim;
	uint64_t blocks;

	if (chance == 0 || io->offset_bytes < faults->region_offset_bytes ||
	    io->offset_bytes + io->size_bytes >
		    faults->region_offset_bytes + faults->region_size_bytes ||
	    io->size_bytes >= faults->region_size_bytes)
		return io->offset_bytes;
	if (!sim_chance(sim, chance, FAULT_CHANCE_WHOLE))
		return io->offset_bytes;
	sim_trace(sim, "silent fault", disk->process->index * 10 + disk->index, io->operation,
		  io->offset_bytes);
	if (sim_chance(sim, 1, 2))
		return NOWHERE;
	blocks = (faults->region_size_bytes - io->size_bytes) / disk->options.block_bytes;
	return faults->region_offset_bytes + sim_draw(sim, 0, blocks) * disk->options.block_bytes;
}

static int write_take_effect(struct sim_disk *disk, const struct os_disk_io *io)
{
	uint64_t place = place_draw(disk, io, disk->faults.write_lost_chance);
	uint64_t offset = place;

	if (!disk->options.is_file && io->offset_bytes + io->size_bytes > disk->options.size_bytes)
		return -ENOSPC;
	if (sim_chance(disk->process->sim, disk->faults.full_chance, FAULT_CHANCE_WHOLE))
		return -ENOSPC;
	if (place == NOWHERE)
		return 0;
	for (uint32_t i = 0; i < io->iov_count; i++) {
		content_write(disk, offset, io->iov[i].iov_base, io->iov[i].iov_len,
			      io->is_durable);
		offset += io->iov[i].iov_len;
	}
	ASSERT(offset == place + io->size_bytes);
	return 0;
}

static int zeroes_take_effect(struct sim_disk *disk, const struct os_disk_io *io)
{
	uint64_t place = place_draw(disk, io, disk->faults.write_lost_chance);

	if (place != NOWHERE)
		content_write(disk, place, NULL, io->size_bytes, io->is_durable);
	return 0;
}

static int read_take_effect(struct sim_disk *disk, const struct os_disk_io *io)
{
	uint64_t place = place_draw(disk, io, disk->faults.read_wrong_chance);
	bool is_flipped = place == NOWHERE;
	uint64_t offset = is_flipped ? io->offset_bytes : place;

	if (io->offset_bytes + io->size_bytes > disk->options.size_bytes)
		return -EIO;
	for (uint32_t i = 0; i < io->iov_count; i++) {
		disk_image_read(&disk->current, offset, io->iov[i].iov_base, io->iov[i].iov_len);
		offset += io->iov[i].iov_len;
	}
	if (is_flipped)
		*(uint8_t *)io->iov[0].iov_base ^= 1;
	return 0;
}

static enum nth_kind nth_kind_of(enum os_disk_op operation)
{
	if (operation == OS_DISK_READ)
		return NTH_DISK_READ;
	return operation == OS_DISK_FLUSH ? NTH_DISK_FLUSH : NTH_DISK_WRITE;
}

static bool is_failing(const struct sim_disk *disk, enum os_disk_op operation)
{
	uint32_t chance = disk->faults.write_error_chance;

	if (nth_fails(disk->process, nth_kind_of(operation)))
		return true;
	if (operation == OS_DISK_FLUSH && disk->faults.flush_refusals > 0)
		return true;
	if (operation == OS_DISK_READ)
		chance = disk->faults.read_error_chance;
	else if (operation == OS_DISK_FLUSH)
		chance = disk->faults.flush_error_chance;
	return sim_chance(disk->process->sim, chance, FAULT_CHANCE_WHOLE);
}

static int take_effect(struct request *request)
{
	struct sim_disk *disk = request->disk;
	const struct os_disk_io *io = request->io;

	if (disk->faults.is_gone)
		return -ENODEV;
	if (is_failing(disk, io->operation))
		return -EIO;
	switch (io->operation) {
	case OS_DISK_READ:
		return read_take_effect(disk, io);
	case OS_DISK_WRITE:
		return write_take_effect(disk, io);
	case OS_DISK_FLUSH:
		flush_below(disk, request->flush_below);
		return 0;
	case OS_DISK_DISCARD:
	case OS_DISK_WRITE_ZEROES:
		return zeroes_take_effect(disk, io);
	}
	ASSERT(!"known operation");
}

static void request_complete(struct sim_completion *completion)
{
	struct request *request = container_of(completion, struct request, completion);
	struct os_disk_io *io = request->io;

	ASSERT(io->disk->inflight > 0);
	io->disk->inflight--;
	list_remove(&request->link);
	free(request);
	op_done(io->parent);
}

static void request_fire(struct sim_event *event)
{
	struct request *request = container_of(event, struct request, event);
	struct sim_disk *disk = request->disk;

	if (disk->faults.is_stuck) {
		request->is_stuck = true;
		return;
	}
	request->io->result = take_effect(request);
	request->is_complete = true;
	sim_trace(disk->process->sim, "disk done",
		  disk->process->index * 100 + disk->index * 10 + request->io->operation,
		  request->io->offset_bytes, (uint64_t)(int64_t)request->io->result);
	sim_completion_push(request->ring, &request->completion);
}

void sim_disk_release(struct sim_disk *disk)
{
	disk->faults.is_stuck = false;
	list_for_each (node, &disk->process->disk_requests) {
		struct request *request = list_entry(node, struct request, link);

		if (request->disk != disk || !request->is_stuck)
			continue;
		request->is_stuck = false;
		/* In any order: the disk knows none. */
		sim_event_schedule(disk->process->sim, &request->event,
				   sim_draw(disk->process->sim, LATENCY_NS_MIN, LATENCY_NS_MAX));
	}
}

/* A write in flight when its process dies: the device may have got all, some, or none of it. */
static void request_abandon(struct request *request, enum sim_crash crash)
{
	struct sim_disk *disk = request->disk;
	const struct os_disk_io *io = request->io;
	struct sim *sim = disk->process->sim;
	size_t sector = disk->options.block_bytes;
	/* The power cut that follows decides the fate of what is cached. */
	bool is_cached = crash == SIM_POWER_CUT && !disk->options.is_write_through;

	if (!request->is_complete && io->operation == OS_DISK_WRITE && !disk->faults.is_gone) {
		uint64_t offset = io->offset_bytes;

		for (uint32_t i = 0; i < io->iov_count; i++) {
			const uint8_t *bytes = io->iov[i].iov_base;

			for (size_t at = 0; at < io->iov[i].iov_len; at += sector) {
				size_t left = io->iov[i].iov_len - at;

				if (is_cached || sim_chance(sim, 1, 2))
					content_write(disk, offset + at, bytes + at,
						      left < sector ? left : sector, false);
			}
			offset += io->iov[i].iov_len;
		}
	}
	sim_event_cancel(sim, &request->event);
	list_remove(&request->link);
	free(request);
}

void sim_disk_process_crashed(struct sim_process *process, enum sim_crash crash)
{
	list_for_each (node, &process->disk_requests) {
		request_abandon(list_entry(node, struct request, link), crash);
	}
	list_for_each (node, &process->disks) {
		struct sim_disk *disk = list_entry(node, struct sim_disk, link);

		disk->is_held_exclusively = false;
		if (crash == SIM_POWER_CUT)
			sim_disk_power_cut(disk);
	}
}

/* ---- os_disk.h ---- */

int os_disk_open(struct os *os, const char *path, uint32_t flags, struct os_disk **ret_disk)
{
	struct sim_disk *disk = sim_disk_find(os->process, path);
	struct os_disk *opened;

	if (nth_fails(os->process, NTH_DISK_OPEN))
		return -EMFILE;
	if (disk == NULL) {
		const struct sim_disk_options options = {.is_file = true};

		if ((flags & OS_DISK_CREATE) == 0)
			return -ENOENT;
		disk = sim_disk_create(os->process, path, &options);
	}
	if (disk->faults.is_gone)
		return -ENXIO;
	if ((flags & OS_DISK_EXCLUSIVE) != 0 && disk->is_held_exclusively)
		return -EBUSY;
	opened = sim_process_allocate(os->process, sizeof(*opened));
	opened->disk = disk;
	opened->flags = flags;
	if ((flags & OS_DISK_EXCLUSIVE) != 0)
		disk->is_held_exclusively = true;
	*ret_disk = opened;
	return 0;
}

void os_disk_close(struct os_disk *disk)
{
	if (disk == NULL)
		return;
	ASSERT(disk->inflight == 0);
	if ((disk->flags & OS_DISK_EXCLUSIVE) != 0)
		disk->disk->is_held_exclusively = false;
	memory_free(disk);
}

int os_disk_info(struct os_disk *disk, struct os_disk_info *ret_info)
{
	const struct sim_disk_options *options = &disk->disk->options;

	if (nth_fails(disk->disk->process, NTH_DISK_INFO))
		return -EIO;
	if (disk->disk->faults.is_gone)
		return -ENODEV;
	*ret_info = (struct os_disk_info){
		.size_bytes = options->size_bytes,
		.logical_block_bytes = options->block_bytes,
		.physical_block_bytes = IMAGE_PAGE_BYTES,
		.is_block_device = !options->is_file,
		.is_direct = (disk->flags & OS_DISK_BUFFERED) == 0,
		.has_volatile_cache = !options->is_write_through,
		.can_discard = true,
		.can_write_zeroes = true,
	};
	return 0;
}

int os_disk_grow(struct os_disk *disk, uint64_t size_bytes)
{
	if (!disk->disk->options.is_file)
		return -EINVAL;
	if (nth_fails(disk->disk->process, NTH_DISK_GROW))
		return -ENOSPC;
	if (size_bytes > disk->disk->options.size_bytes)
		disk->disk->options.size_bytes = size_bytes;
	return 0;
}

static uint64_t latency_ns(struct sim_disk *disk, const struct os_disk_io *io)
{
	struct sim *sim = disk->process->sim;
	uint64_t latency = sim_draw(sim, LATENCY_NS_MIN, LATENCY_NS_MAX);

	if (io->operation == OS_DISK_FLUSH)
		latency += sim_draw(sim, 0, FLUSH_NS_MAX);
	else if (io->operation == OS_DISK_READ || io->operation == OS_DISK_WRITE)
		latency += io->size_bytes / 1024 * NS_PER_KIB;
	return disk->faults.slow_factor == 0 ? latency : latency * disk->faults.slow_factor;
}

void os_disk_submit(struct os_ring *ring, struct os_disk_io *io)
{
	struct os_disk *opened = io->disk;
	struct request *request = sim_allocate(sizeof(*request));
	struct sim_disk *disk = opened->disk;

	ASSERT(sim_current() == ring->process);
	ASSERT(disk->process == ring->process);
	if ((opened->flags & OS_DISK_BUFFERED) == 0 && io->operation != OS_DISK_FLUSH) {
		ASSERT(io->offset_bytes % disk->options.block_bytes == 0);
		ASSERT(io->size_bytes % disk->options.block_bytes == 0);
		ASSERT(io->size_bytes > 0);
	}
	ASSERT(io->operation == OS_DISK_READ || (opened->flags & OS_DISK_READ_ONLY) == 0 ||
	       io->operation == OS_DISK_FLUSH);
	opened->inflight++;
	request->disk = disk;
	request->ring = ring;
	request->io = io;
	request->event.fire = request_fire;
	request->flush_below = disk->cached_number_next;
	sim_completion_init(&request->completion, request_complete);
	list_init(&request->link);
	list_push_back(&ring->process->disk_requests, &request->link);
	sim_event_schedule(disk->process->sim, &request->event, latency_ns(disk, io));
}

int os_directory_create(struct os *os, const char *path)
{
	if (nth_fails(os->process, NTH_DIRECTORY))
		return -ENOSPC;
	return path[0] == '/' ? 0 : -EINVAL;
}

int os_file_remove(struct os *os, const char *path)
{
	struct sim_disk *disk = sim_disk_find(os->process, path);

	if (disk == NULL)
		return -ENOENT;
	if (!disk->options.is_file)
		return -EPERM;
	if (nth_fails(os->process, NTH_FILE_REMOVE))
		return -EIO;
	list_for_each (node, &os->process->disk_requests)
		ASSERT(list_entry(node, struct request, link)->disk != disk);
	disk_free(disk);
	return 0;
}
