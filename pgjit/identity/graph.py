"""Microsoft Graph as directory: which groups named by policies a principal is a member of.

Decides the queries, and which answers are valid. URLs are built from the configuration and the object id of a
verified token, never from other parts of a token or from an answer. Does not decide when a membership is looked up.
"""

from __future__ import annotations

import asyncio
import email.utils
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

import httpx

from pgjit.errors import InvalidFile
from pgjit.identity.client_credentials import (
    ClientCertificate,
    ClientCredentialsTokens,
    ClientProof,
    ClientSecret,
    FederatedToken,
    TokenSource,
)
from pgjit.identity.directory import DirectoryAnswer, DirectoryUnavailable, Owners, Principal, PrincipalState
from pgjit.identity.entra_claims import GUID
from pgjit.identity.fetch import PLAIN, AnswerRefused, client_for, read_answer
from pgjit.identity.graph_owners import GraphRefused, read_owners
from pgjit.identity.identity import GroupId, IdentityKey
from pgjit.identity.managed_identity_tokens import ManagedIdentityTokens
from pgjit.identity.section import GraphSection, IdentitySection
from pgjit.identity.url_checks import origin_faults

__all__ = ["GraphDirectory", "GraphSettings", "graph_from_section"]

T = TypeVar("T")

BATCH: Final = 20  # groups that one checkMemberGroups takes
_LOOK_UP_SECONDS: Final = 10.0
_PAUSE: Final = timedelta(seconds=30)  # without a Retry-After header
_LONGEST_PAUSE: Final = timedelta(minutes=10)
_NOT_FOUND: Final = "Request_ResourceNotFound"
_FIRST_PARTY_CLIENTS: Final = frozenset({
    "04b07795-8ddb-461a-bbee-02f9e1bf7b46",  # Azure CLI
    "1950a258-227b-4e31-a9cf-717495945fc2",  # Azure PowerShell
    "872cd9fa-d31f-45e0-9eab-6e460a02d1f1",  # Visual Studio
    "aebc6443-996d-45c2-90f0-388ff96faa56",  # Visual Studio Code
})  # fmt: skip
"""Microsoft's own clients, with which people sign in: a tenant may have no service principal for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSettings:
    """The validated settings. Raises InvalidFile with all faults."""

    url: str
    authority: str
    client_id: str | None  # of the app registration; or of the managed identity, if there are several
    proof: ClientProof | None  # None: this machine's managed identity
    allow_http: bool = False

    def __post_init__(self) -> None:
        faults = origin_faults("graph.url", self.url, allow_http=self.allow_http)
        faults += origin_faults("authority", self.authority, allow_http=self.allow_http)
        if not (GUID.match(self.client_id) if self.client_id else self.proof is None):
            faults.append("`graph.client_id` is not a GUID")
        if faults:
            raise InvalidFile("identity configuration", faults)
        object.__setattr__(self, "url", self.url.removesuffix("/"))
        object.__setattr__(self, "authority", self.authority.removesuffix("/"))


class GraphDirectory:
    def __init__(self, settings: GraphSettings, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = settings.url
        self._client = client_for(settings.url, transport)
        self._tokens = _tokens(settings, self._client)
        self._quiet_until: dict[str, datetime] = {}

    async def close(self) -> None:
        await self._tokens.close()
        await self._client.aclose()

    async def look_up(self, principal: Principal, groups: Iterable[GroupId], now: datetime) -> DirectoryAnswer:
        """The state and memberships of the principal. Raises DirectoryUnavailable."""
        return await self._bounded(principal.key.tid, lambda: self._look_up(principal, groups, now), now)

    async def owners(self, key: IdentityKey, now: datetime) -> Owners:
        """Its owners, and the sponsors of an agent. Raises DirectoryUnavailable."""

        def read(path: str) -> Awaitable[dict[str, object] | None]:
            return self._ask(key.tid, "GET", path, None, now)

        if key.oid in _FIRST_PARTY_CLIENTS or not GUID.match(key.oid):
            return Owners()
        return await self._bounded(key.tid, lambda: read_owners(key, read), now)

    async def _bounded(self, tenant: str, query: Callable[[], Awaitable[T]], now: datetime) -> T:
        """The result of the query, within the time limit. Raises DirectoryUnavailable."""
        if now < (until := self._quiet_until.get(tenant, now)):
            raise DirectoryUnavailable("Graph has asked for a pause", retry_after=until - now)
        try:
            async with asyncio.timeout(_LOOK_UP_SECONDS):
                return await query()
        except TimeoutError:
            fault = f"no whole answer within {_LOOK_UP_SECONDS:g} s"
        except AnswerRefused as refused:
            fault = str(refused)
        except httpx.HTTPError as failed:
            fault = type(failed).__name__  # its text could quote what was sent
        except DirectoryUnavailable as unavailable:
            if unavailable.retry_after is not None:
                self._quiet_until[tenant] = now + unavailable.retry_after
            raise
        raise DirectoryUnavailable(fault)

    async def _look_up(self, principal: Principal, groups: Iterable[GroupId], now: datetime) -> DirectoryAnswer:
        if principal.acting:
            return DirectoryAnswer(at=now, state=await self._state_of_app(principal.key, now), groups=frozenset())
        queried = sorted(group for group in groups if GUID.match(group))
        place = f"/v1.0/{'users' if principal.is_user else 'servicePrincipals'}/{principal.key.oid}"
        batches = [queried[start : start + BATCH] for start in range(0, len(queried), BATCH)]
        state, *found = await _together(
            self._state(principal.key, place, now),
            *(self._members(principal, place, batch, now) for batch in batches),
        )
        if not isinstance(state, PrincipalState) or any(each is None for each in found):
            return DirectoryAnswer(at=now, state=PrincipalState.DELETED, groups=frozenset())
        member = frozenset(group for each in found if isinstance(each, frozenset) for group in each)
        return DirectoryAnswer(at=now, state=state, groups=member)

    async def _state(self, key: IdentityKey, place: str, now: datetime, name: str = "id") -> PrincipalState | None:
        """Whether the account is enabled; None if it does not exist. `name`: the property that holds `key.oid`."""
        answer = await self._ask(key.tid, "GET", f"{place}?$select={name},accountEnabled", None, now)
        if answer is None:
            return None
        object_id, enabled = answer.get(name), answer.get("accountEnabled")
        if not isinstance(object_id, str) or object_id.lower() != key.oid or not isinstance(enabled, bool):
            raise AnswerRefused("Graph's answer does not show whether the principal is enabled")
        return PrincipalState.ENABLED if enabled else PrincipalState.DISABLED

    async def _state_of_app(self, key: IdentityKey, now: datetime) -> PrincipalState:
        """The state of the service principal with a client id. An agent's may be found by its object id alone."""
        places = ((f"(appId='{key.oid}')", "appId"), (f"/{key.oid}", "id"))
        for place, name in places:
            state = await self._state(key, f"/v1.0/servicePrincipals{place}", now, name)
            if state is not None:
                return state
        return PrincipalState.ENABLED if key.oid in _FIRST_PARTY_CLIENTS else PrincipalState.DELETED

    async def _members(
        self, principal: Principal, place: str, batch: list[GroupId], now: datetime
    ) -> frozenset[GroupId] | None:
        """Those of `batch` that it is a member of; None if there is no such principal."""
        answer = await self._ask(
            principal.key.tid, "POST", f"{place}/checkMemberGroups", {"groupIds": list(batch)}, now
        )
        if answer is None:
            return None
        value = answer.get("value")
        if "@odata.nextLink" in answer:
            raise AnswerRefused("Graph's answer is not a whole one")
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise AnswerRefused("Graph's answer is not a list of groups")
        member = frozenset(GroupId(each.lower()) for each in value)
        if not member <= set(batch):
            raise AnswerRefused("Graph's answer names groups that were not queried")
        return member

    async def _ask(
        self, tenant: str, method: str, path: str, body: Mapping[str, object] | None, now: datetime
    ) -> dict[str, object] | None:
        """The response's JSON object; None if Graph reports that there is no such object."""
        for attempt in range(2):
            token = await self._tokens.get(tenant, now)
            headers = {**PLAIN, "Authorization": f"Bearer {token}"}
            async with self._client.stream(
                method, self._url + path, json=body, headers=headers, follow_redirects=False
            ) as response:
                if response.status_code == httpx.codes.UNAUTHORIZED and attempt == 0:
                    self._tokens.drop(tenant, token)  # it may be revoked: retry with a new one
                    continue
                return await _answer(response, now)
        raise AssertionError("the second attempt returns or raises")


Part = PrincipalState | frozenset[GroupId] | None


async def _together(*questions: Coroutine[None, None, Part]) -> list[Part]:
    """All answers. The first error cancels the other queries."""
    tasks = [asyncio.create_task(question) for question in questions]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _answer(response: httpx.Response, now: datetime) -> dict[str, object] | None:
    match response.status_code:
        case 200:
            return await read_answer(response)
        case 404:
            error = (await read_answer(response)).get("error")
            if isinstance(error, dict) and error.get("code") == _NOT_FOUND:
                return None
            raise DirectoryUnavailable("Graph answered 404, and not for the principal")
        case 429 | 503 as status:
            pause = _retry_after(response.headers.get("retry-after", ""), now)
            raise DirectoryUnavailable(f"Graph answered {status}", retry_after=pause)
        case status:
            raise GraphRefused(status)


def _retry_after(text: str, now: datetime) -> timedelta:
    """A Retry-After header: seconds, or a date (RFC 9110, 10.2.3)."""
    text = text.strip()
    if text.isascii() and text.isdecimal() and len(text) <= 9:
        pause = timedelta(seconds=int(text))
    else:
        try:
            moment = email.utils.parsedate_to_datetime(text)
        except ValueError:
            return _PAUSE
        pause = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    return min(max(pause, timedelta(seconds=1)), _LONGEST_PAUSE)


def _tokens(settings: GraphSettings, client: httpx.AsyncClient) -> TokenSource:
    scope = f"{settings.url}/.default"
    if settings.proof is None or settings.client_id is None:
        return ManagedIdentityTokens(scope, settings.client_id)
    return ClientCredentialsTokens(
        client=client,
        authority=settings.authority,
        client_id=settings.client_id,
        scope=scope,
        proof=settings.proof,
    )


def graph_from_section(section: IdentitySection, folder: Path) -> GraphDirectory | None:
    """The directory in the configuration, if there is one. Raises InvalidFile."""
    graph = section.graph
    if graph is None:
        return None
    settings = GraphSettings(
        url=graph.url,
        authority=section.authority,
        client_id=graph.client_id,
        proof=_proof(graph, folder),
        allow_http=section.allow_http,
    )
    return GraphDirectory(settings)


def _proof(graph: GraphSection, folder: Path) -> ClientProof | None:
    if graph.managed_identity:
        return None
    if graph.federated_token is not None:
        return FederatedToken(folder / graph.federated_token)
    if graph.secret is not None and graph.secret.env is not None:
        secret = os.environ.get(graph.secret.env, "")
        return ClientSecret(lambda: secret)
    if graph.secret is not None and graph.secret.file is not None:
        path = folder / graph.secret.file
        return ClientSecret(lambda: path.read_text("ascii").removesuffix("\n"))
    assert graph.client_id is not None
    assert graph.certificate is not None
    assert graph.key is not None
    proof = ClientCertificate(folder / graph.certificate, folder / graph.key)
    try:
        proof.parameters(graph.client_id, "checked", datetime.now(UTC))
    except (OSError, ValueError) as fault:
        raise InvalidFile("identity configuration", [f"`graph.certificate`: {fault}"]) from None
    return proof
