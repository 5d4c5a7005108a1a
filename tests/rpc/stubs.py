# SPDX-License-Identifier: Apache-2.0
"""Python messages and service stubs of the engine's interface, made from proto/ when asked for.

They are never committed. Use:

    from stubs import load
    pb = load()
    channel = grpc.insecure_channel("127.0.0.1:10124")
    pools = pb.pool.PoolRpcStub(channel).ListPools(pb.pool.ListPoolOptions())

load() compiles proto/mayastor*/v1/*.proto with protoc into a directory below the system's temporary
one (or MAYASTOR_STUBS_DIR), once per content of the files, and imports the result. Each file
becomes an attribute: pb.nexus, pb.pool, pb.snapshot_rebuild ... with its messages and enum values
and, for a service Foo, FooStub(channel) to call it and add_Foo(server, servicer) to serve it with
an object that has its methods. pb.empty, pb.wrappers, pb.timestamp and pb.duration are the
well-known types. load_file(path) does the same for one other .proto file.

Needs protoc (protobuf-compiler), python3-protobuf and python3-grpcio of the system.
"""

import hashlib
import importlib
import os
import pathlib
import subprocess
import sys
import tempfile
import types

import grpc
from google.protobuf import descriptor_pb2

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PROTO_ROOT = REPOSITORY / "proto"


def _digest(paths):
    digest = hashlib.sha256()
    for path in paths:
        digest.update(str(path).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _compile(root, names, digest):
    """Generates Python below a directory named by the content; returns that directory."""
    base = pathlib.Path(os.environ.get("MAYASTOR_STUBS_DIR") or
                        pathlib.Path(tempfile.gettempdir()) / f"mayastor-stubs-{os.getuid()}")
    out = base / digest
    if out.exists():
        return out
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch = pathlib.Path(tempfile.mkdtemp(dir=base))
    subprocess.run(["protoc", f"-I{root}", f"--python_out={scratch}", *names], check=True)
    try:
        scratch.rename(out)
    except OSError:
        if not out.exists():  # else somebody else was faster
            raise
    return out


def _stub(service):
    """A class whose instances have the service's methods as callables on a channel."""
    described = descriptor_pb2.ServiceDescriptorProto()
    service.CopyToProto(described)

    def bind(self, channel):
        for method, facts in zip(service.methods, described.method):
            make = channel.unary_stream if facts.server_streaming else channel.unary_unary
            call = make(f"/{service.full_name}/{method.name}",
                        request_serializer=method.input_type._concrete_class.SerializeToString,
                        response_deserializer=method.output_type._concrete_class.FromString)
            setattr(self, method.name, call)

    return type(service.name + "Stub", (), {"__init__": bind})


def _adder(service):
    described = descriptor_pb2.ServiceDescriptorProto()
    service.CopyToProto(described)

    def add(server, servicer):
        handlers = {}
        for method, facts in zip(service.methods, described.method):
            if not hasattr(servicer, method.name):
                continue
            make = (grpc.unary_stream_rpc_method_handler if facts.server_streaming
                    else grpc.unary_unary_rpc_method_handler)
            handlers[method.name] = make(
                getattr(servicer, method.name),
                request_deserializer=method.input_type._concrete_class.FromString,
                response_serializer=method.output_type._concrete_class.SerializeToString)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service.full_name, handlers),))

    return add


def _namespace(out, stem):
    """Messages, enum values and service stubs of one file."""
    if str(out) not in sys.path:
        sys.path.insert(0, str(out))
    module = importlib.import_module((stem + "_pb2").replace("/", "."))
    names = {k: v for k, v in vars(module).items() if not k.startswith("_")}
    merged = types.SimpleNamespace(**names)
    for name, service in module.DESCRIPTOR.services_by_name.items():
        setattr(merged, name + "Stub", _stub(service))
        setattr(merged, "add_" + name, _adder(service))
    return merged


def load():
    """The stubs of mayastor.v1 and mayastor_c.v1 as described above."""
    paths = sorted(PROTO_ROOT.glob("mayastor*/v1/*.proto"))
    names = [str(path.relative_to(PROTO_ROOT)) for path in paths]
    out = _compile(PROTO_ROOT, names, _digest(paths))
    stubs = types.SimpleNamespace()
    for name in names:
        stem = name[: -len(".proto")]
        setattr(stubs, pathlib.Path(stem).name, _namespace(out, stem))
    for name in ("empty", "wrappers", "timestamp", "duration"):
        setattr(stubs, name, importlib.import_module(f"google.protobuf.{name}_pb2"))
    return stubs


def load_file(path):
    """The stubs of one .proto file that imports nothing of ours."""
    path = pathlib.Path(path)
    return _namespace(_compile(path.parent, [path.name], _digest([path])), path.stem)
