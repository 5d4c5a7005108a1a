# SPDX-License-Identifier: Apache-2.0
"""Our server against peers that do not keep to the rules: raw frames and garbage."""

import os
import random
import socket
import struct
import time

import grpc
import pytest

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS = 1, 4


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name, value):
    """HPACK literal without indexing, new name, no Huffman (RFC 7541, 6.2.2)."""
    def text(octets):
        if len(octets) < 127:
            return bytes([len(octets)]) + octets
        rest, out = len(octets) - 127, [127]
        while rest >= 128:
            out.append(rest % 128 + 128)
            rest //= 128
        return bytes(out + [rest]) + octets
    return b"\0" + text(name) + text(value)


def headers(path=b"/mayastor.rpctest.Echo/Unary", method=b"POST", kind=b"application/grpc",
            more=()):
    pairs = [(b":method", method), (b":scheme", b"http"), (b":path", path),
             (b":authority", b"test"), (b"te", b"trailers")]
    if kind is not None:
        pairs.append((b"content-type", kind))
    return b"".join(literal(n, v) for n, v in [*pairs, *more])


class Raw:
    """A connection on which anything can be sent; collects the server's frames."""

    def __init__(self, server, greet=True):
        self.socket = socket.create_connection(("127.0.0.1", server.port))
        self.socket.settimeout(5)
        self.received = b""
        if greet:
            self.send(PREFACE + frame(SETTINGS, 0, 0))

    def send(self, octets):
        try:
            self.socket.sendall(octets)
        except OSError:
            pass

    def frames(self, until=lambda kind, flags, stream, payload: False, seconds=5):
        """Frames up to the one wanted, the end of the connection, or the time's end."""
        found = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            while len(self.received) >= 9:
                size = int.from_bytes(self.received[:3], "big")
                if len(self.received) < 9 + size:
                    break
                one = (self.received[3], self.received[4],
                       int.from_bytes(self.received[5:9], "big") & 0x7FFFFFFF,
                       self.received[9:9 + size])
                self.received = self.received[9 + size:]
                found.append(one)
                if until(*one):
                    return found
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                octets = self.socket.recv(65536)
            except OSError:
                octets = b""
            if not octets:
                break
            self.received += octets
        return found

    def answer(self, stream=1):
        """The header blocks of @stream, undecoded, joined."""
        found = self.frames(lambda k, f, s, p: s == stream and k in (HEADERS, RST_STREAM) and
                            (k == RST_STREAM or f & END_STREAM))
        return b"".join(p for k, f, s, p in found if s == stream and k == HEADERS)

    def is_closed(self, seconds=5):
        end = time.monotonic() + seconds
        self.socket.settimeout(0.1)
        while time.monotonic() < end:
            try:
                if not self.socket.recv(65536):
                    return True
            except socket.timeout:
                continue
            except OSError:
                return True
        return False


@pytest.fixture
def alive(server, echo):
    """At the test's end the server still serves."""
    yield
    with grpc.insecure_channel(server.address) as channel:
        reply = echo.EchoStub(channel).Unary(echo.EchoRequest(text="alive"), timeout=10)
    assert reply.text == "alive"


pytestmark = pytest.mark.usefixtures("alive")


def has_status(block, number):
    """grpc-status in a header block: as nghttp2 writes it, decoded with a small HPACK reader."""
    return ("grpc-status", str(number)) in decode(block)


def http_status(block):
    return dict(decode(block)).get(":status")


HUFFMAN = None


def decode(block):
    """Decodes with the library that is there for it: nghttp2's own inflater through ctypes."""
    import ctypes
    import ctypes.util

    library = ctypes.CDLL(ctypes.util.find_library("nghttp2") or "libnghttp2.so.14")

    class Pair(ctypes.Structure):
        _fields_ = [("name", ctypes.POINTER(ctypes.c_char)),
                    ("value", ctypes.POINTER(ctypes.c_char)),
                    ("namelen", ctypes.c_size_t), ("valuelen", ctypes.c_size_t),
                    ("flags", ctypes.c_uint8)]

    inflater = ctypes.c_void_p()
    assert library.nghttp2_hd_inflate_new(ctypes.byref(inflater)) == 0
    library.nghttp2_hd_inflate_hd2.restype = ctypes.c_ssize_t
    pairs, at = [], 0
    while True:
        pair, flags = Pair(), ctypes.c_int(0)
        rest = block[at:]
        count = library.nghttp2_hd_inflate_hd2(inflater, ctypes.byref(pair), ctypes.byref(flags),
                                               rest, ctypes.c_size_t(len(rest)), 1)
        assert count >= 0
        at += count
        if flags.value & 2:
            pairs.append((pair.name[:pair.namelen].decode(), pair.value[:pair.valuelen].decode()))
        if flags.value & 1 or (count == 0 and not flags.value & 2):
            break
    library.nghttp2_hd_inflate_del(inflater)
    return pairs


def request(message=b"", prefix=None, flags=END_STREAM, stream=1, **options):
    if prefix is None:
        prefix = struct.pack(">BI", 0, len(message))
    return (frame(HEADERS, END_HEADERS, stream, headers(**options)) +
            frame(DATA, flags, stream, prefix + message))


def test_the_raw_request_itself_works(server):
    peer = Raw(server)
    peer.send(request(b"\x0a\x02hi"))
    found = peer.frames(lambda k, f, s, p: s == 1 and k == HEADERS and f & END_STREAM)
    assert [p for k, f, s, p in found if k == DATA] == [b"\0\0\0\0\4\x0a\x02hi"]


def test_http_1_is_hung_up_on(server):
    for text in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST / HTTP/1.0\r\n\r\n"):
        peer = Raw(server, greet=False)
        peer.send(text)
        assert peer.is_closed()


def test_garbage_is_hung_up_on(server):
    generator = random.Random(7)
    for size in (1, 23, 24, 25, 1000, 100000):
        peer = Raw(server, greet=False)
        peer.send(b"\xff" + generator.randbytes(size))
        assert peer.is_closed()


def test_garbage_after_a_good_start_is_hung_up_on(server):
    generator = random.Random(8)
    for _ in range(20):
        peer = Raw(server)
        peer.send(frame(SETTINGS, 0, 1) + generator.randbytes(5000))
        assert peer.is_closed()


def test_bytes_one_at_a_time_are_understood(server):
    peer = Raw(server, greet=False)
    peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for octet in PREFACE + frame(SETTINGS, 0, 0) + request(b"\x0a\x02hi"):
        peer.send(bytes([octet]))
    assert has_status_in_trailers(peer, 0)


def has_status_in_trailers(peer, number, stream=1):
    """Header block and trailers share one HPACK state: decode them together."""
    return has_status(peer.answer(stream), number)


def test_wrong_content_types_get_415(server):
    for kind in (b"application/json", b"text/html", b"application/grpc-web", None):
        peer = Raw(server)
        peer.send(request(kind=kind))
        assert http_status(peer.answer()) == "415"


def test_other_methods_get_405(server):
    peer = Raw(server)
    peer.send(request(method=b"PUT"))
    assert http_status(peer.answer()) == "405"


def test_a_request_without_a_message_is_internal(server):
    peer = Raw(server)
    peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, headers()))
    assert has_status_in_trailers(peer, 13)


def test_a_request_cut_short_is_internal(server):
    for cut in (b"\0", b"\0\0\0\0", b"\0\0\0\0\5ab"):
        peer = Raw(server)
        peer.send(request(prefix=cut))
        assert has_status_in_trailers(peer, 13)


def test_two_messages_are_internal(server):
    peer = Raw(server)
    peer.send(request(b"\0\0\0\0\0", prefix=b"\0\0\0\0\0"))
    assert has_status_in_trailers(peer, 13)


def test_compressed_flags_are_told_apart(server):
    peer = Raw(server)
    peer.send(request(prefix=b"\1\0\0\0\0"))
    assert has_status_in_trailers(peer, 13)
    peer = Raw(server)
    peer.send(request(prefix=b"\1\0\0\0\0", more=[(b"grpc-encoding", b"snappy")]))
    block = peer.answer()
    assert has_status(block, 12)
    assert ("grpc-accept-encoding", "identity") in decode(block)
    peer = Raw(server)
    peer.send(request(prefix=b"\7\0\0\0\0"))
    assert has_status_in_trailers(peer, 13)


def test_a_huge_length_is_refused_before_any_byte_of_it(server):
    peer = Raw(server)
    peer.send(request(prefix=b"\0\xff\xff\xff\xff", flags=0))
    assert has_status_in_trailers(peer, 8)


def test_bad_timeouts_are_internal_and_passed_ones_exceeded(server):
    for text in (b"", b"5", b"S", b"-1S", b"123456789S", b"1x"):
        peer = Raw(server)
        peer.send(request(more=[(b"grpc-timeout", text)]))
        assert has_status_in_trailers(peer, 13), text
    peer = Raw(server)
    peer.send(frame(HEADERS, END_HEADERS, 1, headers(more=[(b"grpc-timeout", b"50m")])))
    begin = time.monotonic()
    assert has_status_in_trailers(peer, 4)  # the message never came
    assert 0.03 < time.monotonic() - begin < 2


def test_headers_without_end_are_cut_off(server):
    peer = Raw(server)
    peer.send(frame(HEADERS, 0, 1, headers()))
    filler = literal(b"x-filler", b"f" * 16000)
    for _ in range(20):
        peer.send(frame(CONTINUATION, 0, 1, filler))
    assert peer.is_closed()


def test_large_headers_are_refused(server):
    peer = Raw(server)
    more = [(b"x-filler-%d" % i, b"f" * 4000) for i in range(6)]
    block = headers(more=more)
    peer.send(frame(HEADERS, 0, 1, block[:16000]) +
              frame(CONTINUATION, END_HEADERS, 1, block[16000:]) +
              frame(DATA, END_STREAM, 1, bytes(5)))
    found = peer.answer()
    assert found == b"" or has_status(found, 8)


def test_pings_are_answered_and_floods_end(server):
    peer = Raw(server)
    peer.send(frame(PING, 0, 0, b"12345678"))
    found = peer.frames(lambda k, f, s, p: k == PING)
    assert found[-1] == (PING, 1, 0, b"12345678")
    # A peer that pings and never reads: the answers must not pile up without end.
    peer = Raw(server)
    flood = frame(PING, 0, 0, b"flooding") * 10000
    peer.socket.settimeout(2)
    try:
        for _ in range(400):
            peer.socket.sendall(flood)
    except OSError:
        pass
    peer.socket.close()


def test_settings_floods_do_not_pile_up(server):
    peer = Raw(server)
    flood = frame(SETTINGS, 0, 0) * 10000
    peer.socket.settimeout(2)
    try:
        for _ in range(200):
            peer.socket.sendall(flood)
    except OSError:
        pass
    peer.socket.close()


def test_rapid_resets_end_the_connection(server):
    peer = Raw(server)
    for stream in range(1, 20001, 2):
        peer.send(frame(HEADERS, END_HEADERS, stream, headers()) +
                  frame(RST_STREAM, 0, stream, bytes([0, 0, 0, 8])))
    goodbye = peer.frames(lambda k, f, s, p: k == GOAWAY)
    # What it sent after the end may make the system drop the goodbye; closed it must be.
    if goodbye and goodbye[-1][0] == GOAWAY:
        assert goodbye[-1][3][4:8] == bytes([0, 0, 0, 11])
    assert peer.is_closed()


def test_streams_beyond_the_limit_are_refused(server):
    peer = Raw(server)
    for stream in range(1, 2 * 140, 2):  # our settings are not acknowledged: it may not know
        peer.send(frame(HEADERS, END_HEADERS, stream, headers()))
    found = peer.frames(lambda k, f, s, p: k == RST_STREAM, seconds=3)
    assert found[-1][0] == RST_STREAM
    assert found[-1][3] == bytes([0, 0, 0, 7])  # REFUSED_STREAM
    peer = Raw(server)
    peer.frames(lambda k, f, s, p: k == SETTINGS and not f & 1)
    peer.send(frame(SETTINGS, 1, 0))
    for stream in range(1, 2 * 140, 2):  # it knew
        peer.send(frame(HEADERS, END_HEADERS, stream, headers()))
    found = peer.frames(lambda k, f, s, p: k == GOAWAY, seconds=3)
    assert found[-1][0] == GOAWAY


def test_a_peer_that_never_reads_holds_little(server):
    """Many large answers for somebody who takes none."""
    peer = Raw(server, greet=False)
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    window = struct.pack(">HI", 4, 0x7FFFFFFF)
    peer.send(PREFACE + frame(SETTINGS, 0, 0, window) + frame(WINDOW, 0, 0, b"\x7f\0\0\0"))
    message = b"\x30" + varint(4000000)  # reply_bytes
    for stream in range(1, 200, 2):
        peer.send(request(message, stream=stream))
    time.sleep(1)
    with open(f"/proc/{server.process.pid}/statm", encoding="ascii") as statm:
        assert int(statm.read().split()[1]) * 4096 < 400 << 20
    peer.socket.close()


def varint(number):
    out = []
    while number >= 128:
        out.append(number % 128 + 128)
        number //= 128
    return bytes(out + [number])


def test_a_silent_connection_is_cut_off(start_server):
    server = start_server(64, 200)
    idle = socket.create_connection(("127.0.0.1", server.port))
    time.sleep(0.9)
    idle.settimeout(2)
    drained = b"x"
    while drained:
        drained = idle.recv(65536)
    peer = Raw(server)  # greets, then does not answer pings
    assert any(k == PING for k, f, s, p in peer.frames(seconds=2))
    assert peer.is_closed(2)
    assert server.stop()["failed"] == 2


def test_a_live_idle_connection_stays(start_server):
    server = start_server(64, 200)
    peer = Raw(server)
    for _ in range(5):
        found = peer.frames(lambda k, f, s, p: k == PING)
        assert found[-1][0] == PING
        peer.send(frame(PING, 1, 0, found[-1][3]))
    peer.send(request(b"\x0a\x02hi"))
    assert has_status_in_trailers(peer, 0)
    assert server.stop()["failed"] == 0


def test_mutated_connections_do_no_harm(server):
    """Valid conversations with some bytes changed."""
    seed = int(os.environ.get("MAYASTOR_SEED", "1"))
    generator = random.Random(seed)
    good = PREFACE + frame(SETTINGS, 0, 0) + b"".join(
        request(b"\x0a\x02hi", stream=s) for s in range(1, 20, 2)) + frame(PING, 0, 0, bytes(8))
    for _ in range(300):
        octets = bytearray(good)
        for _ in range(generator.randrange(1, 6)):
            octets[generator.randrange(24, len(octets))] = generator.randrange(256)
        peer = Raw(server, greet=False)
        peer.send(bytes(octets))
        peer.socket.close()
