# SPDX-License-Identifier: Apache-2.0
"""What the record of a volume keeps over the death of its engine: caches, size, who is good."""

import json
import signal
import struct
import uuid

import grpc

from engines import error_of, pb, wait_until

np = pb.nexus
MIB = 1 << 20
SIZE = 32 * MIB
PLACE = 6 * MIB  # of a file, within the volume
SLOT = 8192


def file_uri(path, identity):
    return f"aio://{path}?blk_size=512&uuid={identity}"


def disk_file(folder, name, size=40 * MIB):
    path = folder / name
    with open(path, "wb") as disk:
        disk.truncate(size)
    return path


def record_of(engine):
    """The content of the slot that counts, of the only record."""
    path, = (engine.folder / "state" / "records").glob("*.record")
    data = path.read_bytes()
    slots = [data[at:at + SLOT] for at in range(0, len(data), SLOT)]
    newest = max((s for s in slots if s[:8] == b"MAYSLOT1"),
                 key=lambda s: struct.unpack_from("<Q", s, 8)[0])
    return json.loads(newest[24:24 + struct.unpack_from("<I", newest, 16)[0]])


def create(engine, children, identity):
    return engine.nexus.CreateNexus(np.CreateNexusRequest(
        name="vol", uuid=identity, size=SIZE, minCntlId=1, maxCntlId=2, children=children)).nexus


def wait_online(engine, identity):
    wait_until(lambda: engine.nexus_get(identity).state == np.NEXUS_ONLINE, what="the rebuild")


def test_record_keeps_the_cache_of_each_copy_and_a_kill_changes_none(make_engine, tmp_path):
    volume, identities = str(uuid.uuid4()), [str(uuid.uuid4()) for _ in range(2)]
    engines = [make_engine(f"node-{i}") for i in (1, 2)]
    paths = [disk_file(tmp_path, f"disk-{i}") for i in (1, 2)]
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as boot:
        boot_id = boot.read().strip()

    def children():
        engines[1].create_bdev(file_uri(paths[1], identities[1]))
        remote = engines[1].share_bdev(str(paths[1])).share_uri
        return [file_uri(paths[0], identities[0]), f"{remote}?uuid={identities[1]}"]

    create(engines[0], children(), volume)
    first = record_of(engines[0])
    assert [c["healthy"] for c in first["children"]] == [True, True]
    assert [c["cache_id"] for c in first["children"]] == [boot_id, boot_id]
    for engine in engines:
        engine.kill(signal.SIGKILL)
    for engine in engines:
        engine.start()
    create(engines[0], children(), volume)
    wait_online(engines[0], volume)
    again = record_of(engines[0])
    assert again["epoch"] == first["epoch"] + 1
    assert [c["cache_id"] for c in again["children"]] == [boot_id, boot_id]


def test_copy_that_lost_its_memory_is_not_believed_though_it_is_named_first(make_engine, tmp_path):
    volume, identities = str(uuid.uuid4()), [str(uuid.uuid4()) for _ in range(2)]
    engines = [make_engine(f"node-{i}") for i in (1, 2)]
    path = disk_file(tmp_path, "disk")

    def children():
        engines[1].create_bdev(f"malloc:///memory?size_mb=40&uuid={identities[1]}")
        remote = engines[1].share_bdev("memory").share_uri
        return [f"{remote}?uuid={identities[1]}", file_uri(path, identities[0])]

    create(engines[0], children(), volume)
    for engine in engines:
        engine.kill(signal.SIGKILL)
    with open(path, "r+b") as disk:  # what only this copy holds
        disk.seek(PLACE)
        disk.write(b"\x5a" * 4096)
    for engine in engines:
        engine.start()
    made = create(engines[0], children(), volume)
    assert made.children[1].state == np.CHILD_STATE_ONLINE
    wait_online(engines[0], volume)
    assert record_of(engines[0])["children"][0]["cache_id"]
    engines[0].stop()
    with open(path, "rb") as disk:
        disk.seek(PLACE)
        assert disk.read(4096) == b"\x5a" * 4096


def test_file_that_shrank_is_refused_until_it_is_as_large_as_before(engine, tmp_path):
    volume, identities = str(uuid.uuid4()), [str(uuid.uuid4()) for _ in range(2)]
    paths = [disk_file(tmp_path, f"disk-{i}") for i in (1, 2)]
    children = [file_uri(path, identity) for path, identity in zip(paths, identities)]
    create(engine, children, volume)
    record = record_of(engine)
    assert (record["block_count"], record["block_bytes"]) == (SIZE // 512 - 1, 512)
    for path in paths:  # the one that would be believed, and the one that would not
        engine.kill(signal.SIGKILL)
        with open(path, "r+b") as disk:
            disk.truncate(SIZE + MIB)
        engine.start()
        code, text = error_of(lambda: create(engine, children, volume))
        assert code == grpc.StatusCode.INVALID_ARGUMENT
        assert str(path) in text and f"{(SIZE + MIB) // 512} blocks" in text
        assert "are needed" in text
        assert not engine.bdev.List(pb.bdev.ListBdevOptions()).bdevs
        with open(path, "r+b") as disk:
            disk.truncate(40 * MIB)
        create(engine, children, volume)
        wait_online(engine, volume)
        assert record_of(engine)["block_count"] == SIZE // 512 - 1


def test_small_copy_is_not_added(engine, tmp_path):
    volume = str(uuid.uuid4())
    create(engine, [file_uri(disk_file(tmp_path, "disk"), uuid.uuid4())], volume)
    small = disk_file(tmp_path, "small", SIZE + MIB)
    code, text = error_of(lambda: engine.nexus.AddChildNexus(np.AddChildNexusRequest(
        uuid=volume, uri=file_uri(small, uuid.uuid4()))))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert str(small) in text and f"{(SIZE + MIB) // 512} blocks" in text
    assert len(engine.nexus_get(volume).children) == 1


def test_size_of_a_resize_survives_a_kill_though_the_request_is_older(engine, tmp_path):
    volume, path, identity = str(uuid.uuid4()), disk_file(tmp_path, "disk"), uuid.uuid4()
    create(engine, [file_uri(path, identity)], volume)
    engine.nexus.ResizeNexus(np.ResizeNexusRequest(uuid=volume, requested_size=SIZE + 2 * MIB))
    grown = (SIZE + 2 * MIB) // 512 - 1
    assert record_of(engine)["block_count"] == grown
    engine.kill(signal.SIGKILL)
    engine.start()
    assert create(engine, [file_uri(path, identity)], volume).size == SIZE + 2 * MIB
    assert record_of(engine)["block_count"] == grown
    assert "keeps what they have seen" in engine.text()


def test_state_comes_with_its_reason_and_the_way_out(engine):
    volume = str(uuid.uuid4())
    made = create(engine, [f"malloc:///d{i}?size_mb=40&uuid={uuid.uuid4()}" for i in (1, 2)],
                  volume)
    assert made.state_reason == ""
    engine.nexus.ChildOperation(np.ChildOperationRequest(
        nexus_uuid=volume, uri=made.children[1].uri, action=np.Offline))
    assert "bring it online or replace it" in engine.nexus_get(volume).state_reason
    engine.nexus.ShutdownNexus(np.ShutdownNexusRequest(uuid=volume))
    assert "destroy it or create it anew" in engine.nexus_get(volume).state_reason
