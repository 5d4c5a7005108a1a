# SPDX-License-Identifier: Apache-2.0
"""NexusRpc of real engines: the states, refusals and repeats that its users rely on."""

import signal
import uuid

import grpc
import pytest

from engines import NQN_PREFIX, error_of, pb, wait_until

np = pb.nexus
MIB = 1 << 20
SIZE = 32 * MIB


def new_uuid():
    return str(uuid.uuid4())


def malloc_uri(name, size_mb=40, identity=None):
    return f"malloc:///{name}?size_mb={size_mb}&uuid={identity or new_uuid()}"


def create_request(children, **changes):
    fields = {"name": "vol", "uuid": new_uuid(), "size": SIZE, "minCntlId": 1, "maxCntlId": 2,
              "children": children, **changes}
    return np.CreateNexusRequest(**fields)


@pytest.fixture
def nexus(engine):
    """A mirror over three memory devices of one engine."""
    made = engine.nexus.CreateNexus(create_request([malloc_uri(f"d{i}") for i in range(3)])).nexus
    return made


@pytest.fixture
def spread(make_engine):
    """Three engines; the first has a mirror over a device of each."""
    engines = [make_engine(f"node-{i}") for i in (1, 2, 3)]
    children = []
    for index, engine in enumerate(engines):
        identity = new_uuid()
        engine.create_bdev(malloc_uri("disk", identity=identity))
        if index == 0:
            children.append(f"bdev:///disk?uuid={identity}")
        else:
            children.append(engine.share_bdev("disk").share_uri + f"?uuid={identity}")
    made = engines[0].nexus.CreateNexus(create_request(children)).nexus
    return engines, made


def test_created_nexus_is_online_with_all_children(engine, nexus):
    assert nexus.state == np.NEXUS_ONLINE
    assert [c.state for c in nexus.children] == [np.CHILD_STATE_ONLINE] * 3
    assert all(c.rebuild_progress == -1 for c in nexus.children)
    assert nexus.size == SIZE and nexus.device_uri == ""
    assert nexus.ana_state == np.NVME_ANA_INVALID_STATE
    listed = engine.nexus_get(nexus.uuid)
    assert listed == nexus


def test_listing_knows_names_and_uuids(engine, nexus):
    by_name = np.ListNexusOptions()
    by_name.name.value = "vol"
    assert len(engine.nexus.ListNexus(by_name).nexus_list) == 1
    by_name.name.value = "other"
    assert not engine.nexus.ListNexus(by_name).nexus_list
    code, _ = error_of(lambda: engine.nexus_list(new_uuid()))
    assert code == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("changes, code, named", [
    ({"uuid": "x"}, grpc.StatusCode.INVALID_ARGUMENT, "x"),
    ({"uuid": ""}, grpc.StatusCode.INVALID_ARGUMENT, "uuid"),
    ({"name": ""}, grpc.StatusCode.INVALID_ARGUMENT, "name"),
    ({"name": "n" * 600}, grpc.StatusCode.INVALID_ARGUMENT, "name"),
    ({"children": []}, grpc.StatusCode.INVALID_ARGUMENT, "children"),
    ({"children": ["malloc:///x?size_mb=40"] * 40}, grpc.StatusCode.INVALID_ARGUMENT, "40"),
    ({"minCntlId": 0}, grpc.StatusCode.INVALID_ARGUMENT, "controller"),
    ({"minCntlId": 3}, grpc.StatusCode.INVALID_ARGUMENT, "controller"),
    ({"maxCntlId": 65520}, grpc.StatusCode.INVALID_ARGUMENT, "controller"),
    ({"resvType": 9}, grpc.StatusCode.INVALID_ARGUMENT, "reservation"),
    ({"children": ["aio:///none"]}, grpc.StatusCode.INVALID_ARGUMENT, "none"),
    ({"children": ["what://x"]}, grpc.StatusCode.INVALID_ARGUMENT, "what"),
    ({"children": ["malloc:///a?size_mb=40&blk_size=512",
                   "malloc:///b?size_mb=40&blk_size=4096"]},
     grpc.StatusCode.INVALID_ARGUMENT, ""),
    ({"children": ["malloc:///a?size_mb=4"]}, grpc.StatusCode.INVALID_ARGUMENT, ""),
    ({"children": ["malloc:///a?size_mb=40"] * 2}, grpc.StatusCode.INVALID_ARGUMENT, ""),
    ({"size": 0}, grpc.StatusCode.INVALID_ARGUMENT, ""),
    ({"nexusInfoKey": "k" * 600}, grpc.StatusCode.INVALID_ARGUMENT, "nexusInfoKey"),
])
def test_wrong_create_request_is_refused_and_leaves_nothing(engine, changes, code, named):
    fields = {"children": ["malloc:///good?size_mb=40"], **changes}
    got, text = error_of(lambda: engine.nexus.CreateNexus(create_request(**fields)))
    assert (got, named in text) == (code, True), text
    assert not engine.nexus_list()
    assert not engine.bdev.List(pb.bdev.ListBdevOptions()).bdevs


def test_size_beyond_a_child_is_refused(engine):
    code, _ = error_of(lambda: engine.nexus.CreateNexus(
        create_request([malloc_uri("a")], size=41 * MIB)))
    assert code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL)


def test_names_and_uuids_are_taken_once(engine, nexus):
    code, _ = error_of(lambda: engine.nexus.CreateNexus(create_request([malloc_uri("x")])))
    assert code == grpc.StatusCode.ALREADY_EXISTS
    code, _ = error_of(lambda: engine.nexus.CreateNexus(
        create_request([malloc_uri("x")], name="other", uuid=nexus.uuid)))
    assert code == grpc.StatusCode.INTERNAL


def publish(engine, uuid_, **fields):
    fields.setdefault("share", pb.common.NVMF)
    return engine.nexus.PublishNexus(np.PublishNexusRequest(uuid=uuid_, **fields)).nexus


def test_publishing_repeats_and_replaces_allowed_hosts(engine, nexus):
    host = NQN_PREFIX + "node-name:a"
    made = publish(engine, nexus.uuid, allowed_hosts=[host])
    assert made.device_uri == f"nvmf+tcp://127.0.0.1:{engine.port}/{NQN_PREFIX}vol"
    assert list(made.allowed_hosts) == [host]
    assert made.ana_state == np.NVME_ANA_OPTIMIZED_STATE
    assert not publish(engine, nexus.uuid).allowed_hosts
    for _ in range(2):
        gone = engine.nexus.UnpublishNexus(np.UnpublishNexusRequest(uuid=nexus.uuid)).nexus
        assert gone.device_uri == ""


@pytest.mark.parametrize("fields", [
    {"share": 0}, {"share": 2}, {"share": 7}, {"key": "short"}, {"key": "x" * 17}])
def test_wrong_publish_request_is_refused(engine, nexus, fields):
    code, _ = error_of(lambda: publish(engine, nexus.uuid, **fields))
    assert code == grpc.StatusCode.INVALID_ARGUMENT


def test_ana_state_is_set_while_published_only(engine, nexus):
    def set_state(state):
        return engine.nexus.SetNvmeAnaState(
            np.SetNvmeAnaStateRequest(uuid=nexus.uuid, ana_state=state)).nexus.ana_state

    code, _ = error_of(lambda: set_state(np.NVME_ANA_INACCESSIBLE_STATE))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    publish(engine, nexus.uuid)
    for state in (np.NVME_ANA_INACCESSIBLE_STATE, np.NVME_ANA_NON_OPTIMIZED_STATE,
                  np.NVME_ANA_NON_OPTIMIZED_STATE, np.NVME_ANA_OPTIMIZED_STATE):
        assert set_state(state) == state
        assert engine.nexus.GetNvmeAnaState(
            np.GetNvmeAnaStateRequest(uuid=nexus.uuid)).ana_state == state
    for state in (0, 4, 15, 99):
        assert error_of(lambda s=state: set_state(s))[0] == grpc.StatusCode.INTERNAL


@pytest.mark.parametrize("call, request_type", [
    ("DestroyNexus", np.DestroyNexusRequest), ("ShutdownNexus", np.ShutdownNexusRequest),
    ("PublishNexus", np.PublishNexusRequest), ("UnpublishNexus", np.UnpublishNexusRequest),
    ("AddChildNexus", np.AddChildNexusRequest), ("RemoveChildNexus", np.RemoveChildNexusRequest),
    ("FaultNexusChild", np.FaultNexusChildRequest), ("ResizeNexus", np.ResizeNexusRequest),
    ("GetNvmeAnaState", np.GetNvmeAnaStateRequest),
    ("SetNvmeAnaState", np.SetNvmeAnaStateRequest),
    ("GetRebuildHistory", np.RebuildHistoryRequest)])
@pytest.mark.parametrize("name", ["", "nonsense", "f3a1a5e0-5a5c-4b8e-9d3d-000000000009"])
def test_unknown_nexus_is_not_found(engine, call, request_type, name):
    code, _ = error_of(lambda: getattr(engine.nexus, call)(request_type(uuid=name)))
    assert code == grpc.StatusCode.NOT_FOUND


def test_child_that_is_added_is_rebuilt(engine, nexus):
    uri = malloc_uri("fresh")
    added = engine.nexus.AddChildNexus(np.AddChildNexusRequest(uuid=nexus.uuid, uri=uri)).nexus
    assert len(added.children) == 4
    wait_until(lambda: engine.nexus_get(nexus.uuid).children[3].state == np.CHILD_STATE_ONLINE,
               what="the rebuild")
    history = engine.nexus.GetRebuildHistory(np.RebuildHistoryRequest(uuid=nexus.uuid)).records
    assert [h.child_uri for h in history] == [uri]
    assert history[0].state == np.Completed and not history[0].is_partial
    assert history[0].blocks_recovered == history[0].blocks_total
    assert history[0].blocks_remaining == 0
    all_histories = engine.nexus.ListRebuildHistory(np.ListRebuildHistoryRequest())
    assert list(all_histories.histories[nexus.uuid].records) == list(history)
    code, _ = error_of(lambda: engine.nexus.AddChildNexus(
        np.AddChildNexusRequest(uuid=nexus.uuid, uri=uri)))
    assert code == grpc.StatusCode.ALREADY_EXISTS


def test_child_added_without_rebuild_waits_for_one(engine, nexus):
    uri = malloc_uri("fresh")
    added = engine.nexus.AddChildNexus(
        np.AddChildNexusRequest(uuid=nexus.uuid, uri=uri, norebuild=True)).nexus
    child = added.children[3]
    assert (child.state, child.state_reason) == (np.CHILD_STATE_DEGRADED,
                                                 np.CHILD_STATE_REASON_OUT_OF_SYNC)
    code, _ = error_of(lambda: engine.nexus.GetRebuildState(
        np.RebuildStateRequest(nexus_uuid=nexus.uuid, uri=uri)))
    assert code == grpc.StatusCode.NOT_FOUND
    engine.nexus.StopRebuild(np.StopRebuildRequest(nexus_uuid=nexus.uuid, uri=uri))
    engine.nexus.StartRebuild(np.StartRebuildRequest(nexus_uuid=nexus.uuid, uri=uri))
    wait_until(lambda: engine.nexus_get(nexus.uuid).state == np.NEXUS_ONLINE, what="the rebuild")


@pytest.mark.parametrize("uri", ["malloc:///small?size_mb=8", "malloc:///big?size_mb=40"
                                 "&blk_size=4096", "aio:///none", "x"])
def test_unfit_child_is_refused_and_not_kept(engine, nexus, uri):
    code, _ = error_of(lambda: engine.nexus.AddChildNexus(
        np.AddChildNexusRequest(uuid=nexus.uuid, uri=uri)))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert len(engine.nexus_get(nexus.uuid).children) == 3
    assert len(engine.bdev.List(pb.bdev.ListBdevOptions()).bdevs) == 4


def test_last_healthy_child_stays(engine, nexus):
    def remove(uri):
        return engine.nexus.RemoveChildNexus(
            np.RemoveChildNexusRequest(uuid=nexus.uuid, uri=uri)).nexus

    assert len(remove("malloc:///unknown?size_mb=1").children) == 3
    assert len(remove(nexus.children[0].uri).children) == 2
    faulted = engine.nexus.FaultNexusChild(np.FaultNexusChildRequest(
        uuid=nexus.uuid, uri=nexus.children[1].uri)).nexus
    assert faulted.state == np.NEXUS_DEGRADED
    assert faulted.children[0].state == np.CHILD_STATE_FAULTED
    for call in (lambda: remove(nexus.children[2].uri),
                 lambda: engine.nexus.FaultNexusChild(np.FaultNexusChildRequest(
                     uuid=nexus.uuid, uri=nexus.children[2].uri)),
                 lambda: engine.nexus.ChildOperation(np.ChildOperationRequest(
                     nexus_uuid=nexus.uuid, uri=nexus.children[2].uri, action=np.Offline))):
        assert error_of(call)[0] == grpc.StatusCode.FAILED_PRECONDITION


def test_child_goes_offline_and_comes_back_by_a_partial_rebuild(engine, nexus):
    def act(action, uri=nexus.children[1].uri):
        return engine.nexus.ChildOperation(np.ChildOperationRequest(
            nexus_uuid=nexus.uuid, uri=uri, action=action)).nexus

    child = act(np.Offline).children[1]
    assert (child.state, child.state_reason) == (np.CHILD_STATE_DEGRADED,
                                                 np.CHILD_STATE_REASON_BY_CLIENT)
    assert child.has_io_log
    act(np.Online)
    wait_until(lambda: engine.nexus_get(nexus.uuid).state == np.NEXUS_ONLINE, what="the rebuild")
    history = engine.nexus.GetRebuildHistory(np.RebuildHistoryRequest(uuid=nexus.uuid)).records
    assert history[0].is_partial
    assert error_of(lambda: act(9))[0] == grpc.StatusCode.INVALID_ARGUMENT
    assert error_of(lambda: act(np.Offline, "malloc:///unknown?size_mb=1"))[0] == \
        grpc.StatusCode.NOT_FOUND


def test_permanently_offline_child_does_not_come_back(engine, nexus):
    uri = nexus.children[1].uri
    child = engine.nexus.ChildOperation(np.ChildOperationRequest(
        nexus_uuid=nexus.uuid, uri=uri, action=np.OfflinePermanent)).nexus.children[1]
    assert (child.state, child.state_reason) == (np.CHILD_STATE_FAULTED,
                                                 np.CHILD_STATE_REASON_BY_CLIENT)
    code, _ = error_of(lambda: engine.nexus.ChildOperation(np.ChildOperationRequest(
        nexus_uuid=nexus.uuid, uri=uri, action=np.Online)))
    assert code == grpc.StatusCode.INTERNAL


def test_nexus_only_grows_and_only_within_its_children(engine, nexus):
    def resize(size):
        return engine.nexus.ResizeNexus(np.ResizeNexusRequest(
            uuid=nexus.uuid, requested_size=size)).nexus

    assert resize(SIZE).size == SIZE
    assert resize(SIZE + 4 * MIB).size == SIZE + 4 * MIB
    for size in (SIZE, 400 * MIB):
        assert error_of(lambda s=size: resize(s))[0] == grpc.StatusCode.FAILED_PRECONDITION


def test_shut_down_nexus_refuses_changes_and_can_be_destroyed(engine, nexus):
    for _ in range(2):
        down = engine.nexus.ShutdownNexus(np.ShutdownNexusRequest(uuid=nexus.uuid)).nexus
        assert down.state == np.NEXUS_SHUTDOWN
    code, _ = error_of(lambda: engine.nexus.AddChildNexus(np.AddChildNexusRequest(
        uuid=nexus.uuid, uri=malloc_uri("fresh"))))
    assert code == grpc.StatusCode.FAILED_PRECONDITION
    engine.nexus.DestroyNexus(np.DestroyNexusRequest(uuid=nexus.uuid))
    assert not engine.nexus_list()


def test_destroying_a_published_nexus_leaves_nothing(engine, nexus):
    publish(engine, nexus.uuid)
    engine.nexus.DestroyNexus(np.DestroyNexusRequest(uuid=nexus.uuid))
    assert not engine.bdev.List(pb.bdev.ListBdevOptions()).bdevs
    code, _ = error_of(lambda: engine.nexus.DestroyNexus(np.DestroyNexusRequest(
        uuid=nexus.uuid)))
    assert code == grpc.StatusCode.NOT_FOUND


def test_nexus_is_no_plain_device(engine, nexus):
    code, text = error_of(lambda: engine.bdev.Destroy(pb.bdev.DestroyBdevRequest(uri="vol")))
    assert code == grpc.StatusCode.FAILED_PRECONDITION and "DestroyNexus" in text


def test_killed_engine_is_noticed_and_its_child_comes_back(spread):
    engines, nexus = spread
    ports = engines[1].grpc_port, engines[1].port
    identity = nexus.children[1].uri.split("uuid=")[1]
    engines[1].kill(signal.SIGKILL)
    lost = wait_until(lambda: [c for c in engines[0].nexus_get(nexus.uuid).children
                               if c.state == np.CHILD_STATE_FAULTED], timeout=60,
                      what="the loss of the child")
    assert lost[0].uri == nexus.children[1].uri
    assert engines[0].nexus_get(nexus.uuid).state == np.NEXUS_DEGRADED
    engines[1].start()
    assert (engines[1].grpc_port, engines[1].port) == ports
    engines[1].create_bdev(malloc_uri("disk", identity=identity))
    engines[1].share_bdev("disk")
    engines[0].nexus.RemoveChildNexus(np.RemoveChildNexusRequest(
        uuid=nexus.uuid, uri=lost[0].uri))
    engines[0].nexus.AddChildNexus(np.AddChildNexusRequest(uuid=nexus.uuid, uri=lost[0].uri))
    wait_until(lambda: engines[0].nexus_get(nexus.uuid).state == np.NEXUS_ONLINE,
               what="the rebuild")


def test_copy_that_was_lost_is_not_trusted_after_a_crash_of_its_nexus(spread):
    engines, nexus = spread
    engines[0].nexus.FaultNexusChild(np.FaultNexusChildRequest(
        uuid=nexus.uuid, uri=nexus.children[2].uri))
    engines[0].kill(signal.SIGKILL)
    engines[0].start()
    first = nexus.children[0].uri.split("uuid=")[1]
    engines[0].create_bdev(malloc_uri("disk", identity=first))
    made = engines[0].nexus.CreateNexus(create_request(
        [c.uri for c in nexus.children], uuid=nexus.uuid)).nexus
    states = {c.uri: c.state for c in made.children}
    assert states[nexus.children[2].uri] != np.CHILD_STATE_ONLINE


def test_damaged_record_refuses_the_nexus(engine, nexus):
    engine.kill(signal.SIGKILL)
    records = list((engine.folder / "state" / "records").glob("*.record"))
    assert len(records) == 1
    data = bytearray(records[0].read_bytes())
    for at in range(24, len(data), 8192):
        data[at] ^= 1
    records[0].write_bytes(data)
    engine.start()
    # Both slots are invalid: this file once had a record and must not be taken for none.
    code, text = error_of(lambda: engine.nexus.CreateNexus(
        create_request([malloc_uri("d9")], uuid=nexus.uuid)))
    assert code == grpc.StatusCode.INTERNAL and "record" in text
