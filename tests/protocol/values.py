"""Any value of each message, for properties: one strategy for every decoder in the table of samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from pgwire.messages import authentication as auth
from pgwire.messages import copy, extended, function_call, query, results, startup

__all__ = ["STRATEGIES"]

UINT16, UINT32 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1)
INT16, INT32 = st.integers(-(2**15), 2**15 - 1), st.integers(-(2**31), 2**31 - 1)
NAMES = st.binary(max_size=12).map(lambda raw: raw.replace(b"\0", b""))
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
WORDS = TEXTS.filter(bool)
ASCII = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
VALUES = st.lists(st.none() | st.binary(max_size=20), max_size=5).map(tuple)
OIDS = st.lists(UINT32, max_size=5).map(tuple)
FORMAT = st.sampled_from((0, 1))
FORMATS = st.lists(FORMAT, max_size=5).map(tuple)
KEYS = st.tuples(INT32, st.binary(min_size=4, max_size=256))


@st.composite
def _formatted(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[bytes | None, ...]]:
    """Values, and formats of which there are none, one, or as many."""
    values = draw(VALUES)
    count = draw(st.sampled_from((0, 1, len(values))))
    return tuple(draw(FORMAT) for _ in range(count)), values


@st.composite
def _binds(draw: st.DrawFn) -> extended.Bind:
    formats, values = draw(_formatted())
    return extended.Bind(draw(NAMES), draw(NAMES), formats, values, draw(FORMATS))


@st.composite
def _calls(draw: st.DrawFn) -> function_call.FunctionCall:
    formats, values = draw(_formatted())
    return function_call.FunctionCall(draw(UINT32), formats, values, draw(FORMAT))


def _requests() -> st.SearchStrategy[auth.AuthenticationRequest]:
    offered = st.lists(ASCII, min_size=1, max_size=3)
    codes_without_data = st.sampled_from((0, 2, 3, 7, 9))
    return st.one_of(
        st.builds(auth.AuthenticationRequest, codes_without_data, st.just(b"")),
        st.builds(auth.AuthenticationRequest, st.just(5), st.binary(min_size=4, max_size=4)),
        st.builds(
            auth.AuthenticationRequest,
            st.just(10),
            offered.map(lambda names: "".join(f"{name}\0" for name in names).encode() + b"\0"),
        ),
        st.builds(auth.AuthenticationRequest, st.sampled_from((8, 11, 12, 13, -1)), st.binary(max_size=20)),
    )


def _first_packets() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(startup.StartupMessage, st.just(3), UINT16, st.dictionaries(WORDS, TEXTS, max_size=5)),
        st.builds(lambda key: startup.CancelRequest(*key), KEYS),
        st.builds(startup.EncryptionRequest, st.booleans()),
    )


STRATEGIES: dict[Callable[[bytes], Any], st.SearchStrategy[Any]] = {
    startup.decode_startup: _first_packets(),
    startup.decode_negotiate_version: st.builds(
        startup.NegotiateVersion, UINT16, UINT16, st.lists(ASCII.map("_pq_.{}".format), max_size=3).map(tuple)
    ),
    auth.decode_authentication: _requests(),
    auth.decode_password: NAMES,
    auth.decode_sasl_initial: st.builds(auth.SASLInitialResponse, ASCII, st.none() | st.binary(max_size=20)),
    auth.decode_sasl_response: st.binary(max_size=20),
    auth.decode_backend_key_data: KEYS,
    query.decode_query: NAMES,
    query.decode_command_complete: TEXTS,
    query.decode_error: st.dictionaries(st.sampled_from("SVCMDHPpqWstcdnFLR"), TEXTS, max_size=5),
    query.decode_ready: st.sampled_from("ITE"),
    query.decode_parameter_status: st.tuples(TEXTS, TEXTS),
    query.decode_notification: st.builds(query.Notification, INT32, NAMES, NAMES),
    query.decode_empty: st.none(),
    extended.decode_parse: st.builds(extended.Parse, NAMES, NAMES, OIDS),
    extended.decode_bind: _binds(),
    extended.decode_execute: st.builds(extended.Execute, NAMES, INT32),
    extended.decode_target: st.builds(extended.DescribeTarget, st.sampled_from("SP"), NAMES),
    results.decode_row_description: st.lists(
        st.builds(results.Field, NAMES, UINT32, INT16, UINT32, INT16, INT32, FORMAT), max_size=4
    ).map(tuple),
    results.decode_parameter_description: OIDS,
    results.decode_data_row: VALUES,
    copy.decode_copy_response: st.one_of(
        st.builds(copy.CopyResponse, st.just(1), FORMATS),
        st.builds(lambda count: copy.CopyResponse(0, (0,) * count), st.integers(0, 5)),
    ),
    copy.decode_copy_data: st.binary(max_size=20),
    copy.decode_copy_fail: NAMES,
    function_call.decode_function_call: _calls(),
    function_call.decode_function_call_response: st.none() | st.binary(max_size=20),
}
