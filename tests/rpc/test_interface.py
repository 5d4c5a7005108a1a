# SPDX-License-Identifier: Apache-2.0
"""The interface files: names and paths that clients of other makes rely on."""

import pytest
from stubs import load

SERVICES = {
    "bdev.BdevRpc": "Create Destroy List Share Unshare",
    "host.HostRpc": "GetMayastorInfo ListBlockDevices GetMayastorResourceUsage "
                    "ListNvmeControllers StatNvmeController",
    "json.JsonRpc": "JsonRpcCall",
    "nexus.NexusRpc": "CreateNexus DestroyNexus ResizeNexus ListNexus AddChildNexus "
                      "RemoveChildNexus FaultNexusChild ShutdownNexus PublishNexus "
                      "UnpublishNexus GetNvmeAnaState SetNvmeAnaState ChildOperation "
                      "StartRebuild StopRebuild PauseRebuild ResumeRebuild GetRebuildState "
                      "GetRebuildStats GetRebuildHistory ListRebuildHistory",
    "pool.PoolRpc": "CreatePool DestroyPool ExportPool ImportPool ListPools GrowPool "
                    "GrowPoolV2 ClearErrors",
    "replica.ReplicaRpc": "CreateReplica DestroyReplica ListReplicas ShareReplica "
                          "UnshareReplica ResizeReplica SetReplicaEntityId",
    "snapshot.SnapshotRpc": "CreateReplicaSnapshot CreateNexusSnapshot ListSnapshot "
                            "DestroySnapshot CreateSnapshotClone ListSnapshotClone",
    "snapshot_rebuild.SnapshotRebuildRpc": "CreateSnapshotRebuild ListSnapshotRebuild "
                                           "DestroySnapshotRebuild",
    "stats.StatsRpc": "GetPoolIoStats GetNexusIoStats GetReplicaIoStats ResetIoStats",
    "test.TestRpc": "GetFeatures WipeReplica AddFaultInjection RemoveFaultInjection "
                    "ListFaultInjections",
    "registration.Registration": "Register Deregister",
}


@pytest.fixture(scope="module")
def pb():
    return load()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_its_methods(pb, name):
    file, service = name.split(".")
    described = getattr(pb, file).DESCRIPTOR.services_by_name[service]
    assert described.full_name == "mayastor.v1." + service
    assert [m.name for m in described.methods] == SERVICES[name].split()


def test_services_of_this_engine_alone_have_a_package_of_their_own(pb):
    described = pb.diagnostics.DESCRIPTOR.services_by_name["Diagnostics"]
    assert described.full_name == "mayastor_c.v1.Diagnostics"
    assert [m.name for m in described.methods] == ["GetReactorStats"]


def test_optional_fields_have_presence_and_others_have_not(pb):
    request = pb.pool.CreatePoolRequest(cluster_size=0)
    assert request.HasField("cluster_size")
    assert request.SerializeToString() == b"\x28\x00"
    with pytest.raises(ValueError):
        request.HasField("name")
    assert not pb.nexus.CreateNexusRequest().HasField("resvType")


def test_numbers_that_are_easily_mistaken(pb):
    fields = pb.bdev.Bdev.DESCRIPTOR.fields_by_name
    assert fields["num_blocks"].number == 3 and fields["blk_size"].number == 5
    assert pb.nexus.NVME_ANA_CHANGE_STATE == 15
    assert pb.nexus.Child.DESCRIPTOR.fields_by_name["rebuild_progress"].type == 5  # int32
    histories = pb.nexus.ListRebuildHistoryResponse()
    histories.histories["u"].name = "n"
    assert histories.SerializeToString() == b"\x0a\x08\x0a\x01u\x12\x03\x1a\x01n"
