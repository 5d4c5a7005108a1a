# SPDX-License-Identifier: Apache-2.0
"""Our client against grpcio's server."""

import socket
import threading
import time

import grpc


def test_a_unary_call_is_answered(call, python_server):
    assert call(python_server().port, "grüß dich") == [("OK", "", "grüß dich", 0, "")]


def test_every_status_arrives_with_its_text(call, python_server):
    port = python_server().port
    for code in grpc.StatusCode:
        if code is grpc.StatusCode.OK:
            continue
        assert call(port, "50% ü", status=code.value[0]) == [(code.name, "50% ü", "", 0, "")]


def test_metadata_goes_both_ways(call, python_server):
    assert call(python_server().port, metadata=1) == [("OK", "", "hello", 0, "0")]
    metadata, remaining = python_server.service.seen[-1]
    assert metadata["x-asked"] == "yes"
    assert 10 < remaining <= 15


def test_the_timeout_is_sent_and_kept(call, python_server):
    begin = time.monotonic()
    outcome = call(python_server().port, delay=1000, timeout=200)[0]
    assert outcome[0] == "DEADLINE_EXCEEDED"
    assert time.monotonic() - begin < 0.9
    assert python_server.service.seen[-1][1] <= 0.2


def test_large_messages_pass(call, python_server):
    port = python_server().port
    assert call(port, payload=(4 << 20) - 100) == [("OK", "", "hello", (4 << 20) - 100, "")]
    assert call(port, reply=(4 << 20) - 100) == [("OK", "", "hello", (4 << 20) - 100, "")]


def test_too_large_messages_are_refused(call, python_server):
    port = python_server().port
    assert call(port, payload=5 << 20)[0][0] == "RESOURCE_EXHAUSTED"
    assert call(port, reply=5 << 20)[0][0] == "RESOURCE_EXHAUSTED"


def test_many_calls_at_once(call, python_server):
    outcomes = call(python_server().port, calls=500)
    assert outcomes == [("OK", "", "hello", 0, "")] * 500


def test_unknown_methods_are_unimplemented(call, python_server):
    outcome = call(python_server().port, method="/mayastor.rpctest.Echo/None")[0]
    assert outcome[0] == "UNIMPLEMENTED"


def test_a_stream_in_answer_to_a_unary_call_is_an_error(call, python_server):
    outcome = call(python_server().port, method="/mayastor.rpctest.Echo/Stream")[0]
    assert outcome[0] == "INTERNAL"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_no_server_is_unavailable_at_once(call):
    begin = time.monotonic()
    outcome = call(free_port())[0]
    assert outcome[0] == "UNAVAILABLE"
    assert "refused" in outcome[1]
    assert time.monotonic() - begin < 2


def test_a_patient_call_times_out_or_gets_its_server(call, python_server):
    port = free_port()
    assert call(port, wait=1, timeout=300)[0][0] == "DEADLINE_EXCEEDED"
    late = threading.Timer(0.4, lambda: python_server(port))
    late.start()
    assert call(port, wait=1, timeout=5000)[0][0] == "OK"
    late.join()


def test_the_client_survives_a_restart_of_the_server(call, python_server):
    server = python_server()

    def restart():
        time.sleep(0.3)
        server.stop(None).wait()
        python_server(server.port)

    worker = threading.Thread(target=restart)
    worker.start()
    outcomes = [o[0] for o in call(server.port, calls=12, pause=100, timeout=3000)]
    worker.join()
    assert outcomes[0] == "OK"
    assert outcomes[-3:] == ["OK"] * 3
    assert set(outcomes) <= {"OK", "UNAVAILABLE", "CANCELLED"}


def misbehave(reply, keep_open=0.0, connections=None):
    """A server that sends @reply to whoever connects; returns its port."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()

    def serve():
        listener.settimeout(10)
        try:
            while True:
                peer, _ = listener.accept()
                if connections is not None:
                    connections.append(peer)
                peer.recv(65536)
                if reply:
                    peer.sendall(reply)
                time.sleep(keep_open)
                peer.close()
        except OSError:
            pass

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def test_a_server_that_speaks_something_else_is_unavailable(call):
    for reply in (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b"\0" * 100,
                  bytes(range(256)) * 20, b""):
        assert call(misbehave(reply), timeout=2000)[0][0] == "UNAVAILABLE"


def test_a_silent_server_ends_the_call_at_its_deadline(call):
    begin = time.monotonic()
    outcome = call(misbehave(b"", keep_open=3), timeout=500)[0]
    assert outcome[0] == "DEADLINE_EXCEEDED"
    assert time.monotonic() - begin < 2


SETTINGS = b"\0\0\0\4\0\0\0\0\0"


def test_a_server_that_went_silent_is_left_for_a_new_connection(call):
    connections = []
    outcomes = call(misbehave(SETTINGS, 1.2, connections), calls=8, pause=50, timeout=300,
                    keepalive=300)
    assert {o[0] for o in outcomes} <= {"DEADLINE_EXCEEDED", "UNAVAILABLE"}
    assert len(connections) >= 2


def frame(kind, flags, stream, payload=b""):
    return (len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") +
            payload)


def test_resets_and_goodbyes_become_statuses(call):
    reset = SETTINGS + frame(3, 0, 1, (8).to_bytes(4, "big"))  # CANCEL
    assert call(misbehave(reset, 1), timeout=2000)[0][0] == "CANCELLED"
    reset = SETTINGS + frame(3, 0, 1, (11).to_bytes(4, "big"))  # ENHANCE_YOUR_CALM
    assert call(misbehave(reset, 1), timeout=2000)[0][0] == "RESOURCE_EXHAUSTED"
    # A GOAWAY that took no call: it is sent again on new connections until its time is up.
    goaway = SETTINGS + frame(7, 0, 0, bytes(8))
    assert call(misbehave(goaway, 0), timeout=700)[0][0] in ("DEADLINE_EXCEEDED", "UNAVAILABLE")
    # HTTP answers without gRPC: ":status 404" and ":status 503" literal, no indexing.
    for text, expected in ((b"404", "UNIMPLEMENTED"), (b"503", "UNAVAILABLE")):
        block = b"\x08\x03" + text
        answer = SETTINGS + frame(1, 5, 1, block)
        assert call(misbehave(answer, 1), timeout=2000)[0][0] == expected
