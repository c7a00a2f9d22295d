"""What must hold for any bytes at all: the targets of fuzzing, and their oracles.

Each target takes bytes and raises where something is wrong: anything but RemoteProtocolError that gets out, a
split that changes what is read, a value that is not written as it was read. Which bytes are tried is not decided
here: a fuzzer does that in `run`, and the tests do with bytes that were found once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

from pgwire.errors import RemoteProtocolError
from pgwire.framing import CONTINUED, FrameReader, StreamReader
from pgwire.messages.startup import MAX_STARTUP, startup_length
from pgwire.proxy_header import MAX_PROXY_HEADER, ProxyHeader, ProxyHeaderReader
from pgwire.reader import message
from tests.fakes.proxy_headers import LOCAL, v1, v2
from tests.fuzz.relay_target import SEEDS, relay
from tests.protocol.samples import SAMPLES, STREAM, Sample

__all__ = ["TARGETS", "Target", "decoded", "frames", "one_input", "seeds", "stream"]

Target = Callable[[bytes], None]

_LIMIT = 200
_MOST = 2**30 - 1  # of what is let through as it comes
_CUT_LIMIT, _BEGINNING = 1100, 1029  # over the one, only the other is given
_OPAQUE = b"VNA"  # passed on as it comes, and reported
_SHORT = frozenset(b"SHXc")  # no body: nothing but the header fits


def _limit(kind: int) -> int:
    return 5 if kind in _SHORT else _LIMIT


def decoded(sample: Sample, body: bytes) -> None:
    """What is read as a message is written as the same bytes, and read as the same value again."""
    try:
        value = sample.decode(body)
    except RemoteProtocolError:
        return
    raw = sample.encode(value)
    header = 5 if sample.typed else 4
    assert int.from_bytes(raw[header - 4 : header], "big") == len(raw) - header + 4
    again = raw[header:]
    assert sample.decode(again) == value, (sample.name, value)
    assert again == body or sample.lossy, (sample.name, body, again)


def first_packet(sample: Sample, data: bytes) -> None:
    """The length word as well: what it allows is bounded before anything is read."""
    if len(data) < 4:
        return
    try:
        length = startup_length(data[:4])
    except RemoteProtocolError:
        return
    assert 4 <= length <= MAX_STARTUP
    decoded(sample, data[4 : 4 + length])


def _pieces(data: bytes) -> list[bytes]:
    """What follows the first two bytes, cut in three where they say: from the beginning, or from 128 on the end."""
    at, rest = data[:2], data[2:]
    counted = [cut if cut < 128 else len(rest) + 128 - cut for cut in at]
    places = [0, *sorted(place % (len(rest) + 1) for place in counted), len(rest)]
    return [rest[a:b] for a, b in itertools.pairwise(places)]


def _headers(data: bytes, flowing: bytes, limit: Callable[[int], int]) -> list[tuple[int, int, int]] | None:
    """Read in the plainest way: kind, start and end of every message that begins; none where one cannot be."""
    found = []
    at = 0
    while at + 5 <= len(data):
        kind, length = data[at], int.from_bytes(data[at + 1 : at + 5], "big")
        most = _MOST if kind in flowing else limit(kind) - 1
        if kind == 0 or not 4 <= length <= most:
            return None
        found.append((kind, at, at + 1 + length))
        at += 1 + length
    return found


def frames(data: bytes, flowing: bytes = b"", cut: bytes = b"") -> None:
    """Whole or in pieces: the same frames, as the plain reading has them, or the same refusal."""
    pieces = _pieces(data)
    whole = b"".join(pieces)
    plain = _headers(whole, flowing + cut, _limit)
    for fed in ([whole], pieces):
        reader = FrameReader(lambda kind: _CUT_LIMIT if kind in cut else _limit(kind), data=flowing, cut=cut)
        try:
            found = [frame for piece in fed for frame in reader.feed(piece)]
        except RemoteProtocolError:
            assert plain is None
            continue
        assert plain is not None
        given, missing, taken = [], [], 0
        for kind, start, end in plain:
            over = kind in cut and end - start > _CUT_LIMIT
            there = start + _BEGINNING if over else end
            if end <= len(whole) or kind in flowing:
                given.append((kind, whole[start:there]))
                taken += min(end, len(whole)) - start
                missing += [end - there] if over else []
            elif there <= len(whole):
                taken = len(whole)  # the rest of it is dropped as it comes
        assert _joined(given, flowing) == _joined([(frame.kind, frame.raw) for frame in found], flowing)
        assert missing == [frame.missing for frame in found if frame.missing]
        assert reader.pending == len(whole) - taken
        assert reader.inside_data == any(end > len(whole) for kind, _, end in plain if kind in flowing)


def _joined(given: list[tuple[int, bytes]], flowing: bytes) -> list[tuple[int, bytes]]:
    """Data messages in a row, and what goes on with one, as one piece: where they are cut makes no difference."""
    found: list[tuple[int, bytes]] = []
    for kind, raw in given:
        if kind == CONTINUED or (found and kind in flowing and kind == found[-1][0]):
            found[-1] = (found[-1][0], found[-1][1] + raw)
        else:
            found.append((kind, raw))
    return found


def stream(data: bytes) -> None:
    """Whole or in pieces: the same bytes go on, with the same control messages and the same counts, or none."""
    pieces = _pieces(data)
    whole = b"".join(pieces)
    plain = _headers(whole, b"Dd" + _OPAQUE, lambda _: _LIMIT + 1)
    for fed in ([whole], pieces):
        reader = StreamReader(limit=_LIMIT)
        sent = b""
        marked: list[tuple[int, bytes]] = []
        rows = size = 0
        try:
            for piece in fed:
                chunk, controls = reader.feed(piece)
                sent += chunk
                rows += sum(counted for _, _, _, counted, _ in controls)
                size += sum(counted for _, _, _, _, counted in controls)
                marked += [(kind, chunk[start:end]) for kind, start, end, _, _ in controls if kind]
        except RemoteProtocolError:
            assert plain is None
            continue
        assert plain is not None
        through = b"Dd" + _OPAQUE
        given = [(kind, whole[start:end]) for kind, start, end in plain if kind in through or end <= len(whole)]
        held = [(kind, raw) for kind, raw in given if kind not in b"Dd"]
        assert [kind for kind, _ in marked] == [kind for kind, _ in held]
        for (kind, raw), (_, all_of_it) in zip(marked, held, strict=True):
            assert all_of_it.startswith(raw) if kind in _OPAQUE else all_of_it == raw
        flowing = [raw for kind, raw in given if kind in b"Dd"]
        assert (rows, size) == (len(flowing), sum(len(raw) for raw in flowing))
        assert sent == whole[: sum(len(raw) for _, raw in given)]
        assert reader.inside_message == any(end > len(whole) for kind, _, end in plain if kind in through)


def proxy_header(data: bytes) -> None:
    """Whole or in pieces: the same header of the same length, or a refusal. It takes no byte without need."""
    pieces = _pieces(data)
    found: list[tuple[ProxyHeader | None, int] | None] = []
    for fed in ([b"".join(pieces)], pieces):
        reader, arrived, taken = ProxyHeaderReader(), b"", 0
        try:
            for piece in fed:
                arrived += piece
                taken += reader.feed(arrived[taken:])
                assert reader.header is not None or taken == len(arrived)
            assert taken <= MAX_PROXY_HEADER
            found.append((reader.header, taken))
        except RemoteProtocolError:
            found.append(None)
    assert found[0] == found[1]


_DECODERS = {sample.decode: sample for sample in reversed(SAMPLES)}  # the first row of each

TARGETS: tuple[Target, ...] = (
    frames,
    stream,
    *[partial(decoded if sample.typed else first_packet, sample) for sample in _DECODERS.values()],
    relay,
    proxy_header,
    partial(frames, flowing=b"d"),
    partial(frames, flowing=b"d", cut=b"QPBF"),
)


def one_input(data: bytes) -> None:
    """The first byte chooses the target, the rest is for it."""
    if data:
        TARGETS[data[0] % len(TARGETS)](data[1:])


def seeds() -> list[bytes]:
    """Every sample for the target of its own, and all of them as one stream for both readers."""
    places = {decode: index for index, decode in enumerate(_DECODERS, 2)}
    streams = [bytes([index, 40, 90]) + STREAM for index in (0, 1, len(TARGETS) - 2, len(TARGETS) - 1)]
    streams.append(bytes([len(TARGETS) - 1, 9, 160]) + message(b"Q", bytes(1500)) + message(b"S"))
    talks = [bytes([TARGETS.index(relay)]) + seed for seed in SEEDS]
    headers = [v1("::1", "::2"), b"PROXY UNKNOWN\r\n", LOCAL, v2("::1", "::2", values=[(5, b"id")], checksum=True)]
    balanced = [bytes([TARGETS.index(proxy_header), 20, 9]) + header + b"\x16" for header in headers]
    return [*streams, *talks, *balanced] + [
        bytes([places[sample.decode]]) + (sample.body if sample.typed else sample.raw) for sample in SAMPLES
    ]
