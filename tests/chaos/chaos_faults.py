# SPDX-License-Identifier: Apache-2.0
"""What is done to a volume under load: one function for a kind of fault, from its begin to its end.

A function draws its numbers from the round, does harm, says what the host must see meanwhile
(`host_goes_on`: progress) and undoes it. Bringing copies back and all other rules are the round's.
No kind takes the last good copy: before each the volume is whole."""

import signal

from chaos_cluster import COPIES, VOLUME, Failure, np
from chaos_disk import LoopDisk

# Time-outs short enough that a loss takes a round a second or two.
BRISK = {"NVME_TIMEOUT": "1s", "NVME_KATO": "2s", "NVME_TIMEOUT_ADMIN": "1s"}
# So long that nobody may lose patience in a short fault, even on a busy machine.
PATIENT = {"NVME_TIMEOUT": "10s", "NVME_KATO": "20s"}
LOST_SECONDS = 4.5  # longer than an abort and what follows it

KINDS = {}


class Kind:
    """disks: of which kind all disks have to be, None: any; repeats: in one round; is_long: for
    a soak only."""

    def __init__(self, run, env=BRISK, disks=None, repeats=2, is_long=False,
                 is_possible=lambda: True):
        self.run, self.env, self.disks, self.repeats = run, env, disks, repeats
        self.is_long, self.is_possible = is_long, is_possible
        self.name = run.__name__


def kind(**options):
    def add(run):
        KINDS[run.__name__] = Kind(run, **options)
        return run

    return add


# Processes that end.

@kind()
def copy_killed(r):
    victim = r.draw.choice(COPIES)
    r.cluster.kill(victim)
    r.host_goes_on()
    r.cluster.start_engine(victim)


@kind()
def copy_killed_again_in_its_rebuild(r):
    victim = r.draw.choice(COPIES)
    for _ in range(3):
        r.cluster.kill(victim)
        r.host_goes_on()
        r.cluster.start_engine(victim)
        r.mend_once()
        r.hold(0, 0.15)
    r.host_goes_on()


@kind()
def both_copies_killed(r):
    first, second = r.draw.sample(COPIES, 2)
    r.cluster.kill(first)
    r.hold(0, 0.3)
    r.cluster.kill(second)
    r.host_goes_on()
    r.cluster.start_engine(second)
    r.cluster.start_engine(first)


@kind()
def volume_killed(r):
    r.cluster.kill(VOLUME)
    r.hold(0, 1)
    r.cluster.start_engine(VOLUME)
    r.cluster.create_volume()


@kind()
def volume_and_copy_killed(r):
    victims = [VOLUME, r.draw.choice(COPIES)]
    r.draw.shuffle(victims)
    r.cluster.kill(victims[0])
    r.hold(0, 0.5)
    r.cluster.kill(victims[1])
    for victim in sorted(victims, reverse=True):
        r.cluster.start_engine(victim)
    r.cluster.create_volume()


@kind()
def volume_killed_in_a_rebuild(r):
    victim = r.draw.choice(COPIES)
    r.cluster.kill(victim)
    r.host_goes_on()
    r.cluster.start_engine(victim)
    r.mend_once()
    r.hold(0, 0.15)
    r.cluster.kill(VOLUME)
    r.cluster.start_engine(VOLUME)
    r.cluster.create_volume()


@kind()
def copy_restarted_in_order(r):
    victim = r.draw.choice(COPIES)
    r.cluster.stop_engine(victim)
    r.host_goes_on()
    r.cluster.start_engine(victim)


@kind()
def volume_restarted_in_order(r):
    r.cluster.stop_engine(VOLUME)
    record = r.cluster.record()
    if not record["clean_shutdown"]:
        raise Failure(f"told to stop, and the record is not clean: {record}")
    r.cluster.start_engine(VOLUME)
    r.cluster.create_volume()
    if r.cluster.volume().state != np.NEXUS_ONLINE:
        raise Failure(f"a clean end, and not all copies are believed:\n{r.cluster.volume()}")


# Processes that stand still.

@kind(env=PATIENT)
def copy_paused_for_a_moment(r):
    for _ in range(4):
        victim = r.draw.choice(COPIES)
        r.cluster.signal(victim, signal.SIGSTOP)
        r.hold(0.1, 0.6)
        r.cluster.signal(victim, signal.SIGCONT)
        r.host_goes_on()
    r.nothing_was_lost()


@kind()
def copy_paused_too_long(r):
    victim = r.draw.choice(COPIES)
    r.cluster.signal(victim, signal.SIGSTOP)
    r.cluster.wait_lost(victim)
    r.host_goes_on()
    r.cluster.signal(victim, signal.SIGCONT)


@kind()
def volume_paused(r):
    for most in (0.3, 4.5):
        r.cluster.signal(VOLUME, signal.SIGSTOP)
        r.hold(0.1, most)
        r.cluster.signal(VOLUME, signal.SIGCONT)
        r.host_goes_on()


@kind()
def both_copies_paused(r):
    for victim in COPIES:
        r.cluster.signal(victim, signal.SIGSTOP)
        r.hold(0, 0.5)
    r.host_goes_on()
    for victim in COPIES:
        r.cluster.signal(victim, signal.SIGCONT)


# Disks.

def disk_full(r, victim):
    disk = r.cluster.disks[victim]
    disk.fill(r.draw.randrange(1, 8) << 12)
    r.host.write_new()
    reason = r.cluster.wait_lost(victim, 30)
    if reason != np.CHILD_STATE_REASON_NO_SPACE:
        raise Failure(f"the full copy left with {np.ChildStateReason.Name(reason)}")
    r.host_goes_on()
    disk.mend()


@kind(disks="room", repeats=1)
def copy_disk_full(r):
    disk_full(r, r.draw.choice(COPIES))


@kind(disks="room", repeats=1)
def local_disk_full(r):
    disk_full(r, VOLUME)


def left_by_io_failure(r, victim):
    reason = r.cluster.wait_lost(victim)
    if reason != np.CHILD_STATE_REASON_IO_FAILURE:
        raise Failure(f"the disk failed and the copy left with "
                      f"{np.ChildStateReason.Name(reason)}")


@kind(disks="loop")
def disk_shrunk(r):
    """All I/O beyond its first megabytes fails, and the size is not 0."""
    victim = r.draw.choice((VOLUME, *COPIES))
    r.cluster.disks[victim].shrink(r.draw.choice((512, 1 << 20, 6 << 20)))
    left_by_io_failure(r, victim)
    r.host_goes_on()
    r.cluster.disks[victim].mend()


def disk_gone(r, victim):
    r.cluster.disks[victim].vanish()
    left_by_io_failure(r, victim)
    r.host_goes_on()
    r.cluster.disks[victim].mend()
    r.cluster.remake_device(victim)


@kind(disks="loop")
def copy_disk_gone(r):
    disk_gone(r, r.draw.choice(COPIES))


@kind(disks="loop")
def local_disk_gone(r):
    disk_gone(r, VOLUME)


@kind(disks="loop", env=PATIENT, is_possible=LoopDisk.can_be_slow)
def disk_slow(r):
    victim = r.draw.choice((VOLUME, *COPIES))
    r.cluster.disks[victim].slow(r.cluster.engines[victim].process.pid, r.draw.randrange(100, 400))
    r.hold(1, 2)
    r.host_goes_on(60)
    r.cluster.disks[victim].mend()
    r.nothing_was_lost()


@kind()
def copy_disk_replaced(r):
    victim = r.draw.choice(COPIES)
    r.cluster.kill(victim)
    r.host_goes_on()
    r.cluster.replace_disk(victim)


# Networks.

@kind(env=PATIENT)
def copy_cut_off_for_a_moment(r):
    machine = r.lab.nodes[r.draw.choice(COPIES)]
    for _ in range(3):
        machine.cut(True)
        r.hold(0.05, 0.5)
        machine.cut(False)
        r.host_goes_on()
    r.nothing_was_lost()


def lost_while(r, victim, harm):
    harm(True)
    r.cluster.wait_lost(victim)
    r.host_goes_on()
    harm(False)


@kind()
def copy_cut_off(r):
    victim = r.draw.choice(COPIES)
    lost_while(r, victim, r.lab.nodes[victim].cut)


@kind()
def copy_unplugged(r):
    victim = r.draw.choice(COPIES)
    lost_while(r, victim, r.lab.nodes[victim].unplug)


@kind()
def copy_flaps(r):
    machine = r.lab.nodes[r.draw.choice(COPIES)]
    for _ in range(r.draw.randrange(3, 8)):
        machine.cut(True)
        r.hold(0.02, 0.9)
        machine.cut(False)
        r.hold(0.02, 0.4)
    r.host_goes_on()


@kind()
def copy_heard_one_way(r):
    victim = r.draw.choice(COPIES)
    volume, copy = r.lab.nodes[VOLUME], r.lab.nodes[victim]
    talker, listener = r.draw.choice(((volume, copy), (copy, volume)))
    talker.deaf(listener, True)
    r.cluster.wait_lost(victim)
    r.host_goes_on()
    talker.deaf(listener, False)


@kind()
def copies_cut_from_the_volume(r):
    """The host still reaches the volume, which has its own copy only."""
    for victim in COPIES:
        r.lab.nodes[victim].cut(True)
    for victim in COPIES:
        r.cluster.wait_lost(victim)
    r.host_goes_on()
    for victim in COPIES:
        r.lab.nodes[victim].cut(False)


@kind()
def volume_cut_off(r):
    r.lab.nodes[VOLUME].cut(True)
    r.hold(0.5, LOST_SECONDS)
    r.lab.nodes[VOLUME].cut(False)
    r.host_goes_on()


@kind()
def host_cut_off(r):
    for most in (0.5, LOST_SECONDS):
        r.host.cut(True)
        r.hold(0.1, most)
        r.host.cut(False)
        r.host_goes_on()
    r.nothing_was_lost()


@kind()
def connections_reset(r):
    for _ in range(4):
        r.draw.choice(r.lab.nodes).reset()
        r.host_goes_on()


@kind()
def copy_link_slow(r):
    """Acknowledgements and data of reads crawl."""
    machine = r.lab.nodes[r.draw.choice(COPIES)]
    machine.slow(r.draw.choice((500, 2000, 10000)))
    r.hold(1, 3)
    r.host_goes_on()
    machine.slow(None)


def in_a_row(r, count):
    """The volume is whole between them; whatever fits the time-outs and the disks."""
    names = sorted(name for name, one in KINDS.items()
                   if one.env is BRISK and one.disks in (None, "loop") and one.run not in
                   (mixed, marathon))
    for name in r.draw.choices(names, k=count):
        r.episode(KINDS[name])


@kind(disks="loop", repeats=1)
def mixed(r):
    in_a_row(r, 3)


@kind(disks="loop", repeats=1, is_long=True)
def marathon(r):
    """What leaks a little with each fault is over the limits at the end."""
    in_a_row(r, 30)
