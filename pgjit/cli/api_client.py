"""Calls pgjit's HTTP API with the person's own token, and turns each problem response into the error that it is.

Decides how often a call is repeated, and what is reported where the API does not answer. Does not know what the calls
mean.

INVARIANT: a token goes over TLS only, to the address that was given: no redirect is followed, and no proxy of
the environment is used.
"""

from __future__ import annotations

import re
import ssl
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx

from pgjit.audit.plain_text import plain
from pgjit.errors import PgjitError, ServerUnavailable

__all__ = ["ApiClient", "ApiProblem", "ApiUnreachable", "Item", "ItemList", "transport"]

Item = dict[str, Any]
"""An object of the API, as its JSON has it."""

_SECONDS: Final = 30.0
_MOST_BYTES: Final = 16 * 1024 * 1024
_MOST_SHOWN: Final = 1000
_TRIES: Final = 2
_TEXTS: Final = ("detail", "hint")


class ApiProblem(PgjitError):
    """The API refused the call. The text is the API's own."""

    sqlstate = "28000"

    def __init__(self, problem: Item, status: int) -> None:
        kind = str(problem.get("type", ""))
        reference = str(problem.get("reference") or kind.removeprefix("urn:pgjit:error:"))
        title = _shown(str(problem.get("title") or f"call was refused with status {status}"))
        detail, hint = (_shown(text) if isinstance(text := problem.get(name), str) else None for name in _TEXTS)
        known = re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", reference)
        super().__init__(title, reference=reference if known else "api-refused", detail=detail, hint=hint)
        self.http_status = status
        faults = problem.get("faults")
        self.faults = tuple(str(each) for each in faults) if isinstance(faults, list) else ()


class ApiUnreachable(ServerUnavailable):
    """The API does not answer, or what answers is not the API."""


def transport(ca: str) -> httpx.BaseTransport:
    """The way to the API. `ca` is a file of CA certificates, or `system`. Raises OSError."""
    context = ssl.create_default_context(cafile=None if ca == "system" else ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return httpx.HTTPTransport(verify=context, trust_env=False)


class ItemList(Iterator[Item]):
    """The items of a list, page after page, at most `most`. Each page is fetched when it is reached."""

    def __init__(self, fetch_page: Callable[[str | None], Item], most: int | None = None) -> None:
        self.complete: bool | None = None  # as the API reports it so far: false if one page lacked items
        self._fetch_page = fetch_page
        self._items = islice(self._all(), most)

    def __next__(self) -> Item:
        return next(self._items)

    def _all(self) -> Iterator[Item]:
        cursor = None
        while True:
            page = self._fetch_page(cursor)
            if isinstance(complete := page.get("complete"), bool):
                self.complete = complete and self.complete is not False
            yield from page.get("items") or ()
            following = page.get("next")
            if not following or following == cursor:
                return
            cursor = following


class ApiClient:
    """`fetch_token` is called for the first call, and again when the API refuses the token that it gave before."""

    def __init__(self, url: str, fetch_token: Callable[[], str], way: httpx.BaseTransport) -> None:
        self._url = _checked(url)
        self._fetch_token = fetch_token
        self._token: str | None = None
        self._accepted = False  # the API has accepted this token before: if it does not now, the token is over
        self._http = httpx.Client(
            transport=way, trust_env=False, follow_redirects=False, timeout=httpx.Timeout(_SECONDS, connect=10.0)
        )

    def __enter__(self) -> ApiClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.close()

    def get(self, *path: str, **query: str | None) -> Item:
        return self._call("GET", path, query)

    def post(self, *path: str, body: Item) -> Item:
        """A call that is repeated after a broken connection bears the same key, so that it is carried out once."""
        return self._call("POST", path, {}, {name: value for name, value in body.items() if value is not None})

    def delete(self, *path: str, **query: str | None) -> Item:
        return self._call("DELETE", path, query)

    def items(self, *path: str, most: int | None = None, **query: str | None) -> ItemList:
        return ItemList(lambda cursor: self.get(*path, **query, cursor=cursor), most)

    @contextmanager
    def event_lines(self) -> Iterator[Iterator[str] | None]:
        """The lines of the API's stream of events; None where it has none for this caller."""
        headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {self._current_token()}"}
        with self._http.stream("GET", f"{self._url}/api/v1/events", headers=headers) as response:
            kind = response.headers.get("content-type", "")
            yield response.iter_lines() if response.is_success and kind.startswith("text/event-stream") else None

    def _current_token(self) -> str:
        if self._token is None:
            self._token = self._fetch_token()
        return self._token

    def _call(
        self, method: str, path: tuple[str, ...], query: dict[str, str | None], body: Item | None = None
    ) -> Item:
        place = "/".join(("api/v1", *(_segment(each) for each in path)))
        request = {
            "params": {name: value for name, value in query.items() if value is not None},
            **({} if body is None else {"json": body}),
        }
        headers = {"Accept": "application/json, application/problem+json"}
        if method == "POST":
            headers["Idempotency-Key"] = str(uuid.uuid4())
        response = self._answer(method, f"{self._url}/{place}", headers, request)
        if response.status_code == httpx.codes.UNAUTHORIZED and self._accepted:
            self._token = None
            response = self._answer(method, f"{self._url}/{place}", headers, request)
        self._accepted = response.status_code != httpx.codes.UNAUTHORIZED
        return self._read(response)

    def _answer(self, method: str, url: str, headers: dict[str, str], request: dict[str, Any]) -> httpx.Response:
        headers = {**headers, "Authorization": f"Bearer {self._current_token()}"}
        for attempt in range(_TRIES):
            try:
                with self._http.stream(method, url, headers=headers, **request) as response:
                    return _whole(response)
            except (httpx.ReadError, httpx.RemoteProtocolError, httpx.WriteError) as fault:
                if attempt == _TRIES - 1:
                    raise self._unreachable(fault) from None
            except (httpx.HTTPError, httpx.InvalidURL) as fault:
                raise self._unreachable(fault) from None
        raise AssertionError("the last attempt returns or raises")

    def _read(self, response: httpx.Response) -> Item:
        if response.status_code == httpx.codes.NO_CONTENT:
            return {}
        kind = response.headers.get("content-type", "").partition(";")[0].strip()
        try:
            content = response.json() if kind in ("application/json", "application/problem+json") else None
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise ApiUnreachable(
                f"what answers at {self._url} is not pgjit's API",
                reference="not-the-api",
                detail=f"The status is {response.status_code}, the content type `{_shown(kind)}`.",
                hint="Give the address of `api.listen` with --api, or set PGJIT_API.",
            )
        if response.is_success:
            return content
        problem = ApiProblem(content, response.status_code)
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise ApiUnreachable(
                problem.message, reference=problem.reference, detail=problem.detail, hint=problem.hint
            )
        raise problem

    def _unreachable(self, fault: Exception) -> ApiUnreachable:
        text = _shown(str(fault) or type(fault).__name__)
        untrusted = "CERTIFICATE_VERIFY_FAILED" in text
        return ApiUnreachable(
            f"the API at {self._url} cannot be reached",
            reference="api-unreachable",
            detail=f"{text[:1].upper()}{text[1:]}.",
            hint="Give the CA of the API's certificate with --ca, or set PGJIT_API_CA."
            if untrusted
            else "Check --api (or PGJIT_API), and that the proxy runs with an `api` section.",
        )


def _whole(response: httpx.Response) -> httpx.Response:
    content = bytearray()
    for part in response.iter_bytes():
        content += part
        if len(content) > _MOST_BYTES:
            raise httpx.DecodingError(f"the response has more than {_MOST_BYTES} bytes")
    headers = {"content-type": response.headers.get("content-type", "")}
    return httpx.Response(response.status_code, headers=headers, content=bytes(content))


def _checked(url: str) -> str:
    """The address without a slash at its end. Raises ApiUnreachable."""
    address = urlsplit(url)
    if address.scheme == "https" and address.hostname and not (address.query or address.fragment or address.username):
        return url.rstrip("/").removesuffix("/api/v1")
    raise ApiUnreachable(
        f"`{_shown(url)}` is not an address of the API",
        reference="api-address",
        detail="A token goes over TLS only: the address begins with https:// and names the host.",
        hint="For example: --api https://pgjit.example.com:8432",
    )


def _segment(text: str) -> str:
    """One part of a path. An id that has a slash or dots does not lead to another path."""
    return quote(text, safe="").replace(".", "%2E")


def _shown(text: str) -> str:
    return plain(" ".join(text.split()))[:_MOST_SHOWN]
