"""The OAUTHBEARER message: its one shape, and everything that is nearly it."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwire.errors import RemoteProtocolError
from pgwire.oauthbearer import (
    AuthorizationIdentityError,
    bearer_token,
    decode_initial,
    encode_initial,
)


@pytest.mark.parametrize(
    ("response", "auth"),
    [
        (b"n,,\x01auth=Bearer abc\x01\x01", b"Bearer abc"),
        (b"n,,\x01auth=\x01\x01", b""),
        (b"n,,\x01host=db.test\x01port=5432\x01auth=Bearer abc\x01\x01", b"Bearer abc"),
        (b"n,,\x01auth=Bearer a=b==\x01\x01", b"Bearer a=b=="),
    ],
)
def test_the_value_of_auth_is_found(response: bytes, auth: bytes) -> None:
    assert decode_initial(response) == auth


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"n",
        b"n,",
        b"n,,",
        b"n,,\x01",
        b"n,,\x01\x01",
        b"n,,\x01\x01\x01",
        b"y,,\x01auth=Bearer x\x01\x01",
        b"p=tls-unique,,\x01auth=Bearer x\x01\x01",
        b"N,,\x01auth=Bearer x\x01\x01",
        b",,\x01auth=Bearer x\x01\x01",
        b"n,,auth=Bearer x\x01\x01",
        b"n,,\x01auth=Bearer x\x01",
        b"n,,\x01auth=Bearer x",
        b"n,,\x01auth=Bearer x\x01\x01\x01",
        b"n,,\x01auth=Bearer x\x01\x01more",
        b"n,,\x01auth\x01\x01",
        b"n,,\x01=Bearer x\x01\x01",
        b"n,,\x01au-th=Bearer x\x01\x01",
        b"n,,\x01Auth=Bearer x\x01\x01",
        b"n,,\x01host=db\x01\x01",
        b"n,,\x01auth=Bearer x\x01auth=Bearer y\x01\x01",
        b"n,,\x01auth=Bearer \0x\x01\x01",
        b"n,,\x01auth=Bearer \xc3\xbc\x01\x01",
        b"n,,\x01host=a\x7f\x01auth=Bearer x\x01\x01",
    ],
)
def test_anything_else_is_refused(response: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_initial(response)


@pytest.mark.parametrize("identity", [b"a=eve", b"x", b"a="])
def test_an_authorization_identity_is_told_apart(identity: bytes) -> None:
    with pytest.raises(AuthorizationIdentityError):
        decode_initial(b"n," + identity + b",\x01auth=Bearer x\x01\x01")


@pytest.mark.parametrize(
    ("auth", "token"),
    [
        (b"Bearer abc.def-_~+/==", "abc.def-_~+/=="),
        (b"bEARER   x", "x"),
        (b"", None),
        (b"Bearer", None),
        (b"Bearer ", None),
        (b"Bearerx", None),
        (b" Bearer x", None),
        (b"Bearer x ", None),
        (b"Bearer x\n", None),
        (b"Bearer =", None),
        (b"Bearer a=b", None),
        (b"Basic x", None),
    ],
)
def test_a_token_is_what_rfc_6750_lets_it_be(auth: bytes, token: str | None) -> None:
    assert token == bearer_token(auth)


@given(st.text(alphabet="abcXYZ019-._~+/", min_size=1))
def test_any_token_survives_the_wire(token: str) -> None:
    assert bearer_token(decode_initial(encode_initial(b"Bearer " + token.encode()))) == token


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda rest: b"n,,\x01auth=" + rest))
def test_garbage_raises_nothing_but_a_fault_of_the_peer(response: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        decode_initial(response)
