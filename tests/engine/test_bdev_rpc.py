# SPDX-License-Identifier: Apache-2.0
"""BdevRpc and HostRpc of a real engine, called by grpcio."""

import socket

import grpc
import pytest

from engines import BUILD, NQN_PREFIX, error_of, pb

MALLOC = "malloc:///disk0?size_mb=32&uuid=f3a1a5e0-5a5c-4b8e-9d3d-000000000001"


def create(engine, uri):
    return error_of(lambda: engine.create_bdev(uri))


def test_created_device_is_listed_with_its_geometry(engine):
    made = engine.create_bdev(MALLOC)
    assert (made.name, made.num_blocks, made.blk_size) == ("disk0", 32 * 2048, 512)
    assert made.uuid == "f3a1a5e0-5a5c-4b8e-9d3d-000000000001"
    listed = engine.bdev.List(pb.bdev.ListBdevOptions()).bdevs
    assert [b.name for b in listed] == ["disk0"]
    assert not engine.bdev.List(pb.bdev.ListBdevOptions(name={"value": "x"})).bdevs


@pytest.mark.parametrize("uri, code, named", [
    ("", grpc.StatusCode.INVALID_ARGUMENT, ""),
    ("nonsense", grpc.StatusCode.INVALID_ARGUMENT, "nonsense"),
    ("ftp:///x", grpc.StatusCode.INVALID_ARGUMENT, "ftp"),
    ("malloc:///a", grpc.StatusCode.INVALID_ARGUMENT, "size_mb"),
    ("malloc:///a?size_mb=1&num_blocks=3", grpc.StatusCode.INVALID_ARGUMENT, "num_blocks"),
    ("malloc:///a?size_mb=x", grpc.StatusCode.INVALID_ARGUMENT, "size_mb"),
    ("malloc:///a?size_mb=1&blk_size=513", grpc.StatusCode.INVALID_ARGUMENT, "blk_size"),
    ("malloc:///a?size_mb=1&uuid=zz", grpc.StatusCode.INVALID_ARGUMENT, "uuid"),
    ("malloc:///a?size_mb=1&color=red", grpc.StatusCode.INVALID_ARGUMENT, "color"),
    ("malloc:///a?size_mb=99999999999999", grpc.StatusCode.INVALID_ARGUMENT, "size"),
    ("aio:///nonexistent/file", grpc.StatusCode.NOT_FOUND, "/nonexistent/file"),
    ("/nonexistent/file", grpc.StatusCode.NOT_FOUND, "/nonexistent/file"),
    ("bdev:///unknown", grpc.StatusCode.NOT_FOUND, "unknown"),
    ("pcie:///0000:01:00.0", grpc.StatusCode.INVALID_ARGUMENT, "not supported"),
    ("nvmf+tcp://127.0.0.1:1/nqn.2019-05.io.openebs:x", grpc.StatusCode.INVALID_ARGUMENT, ""),
    pytest.param("x" * 5000, grpc.StatusCode.INVALID_ARGUMENT, "", id="endless"),
])
def test_wrong_device_uri_is_refused_with_object_and_rule(engine, uri, code, named):
    assert create(engine, uri)[0] == code
    assert named in create(engine, uri)[1]


def test_second_device_of_a_name_is_refused(engine):
    engine.create_bdev(MALLOC)
    assert create(engine, "malloc:///disk0?size_mb=1")[0] == grpc.StatusCode.ALREADY_EXISTS


def test_file_too_small_for_a_block_is_refused(engine, tmp_path):
    (tmp_path / "small").write_bytes(b"x" * 100)
    assert create(engine, f"aio://{tmp_path}/small")[0] == grpc.StatusCode.INVALID_ARGUMENT


def test_shared_device_has_an_address_and_unsharing_repeats(engine):
    engine.create_bdev(MALLOC)
    shared = engine.share_bdev("disk0")
    assert shared.share_uri == f"nvmf+tcp://127.0.0.1:{engine.port}/{NQN_PREFIX}disk0"
    assert engine.share_bdev("disk0").share_uri == shared.share_uri
    for _ in range(2):
        engine.bdev.Unshare(pb.bdev.BdevUnshareRequest(name="disk0"))
    engine.bdev.Destroy(pb.bdev.DestroyBdevRequest(uri=MALLOC))
    assert not engine.bdev.List(pb.bdev.ListBdevOptions()).bdevs


def test_sharing_refuses_other_protocols_and_unknown_devices(engine):
    engine.create_bdev(MALLOC)
    for protocol in (pb.common.NONE, pb.common.ISCSI):
        code, _ = error_of(lambda p=protocol: engine.bdev.Share(
            pb.bdev.BdevShareRequest(name="disk0", protocol=p)))
        assert code == grpc.StatusCode.INVALID_ARGUMENT
    code, text = error_of(lambda: engine.share_bdev("nobody"))
    assert code == grpc.StatusCode.NOT_FOUND and "nobody" in text


def test_used_device_is_not_destroyed(engine):
    engine.create_bdev(MALLOC)
    engine.share_bdev("disk0")
    code, text = error_of(lambda: engine.bdev.Destroy(
        pb.bdev.DestroyBdevRequest(uri=MALLOC)))
    assert code == grpc.StatusCode.FAILED_PRECONDITION and "disk0" in text


def test_unknown_device_is_not_found(engine):
    code, _ = error_of(lambda: engine.bdev.Destroy(
        pb.bdev.DestroyBdevRequest(uri="malloc:///none?size_mb=1")))
    assert code == grpc.StatusCode.NOT_FOUND


def test_malformed_allowed_host_is_refused(engine):
    engine.create_bdev(MALLOC)
    code, _ = error_of(lambda: engine.share_bdev("disk0", ["x" * 300]))
    assert code == grpc.StatusCode.INVALID_ARGUMENT


def test_engine_tells_who_it_is(engine):
    info = engine.host.GetMayastorInfo(pb.empty.Empty())
    registration = info.registration_info
    assert registration.id == "node-1"
    assert registration.grpc_endpoint == f"127.0.0.1:{engine.grpc_port}"
    assert registration.hostnqn.value == NQN_PREFIX + "node-name:node-1"
    assert list(registration.api_version) == [pb.registration.V1]
    assert engine.host.GetMayastorResourceUsage(pb.empty.Empty()).usage.vol_csw > 0


def test_block_devices_of_the_machine_are_listed(engine):
    devices = engine.host.ListBlockDevices(pb.host.ListBlockDevicesRequest(all=True)).devices
    with open("/proc/partitions", encoding="ascii") as table:
        wanted = {line.split()[3] for line in table.read().splitlines()[2:]}
    assert wanted <= {d.devname.removeprefix("/dev/") for d in devices}
    free = engine.host.ListBlockDevices(pb.host.ListBlockDevicesRequest(all=False)).devices
    assert all(d.available and not d.filesystem.fstype for d in free)


def test_remote_device_is_a_controller(make_engine):
    remote = make_engine("node-2")
    local = make_engine("node-1")
    remote.create_bdev(MALLOC)
    uri = remote.share_bdev("disk0").share_uri
    made = local.create_bdev(uri)
    assert made.num_blocks == 32 * 2048
    controllers = local.host.ListNvmeControllers(pb.empty.Empty()).controllers
    assert [(c.name, c.state) for c in controllers] == [(made.name, pb.host.RUNNING)]
    local.host.StatNvmeController(pb.host.StatNvmeControllerRequest(name=made.name))
    code, _ = error_of(lambda: local.host.StatNvmeController(
        pb.host.StatNvmeControllerRequest(name="none")))
    assert code == grpc.StatusCode.NOT_FOUND


def test_remote_device_over_ipv6(make_engine):
    remote = make_engine("node-2", address="::1")
    local = make_engine("node-1", address="::1")
    remote.create_bdev(MALLOC)
    uri = remote.share_bdev("disk0").share_uri
    assert uri.startswith(f"nvmf+tcp://[::1]:{remote.port}/")
    assert local.create_bdev(uri).num_blocks == 32 * 2048


def test_engine_on_several_cores_serves_and_stops(make_engine):
    engine = make_engine("node-1", options=["-l", "0,1"])
    for i in range(4):
        engine.create_bdev(f"malloc:///disk{i}?size_mb=8")
        engine.share_bdev(f"disk{i}")
    peer = make_engine("node-2", options=["-l", "0,1"])
    for i in range(4):
        peer.create_bdev(f"nvmf+tcp://127.0.0.1:{engine.port}/{NQN_PREFIX}disk{i}")
    assert peer.stop() == 0
    assert engine.stop() == 0


def test_remote_device_with_another_uuid_is_refused(make_engine):
    remote = make_engine("node-2")
    remote.create_bdev(MALLOC)
    uri = remote.share_bdev("disk0").share_uri
    wrong = uri + "?uuid=f3a1a5e0-5a5c-4b8e-9d3d-0000000000ff"
    code, text = create(make_engine("node-1"), wrong)
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "uuid" in text


def test_services_that_are_not_served_say_so(engine):
    pools = pb.pool.PoolRpcStub(engine.channel)
    code, text = error_of(lambda: pools.ListPools(pb.pool.ListPoolOptions()))
    assert code == grpc.StatusCode.UNIMPLEMENTED and "PoolRpc" in text


def test_taken_port_ends_the_start_with_the_way_out(tmp_path):
    import subprocess
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run([BUILD / "src/engine/io-engine", "--grpc-ip", "127.0.0.1",
                               "--grpc-port", str(port), "--tgt-port", "0", "--tgt-second-port",
                               "0", "--state-dir", tmp_path / "s"], capture_output=True,
                              text=True, timeout=20)
    assert done.returncode == 1
    assert str(port) in done.stderr and "--grpc-port" in done.stderr


def test_port_that_becomes_free_is_waited_for(tmp_path):
    import subprocess
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        child = subprocess.Popen([BUILD / "src/engine/io-engine", "--grpc-ip", "127.0.0.1",
                                  "--grpc-port", str(port), "--tgt-port", "0",
                                  "--tgt-second-port", "0", "--state-dir", tmp_path / "s"],
                                 stderr=subprocess.PIPE, text=True)
        seen = []
        for line in child.stderr:
            seen.append(line)
            if "waiting up to" in line:
                break
    try:
        for line in child.stderr:
            seen.append(line)
            if "serving: node" in line:
                break
        assert "serving: node" in seen[-1], "".join(seen)
        child.terminate()
        assert child.wait(20) == 0
    finally:
        child.kill()
        child.stderr.close()


def test_orderly_stop_ends_with_zero(engine):
    engine.create_bdev(MALLOC)
    engine.share_bdev("disk0")
    assert engine.stop() == 0
