"""A key endpoint that answers as a test sets it, a clock to go with it, and the answers that must not be trusted."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable

import httpx

from pgjit.demo.emulator.issuer import SigningKey, base64url
from pgjit.identity.signing_keys import KeySource

__all__ = [
    "AUTHORITY",
    "DAY",
    "HOUR",
    "ISSUER",
    "KEYS_PATH",
    "METADATA_PATH",
    "NEW",
    "OLD",
    "PLACE",
    "TENANT",
    "UNTRUSTED",
    "Endpoint",
    "Pace",
    "answers",
    "key_set",
    "unreachable",
]

AUTHORITY = "https://login.example"
TENANT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
ISSUER = f"{AUTHORITY}/{TENANT}/v2.0"
METADATA_PATH = f"/{TENANT}/v2.0/.well-known/openid-configuration"
KEYS_PATH = f"/{TENANT}/discovery/v2.0/keys"
METADATA = {"issuer": ISSUER, "jwks_uri": AUTHORITY + KEYS_PATH}
PLACE = KeySource(issuer=ISSUER, metadata=AUTHORITY + METADATA_PATH, tenant=TENANT)
HOUR, DAY = 3600.0, 24 * 3600.0

OLD, NEW = SigningKey(), SigningKey()

Answer = Callable[[httpx.Request], httpx.Response]


def key_set(*keys: SigningKey, **changes: object) -> dict[str, list[dict[str, object]]]:
    return {"keys": [{**key.published(ISSUER), **changes} for key in keys]}


def answers(metadata: object = METADATA, keys: object = None) -> Answer:
    """Whole documents as JSON; a response is given as it is."""

    def answer(request: httpx.Request) -> httpx.Response:
        body = metadata if request.url.path == METADATA_PATH else keys
        return body if isinstance(body, httpx.Response) else httpx.Response(200, json=body)

    return answer


def unreachable(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("no route", request=request)


class Endpoint(httpx.AsyncBaseTransport):
    """Answers as a test sets it, and keeps the URLs that were requested."""

    def __init__(self) -> None:
        self.answer: Answer = answers(keys=key_set(OLD))
        self.hold: asyncio.Event | None = None
        self.requested: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requested.append(str(request.url))
        if self.hold is not None:
            await self.hold.wait()
        response = self.answer(request)
        if response.is_closed:  # made of whole bytes: to be read from a stream, as what comes by network is
            stream = httpx.ByteStream(response.content)
            return httpx.Response(response.status_code, headers=response.headers, stream=stream)
        return response

    @property
    def fetches(self) -> int:
        return sum(METADATA_PATH in url for url in self.requested)


class Pace:
    """A clock, and a sleep that lasts until the test moves the clock on."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._asleep = asyncio.Event()
        self._wake = asyncio.Event()

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._asleep.set()
        await self._wake.wait()
        self._wake.clear()

    async def until_asleep(self) -> None:
        await self._asleep.wait()

    async def next_round(self) -> None:
        """Let the time pass that is slept for, and the fetch after it happen."""
        await self.until_asleep()
        self.now += self.slept[-1]
        self._asleep.clear()
        self._wake.set()
        await self.until_asleep()


def json_text(value: object) -> bytes:
    return json.dumps(value).encode()


def typed(content: bytes, **headers: str) -> httpx.Response:
    return httpx.Response(200, content=content, headers={"content-type": "application/json", **headers})


GOOD_SET = key_set(NEW)
REDIRECT = httpx.Response(302, headers={"location": AUTHORITY + KEYS_PATH})
BODIES: dict[str, tuple[object, str]] = {
    "error": (httpx.Response(500, json=GOOD_SET), "answered 500"),
    "redirect": (REDIRECT, "answered 302"),
    "HTML": (httpx.Response(200, html="<html>sign in</html>"), "is not JSON"),
    "JSON called HTML": (httpx.Response(200, html=json.dumps(GOOD_SET)), "is not JSON"),
    "HTML called JSON": (typed(b"<html></html>"), "is not JSON"),
    "empty": (typed(b""), "is not JSON"),
    "list": (typed(b"[]"), "is not a JSON object"),
    "name twice": (typed(b'{"keys":[],' + json_text(GOOD_SET)[1:]), "holds a name twice"),
    "nested": (typed(b'{"keys":' * 9000), "is nested too deeply"),
    "huge": (typed(b" " * (512 * 1024) + json_text(GOOD_SET)), "is larger than"),
    "compressed": (typed(gzip.compress(json_text(GOOD_SET)), **{"content-encoding": "gzip"}), "is compressed"),
}
_ODD: dict[str, dict[str, object]] = {
    "elliptic": {"kty": "EC"},
    "for encryption": {"use": "enc"},
    "for another algorithm": {"alg": "RS512"},
    "of another issuer": {"issuer": f"{AUTHORITY}/other/v2.0"},
    "of an issuer that is not text": {"issuer": [ISSUER]},
    "512 bits": {"n": base64url(b"\xff" * 64)},
    "2047 bits": {"n": base64url(b"\x7f" + b"\xff" * 255)},
    "16384 bits": {"n": base64url(b"\xff" * 2048)},
    "exponent 3": {"e": "Aw"},
    "an even exponent": {"e": base64url(b"\x01\x00\x02")},
    "padded numbers": {"e": "AQAB=="},
    "numbers that are not text": {"n": 5},
    "without an id": {"kid": None},
    "with an odd id": {"kid": "a\nb"},
}
KEY_SETS: dict[str, tuple[object, str]] = {
    "no keys": ({"keys": []}, "no key that can be used"),
    "no list": ({"keys": {}}, "not a list"),
    "no member": ({}, "not a list"),
    "too many": ({"keys": [{}] * 1001}, "not a list of at most 1000"),
    "not keys": ({"keys": [1]}, "not a key"),
    "private members": (key_set(NEW, d="AQAB"), "shows private keys"),
    "private members of another kind": (
        {"keys": [*GOOD_SET["keys"], {"kty": "oct", "k": "AQ"}]},
        "shows private keys",
    ),
    "key id twice": (key_set(NEW, NEW), "a key id twice"),
    **{f"only {what}": (key_set(NEW, **changes), "no key that can be used") for what, changes in _ODD.items()},
}
PLACES: dict[object, str] = {
    "https://evil.example/keys": "on another host",
    f"http://login.example{KEYS_PATH}": "on another host",
    f"https://login.example:8443{KEYS_PATH}": "on another host",
    f"https://login.example.evil.example{KEYS_PATH}": "on another host",
    f"https://login.example@evil.example{KEYS_PATH}": "on another host",
    f"https://user:secret@login.example{KEYS_PATH}": "on another host",
    "https://169.254.169.254/latest": "on another host",
    "file:///etc/passwd": "on another host",
    "//evil.example/keys": "on another host",
    KEYS_PATH: "on another host",
    "": "on another host",
    "https://login.example:port/": "no valid `jwks_uri`",
    5: "no valid `jwks_uri`",
    None: "no valid `jwks_uri`",
}
UNTRUSTED: dict[str, tuple[Answer, str]] = {
    "unreachable": (unreachable, "ConnectError"),
    **{f"keys: {name}": (answers(keys=body), expected) for name, (body, expected) in BODIES.items()},
    **{f"metadata: {name}": (answers(body, GOOD_SET), expected) for name, (body, expected) in BODIES.items()},
    **{name: (answers(keys=document), expected) for name, (document, expected) in KEY_SETS.items()},
    **{
        f"keys at {place!r}"[:60]: (answers({**METADATA, "jwks_uri": place}, GOOD_SET), expected)
        for place, expected in PLACES.items()
    },
    **{
        f"issuer {issuer!r}": (answers({**METADATA, "issuer": issuer}, GOOD_SET), "of another issuer")
        for issuer in ("https://evil.example/v2.0", AUTHORITY + "/{tenantid}/v2.0", ISSUER + "/", [ISSUER], None)
    },
}
