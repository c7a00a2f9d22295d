from __future__ import annotations

import base64
import json

import pytest

from pgjit.errors import TokenRefused
from pgjit.identity.jws import HARD_MAX_BYTES, StrictJsonError, parse_compact_jws, read_object, unbase64url
from tests.run.rows import table

HEADER = {"typ": "JWT", "alg": "RS256", "kid": "key-1"}
MAX = 16 * 1024


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(header: object = HEADER, payload: bytes = b"{}", signature: bytes = b"s" * 256) -> str:
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return f"{b64(head)}.{b64(payload)}.{b64(signature)}"


def refusal(text: str, limit: int = MAX) -> str:
    with pytest.raises(TokenRefused) as refused:
        parse_compact_jws(text, limit)
    return refused.value.reason


def test_a_plain_token_gives_its_key_id_and_shows_nothing() -> None:
    jws = parse_compact_jws(token(), MAX)
    assert (jws.kid, jws.token) == ("key-1", token())
    assert repr(jws) == "Jws(...)"


def test_a_thumbprint_may_stand_beside_the_key_id() -> None:
    assert parse_compact_jws(token({**HEADER, "x5t": "key-1"}), MAX).kid == "key-1"


@pytest.mark.parametrize(("size", "taken"), [(MAX - 1, True), (MAX, True), (MAX + 1, False)])
def test_the_limit_of_size_is_exact(size: int, taken: bool) -> None:
    head, _, signature = token().split(".")
    room = size - len(head) - len(signature) - 2
    text = f"{head}.{'A' * room}.{signature}"
    if room % 4 == 1:  # no base64 has that length: move one character to where it does no harm
        text = f"{head}.{'A' * (room - 1)}.{signature}A"
    assert len(text) == size
    if taken:
        assert refusal_or_none(text) != "token-too-large"
    else:
        assert refusal(text) == "token-too-large"


def refusal_or_none(text: str) -> str | None:
    try:
        parse_compact_jws(text, MAX)
    except TokenRefused as refused:
        return refused.reason
    return None


def test_no_setting_lifts_the_hard_limit() -> None:
    assert refusal("A" * (HARD_MAX_BYTES + 1), limit=10**9) == "token-too-large"


GOOD = token()
SHAPES = {
    "nothing": ("", "empty-token"),
    "bearer prefix": (f"Bearer {GOOD}", "malformed-token"),
    "leading space": (f" {GOOD}", "malformed-token"),
    "trailing newline": (f"{GOOD}\n", "malformed-token"),
    "padding at the end": (f"{GOOD}==", "malformed-token"),
    "padding inside": (GOOD.replace(".", "=.", 1), "malformed-token"),
    "standard alphabet": (token(payload=b"\xff\xff\xff").replace("_", "/"), "malformed-token"),
    "two segments": (GOOD.rsplit(".", 1)[0], "malformed-token"),
    "four segments": (f"{GOOD}.{'A' * 4}", "malformed-token"),
    "encrypted token": (".".join(["AAAA"] * 5), "malformed-token"),
    "empty signature": (GOOD.rsplit(".", 1)[0] + ".", "malformed-token"),
    "empty header": ("." + GOOD.split(".", 1)[1], "malformed-token"),
    "impossible length": (GOOD.rsplit(".", 1)[0] + ".AAAAA", "malformed-token"),
    "loose last bits": (GOOD.rsplit(".", 1)[0] + ".AB", "malformed-token"),
    "JSON serialization": (
        json.dumps({"protected": "AAAA", "payload": "AAAA", "signature": "AA"}),
        "malformed-token",
    ),
    "other digits": (GOOD.replace("e", "\u0435"), "malformed-token"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_not_three_canonical_segments_is_refused(name: str) -> None:
    text, reason = SHAPES[name]
    assert refusal(text) == reason


HEADERS: dict[str, tuple[object, str]] = {
    "alg none": ({**HEADER, "alg": "none"}, "wrong-algorithm"),
    "alg None": ({**HEADER, "alg": "None"}, "wrong-algorithm"),
    "alg nOnE": ({**HEADER, "alg": "nOnE"}, "wrong-algorithm"),
    "alg empty": ({**HEADER, "alg": ""}, "wrong-algorithm"),
    "alg null": ({**HEADER, "alg": None}, "wrong-algorithm"),
    "alg list": ({**HEADER, "alg": ["RS256"]}, "wrong-algorithm"),
    "alg missing": ({"typ": "JWT", "kid": "key-1"}, "wrong-algorithm"),
    "alg lower case": ({**HEADER, "alg": "rs256"}, "wrong-algorithm"),
    **{f"alg {alg}": ({**HEADER, "alg": alg}, "wrong-algorithm") for alg in ("HS256", "RS384", "PS256", "ES256")},
    "typ missing": ({"alg": "RS256", "kid": "key-1"}, "wrong-type"),
    "typ other": ({**HEADER, "typ": "at+jwt"}, "wrong-type"),
    "typ number": ({**HEADER, "typ": 1}, "wrong-type"),
    "kid missing": ({"typ": "JWT", "alg": "RS256"}, "bad-key-id"),
    "kid empty": ({**HEADER, "kid": ""}, "bad-key-id"),
    "kid number": ({**HEADER, "kid": 1}, "bad-key-id"),
    "kid null": ({**HEADER, "kid": None}, "bad-key-id"),
    "kid path": ({**HEADER, "kid": "../../etc/passwd"}, "bad-key-id"),
    "kid SQL": ({**HEADER, "kid": "' OR 1=1 --"}, "bad-key-id"),
    "kid NUL": ({**HEADER, "kid": "key-1\x00"}, "bad-key-id"),
    "kid newline": ({**HEADER, "kid": "key-1\n"}, "bad-key-id"),
    "kid long": ({**HEADER, "kid": "k" * 129}, "bad-key-id"),
    "kid of a megabyte": ({**HEADER, "kid": "k" * 8000}, "malformed-header"),
    "x5t number": ({**HEADER, "x5t": 1}, "malformed-header"),
    "jku": ({**HEADER, "jku": "https://evil.example/keys"}, "key-in-header"),
    "x5u": ({**HEADER, "x5u": "https://evil.example/cert"}, "key-in-header"),
    "x5c": ({**HEADER, "x5c": ["AAAA"]}, "key-in-header"),
    "jwk": ({**HEADER, "jwk": {"kty": "RSA"}}, "key-in-header"),
    "crit": ({**HEADER, "crit": ["exp"]}, "header-parameter"),
    "crit empty": ({**HEADER, "crit": []}, "header-parameter"),
    "b64": ({**HEADER, "b64": False}, "header-parameter"),
    "zip": ({**HEADER, "zip": "DEF"}, "header-parameter"),
    "cty": ({**HEADER, "cty": "JWT"}, "header-parameter"),
    "unknown": ({**HEADER, "ver": "1"}, "header-parameter"),
    "nonce": ({**HEADER, "nonce": "n"}, "graph-token"),
    "alg twice": (b'{"typ":"JWT","alg":"none","alg":"RS256","kid":"key-1"}', "malformed-header"),
    "kid twice": (b'{"typ":"JWT","kid":"x","alg":"RS256","kid":"key-1"}', "malformed-header"),
    "kid twice by escape": (b'{"typ":"JWT","k\\u0069d":"x","alg":"RS256","kid":"key-1"}', "malformed-header"),
    "list": ([], "malformed-header"),
    "not JSON": (b"{", "malformed-header"),
    "not UTF-8": (b'{"kid":"\xff"}', "malformed-header"),
}


@table("name", HEADERS)
def test_what_is_not_a_plain_header_is_refused(name: str) -> None:
    header, reason = HEADERS[name]
    assert refusal(token(header)) == reason


JSON_FAULTS = {
    "name twice deep inside": (b'{"a":{"b":[{"c":1,"c":2}]}}', "twice"),
    "NaN": (b'{"a":NaN}', "number"),
    "Infinity": (b'{"a":Infinity}', "number"),
    "minus Infinity": (b'{"a":-Infinity}', "number"),
    "nine levels": (b'{"a":' + b"[" * 8 + b"]" * 8 + b"}", "deeply"),
    "five thousand levels": (b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "deeply"),
    "thirty thousand levels": (b'{"a":' * 30_000, "deeply"),
    "half a surrogate pair": (b'{"a":"\\ud800"}', "Unicode"),
    "half a pair as a name": (b'{"\\udfff":1}', "Unicode"),
    "number of 5000 digits": (b'{"a":' + b"9" * 5000 + b"}", "not JSON"),
    "byte order mark": (b"\xef\xbb\xbf{}", "not JSON"),
    "text after it": (b"{} {}", "not JSON"),
    "single quotes": (b"{'a':1}", "not JSON"),
    "null": (b"null", "object"),
    "text": (b'"a"', "object"),
    "UTF-16": ('{"a":1}'.encode("utf-16"), "UTF-8"),
}


@pytest.mark.parametrize("name", JSON_FAULTS)
def test_json_that_readers_could_read_differently_is_refused(name: str) -> None:
    data, expected = JSON_FAULTS[name]
    with pytest.raises(StrictJsonError, match=expected):
        read_object(data)


def test_eight_levels_and_whole_pairs_are_read() -> None:
    assert read_object(b'{"a":' + b"[" * 7 + b"]" * 7 + b"}") == {"a": [[[[[[[]]]]]]]}
    assert read_object(b'{"a":"\\ud83d\\ude00 \xc3\xbc"}') == {"a": "\U0001f600 ü"}


@pytest.mark.parametrize("data", [b"\x00", b"ab", b"abc", b"\xff" * 5])
def test_every_value_has_one_spelling(data: bytes) -> None:
    assert unbase64url(b64(data)) == data
