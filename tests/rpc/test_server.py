# SPDX-License-Identifier: Apache-2.0
"""Our server against grpcio's client."""

import threading
import time

import grpc
import pytest

TIMEOUT = 10


def failure(function, *arguments, **options):
    with pytest.raises(grpc.RpcError) as caught:
        function(*arguments, **options)
    return caught.value


def test_a_unary_call_is_answered(stub, echo):
    reply = stub.Unary(echo.EchoRequest(text="grüß dich", payload=b"\0\1\2"), timeout=TIMEOUT)
    assert reply.text == "grüß dich"
    assert reply.payload == b"\0\1\2"


def test_empty_messages_pass(stub, echo):
    assert stub.Unary(echo.EchoRequest(), timeout=TIMEOUT) == echo.EchoReply()


@pytest.mark.parametrize("code", [c for c in grpc.StatusCode if c is not grpc.StatusCode.OK])
def test_every_status_arrives_with_its_text(stub, echo, code):
    text = "pool 'ü' is 100% full;\nuse another"
    error = failure(stub.Unary, echo.EchoRequest(text=text, status=code.value[0]), timeout=TIMEOUT)
    assert error.code() == code
    assert error.details() == text


def test_trailing_metadata_arrives_with_answers_and_errors(stub, echo):
    _, done = stub.Unary.with_call(echo.EchoRequest(with_metadata=True), timeout=TIMEOUT)
    assert ("gtm-602", "0") in [tuple(m) for m in done.trailing_metadata()]
    error = failure(stub.Unary, echo.EchoRequest(with_metadata=True, status=5), timeout=TIMEOUT)
    assert ("gtm-602", "0") in [tuple(m) for m in error.trailing_metadata()]


def test_the_clients_deadline_holds(stub, echo, server):
    begin = time.monotonic()
    error = failure(stub.Unary, echo.EchoRequest(delay_ms=600), timeout=0.2)
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - begin < 0.5
    time.sleep(0.6)
    counters = server.stop()
    assert counters["abandoned"] == 1  # the work went on


def test_a_call_without_timeout_gets_the_servers_deadline(start_server, echo):
    server = start_server(64, 30000, 300)
    with grpc.insecure_channel(server.address) as channel:
        begin = time.monotonic()
        error = failure(echo.EchoStub(channel).Unary, echo.EchoRequest(delay_ms=1500))
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert "deadline" in error.details()
        assert 0.25 < time.monotonic() - begin < 1
    assert server.stop()["deadlines"] == 1


@pytest.mark.parametrize("size", [1, 16383, 16384, 65535, 1 << 20, (4 << 20) - 64])
def test_messages_of_any_size_pass(server, echo, size):
    options = [("grpc.max_receive_message_length", 8 << 20)]
    with grpc.insecure_channel(server.address, options) as channel:
        reply = echo.EchoStub(channel).Unary(echo.EchoRequest(payload=b"p" * size),
                                             timeout=TIMEOUT)
    assert reply.payload == b"p" * size


def test_too_large_a_request_is_refused_and_the_connection_lives(stub, echo):
    error = failure(stub.Unary, echo.EchoRequest(payload=b"p" * (5 << 20)), timeout=TIMEOUT)
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "4194304" in error.details()
    assert stub.Unary(echo.EchoRequest(text="still"), timeout=TIMEOUT).text == "still"


def test_too_large_an_answer_is_refused(stub, echo):
    error = failure(stub.Unary, echo.EchoRequest(reply_bytes=5 << 20), timeout=TIMEOUT)
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_hundred_calls_run_at_once(stub, echo):
    begin = time.monotonic()
    calls = [stub.Unary.future(echo.EchoRequest(text=str(i), delay_ms=300), timeout=TIMEOUT)
             for i in range(100)]
    assert [c.result().text for c in calls] == [str(i) for i in range(100)]
    assert time.monotonic() - begin < 3


def test_more_calls_than_streams_queue_in_the_client(stub, echo):
    calls = [stub.Unary.future(echo.EchoRequest(text=str(i), delay_ms=5), timeout=TIMEOUT)
             for i in range(1000)]
    assert [c.result().text for c in calls] == [str(i) for i in range(1000)]


def test_a_cancelled_call_leaves_the_work_running(stub, echo, server):
    call = stub.Unary.future(echo.EchoRequest(delay_ms=300), timeout=TIMEOUT)
    time.sleep(0.1)
    call.cancel()
    assert call.cancelled()
    assert stub.Unary(echo.EchoRequest(text="still"), timeout=TIMEOUT).text == "still"
    time.sleep(0.4)
    assert server.stop()["abandoned"] == 1


def test_a_disconnected_client_leaves_the_work_running(server, echo):
    channel = grpc.insecure_channel(server.address)
    call = echo.EchoStub(channel).Unary.future(echo.EchoRequest(delay_ms=300), timeout=TIMEOUT)
    time.sleep(0.15)
    assert not call.done()
    channel.close()
    time.sleep(0.4)
    counters = server.stop()
    assert counters["calls"] == 1
    assert counters["abandoned"] == 1


def test_unknown_services_and_methods_are_unimplemented(stub, channel, echo):
    error = failure(stub.Unserved, echo.EchoRequest(), timeout=TIMEOUT)
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "/mayastor.rpctest.Echo/Unserved" in error.details()
    for path in ("/mayastor.rpctest.Echo/None", "/no.Such/Unary", "/x", "/mayastor.rpctest.Echo/",
                 "/" + "x" * 500):
        error = failure(channel.unary_unary(path), b"", timeout=TIMEOUT)
        assert error.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_malformed_request_is_internal(channel):
    error = failure(channel.unary_unary("/mayastor.rpctest.Echo/Unary"), b"\x0a\xff\xff\xff",
                    timeout=TIMEOUT)
    assert error.code() == grpc.StatusCode.INTERNAL
    assert "EchoRequest" in error.details()


def test_unknown_fields_are_ignored(channel, echo):
    reply = channel.unary_unary("/mayastor.rpctest.Echo/Unary")(
        b"\x0a\x02hi" + b"\xa2\x06\x03abc" + b"\xa8\x06\x05", timeout=TIMEOUT)
    assert echo.EchoReply.FromString(reply).text == "hi"


def test_compressed_requests_are_refused_with_what_is_accepted(server, echo):
    with grpc.insecure_channel(server.address, compression=grpc.Compression.Gzip) as channel:
        error = failure(echo.EchoStub(channel).Unary, echo.EchoRequest(text="x" * 10000),
                        timeout=TIMEOUT)
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "compress" in error.details()


def test_streams_arrive_in_order(stub, echo):
    replies = list(stub.Stream(echo.EchoRequest(text="s", count=500), timeout=TIMEOUT))
    assert [r.index for r in replies] == list(range(500))


def test_an_empty_stream_ends_well(stub, echo):
    assert not list(stub.Stream(echo.EchoRequest(count=0), timeout=TIMEOUT))


def test_a_stream_may_end_with_an_error(stub, echo):
    received = []
    with pytest.raises(grpc.RpcError) as caught:
        for reply in stub.Stream(echo.EchoRequest(text="t", count=3, status=15), timeout=TIMEOUT):
            received.append(reply.index)
    assert caught.value.code() == grpc.StatusCode.DATA_LOSS
    assert received == [0, 1, 2]


def test_a_stream_past_its_deadline_ends(stub, echo):
    error = failure(lambda: list(stub.Stream(echo.EchoRequest(text="t" * 1000, count=1 << 30),
                                             timeout=0.3)))
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert stub.Unary(echo.EchoRequest(text="still"), timeout=TIMEOUT).text == "still"


def test_a_cancelled_stream_ends_its_handler(stub, echo, server):
    stream = stub.Stream(echo.EchoRequest(text="t" * 1000, count=1 << 30), timeout=TIMEOUT)
    for _ in range(10):
        next(stream)
    stream.cancel()
    time.sleep(0.3)
    assert server.stop()["abandoned"] == 1


def test_a_reader_that_stops_is_not_sent_more_than_fits(stub, echo, server):
    """The handler waits; other calls of the same connection go on."""
    stream = stub.Stream(echo.EchoRequest(text="t" * 100000, count=1 << 20), timeout=TIMEOUT)
    next(stream)
    time.sleep(0.5)
    assert resident_bytes(server) < 300 << 20
    assert stub.Unary(echo.EchoRequest(text="still"), timeout=TIMEOUT).text == "still"
    stream.cancel()


def resident_bytes(server):
    with open(f"/proc/{server.process.pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * 4096


def test_many_connections_share_the_limit(start_server, echo):
    """Idle ones make room for new ones."""
    server = start_server(4)
    channels = []
    for _ in range(12):
        channels.append(grpc.insecure_channel(server.address,
                                              [("grpc.use_local_subchannel_pool", 1)]))
        stub = echo.EchoStub(channels[-1])
        assert stub.Unary(echo.EchoRequest(text="x"), timeout=TIMEOUT).text == "x"
        time.sleep(0.05)
    for channel in channels:
        stub = echo.EchoStub(channel)
        assert stub.Unary(echo.EchoRequest(text="y"), timeout=TIMEOUT,
                          wait_for_ready=True).text == "y"
        channel.close()


def test_ipv6_clients_are_served(server, echo):
    with grpc.insecure_channel(f"[::1]:{server.port}") as channel:
        try:
            reply = echo.EchoStub(channel).Unary(echo.EchoRequest(text="6"), timeout=TIMEOUT)
        except grpc.RpcError as error:
            if "Cannot assign" in error.details() or "not supported" in error.details():
                pytest.skip("no IPv6 here")
            raise
    assert reply.text == "6"


def test_threads_of_clients_do_not_disturb_each_other(server, echo):
    failures = []

    def work(number):
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(server.address, options) as channel:
            stub = echo.EchoStub(channel)
            for i in range(50):
                text = f"{number}-{i}"
                if stub.Unary(echo.EchoRequest(text=text), timeout=TIMEOUT).text != text:
                    failures.append(text)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
