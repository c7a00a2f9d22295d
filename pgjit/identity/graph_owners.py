"""To whom an app or agent belongs, by Microsoft Graph: the queries, and which answers are valid.

Owners are those of the service principal and of the app registration in this tenant; an agent has sponsors as well.
INVARIANT: a list that may lack somebody is no answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from pgjit.identity.directory import DirectoryUnavailable, Owners
from pgjit.identity.entra_claims import GUID
from pgjit.identity.fetch import AnswerRefused
from pgjit.identity.identity import GroupId, IdentityKey

__all__ = ["GraphRefused", "read_owners"]

Read = Callable[[str], Awaitable[dict[str, object] | None]]
"""The JSON object at a path; None if there is no such object."""

_MOST: Final = 500
_AGENTS: Final = {
    "#microsoft.graph.agentIdentity": "agentIdentity",
    "#microsoft.graph.agentIdentityBlueprintPrincipal": "agentIdentityBlueprintPrincipal",
}
_GROUP: Final = "#microsoft.graph.group"


class GraphRefused(DirectoryUnavailable):
    """Graph answered a query with an error."""

    def __init__(self, status: int) -> None:
        super().__init__(f"Graph answered {status}")
        self.status = status


async def read_owners(key: IdentityKey, read: Read) -> Owners:
    """Raises AnswerRefused and DirectoryUnavailable."""
    select = "$select=id,appId,servicePrincipalType"
    found = await read(f"/v1.0/servicePrincipals/{key.oid}?{select}")
    if found is None:
        found = await read(f"/v1.0/servicePrincipals(appId='{key.oid}')?{select}")
    if found is None:
        return Owners()
    object_id, app_id = _guid(found.get("id")), _guid(found.get("appId"))
    if key.oid not in (object_id, app_id):
        raise AnswerRefused("Graph's answer is about another principal")
    place = f"/v1.0/servicePrincipals/{object_id}"
    lists = [await _list(read, f"{place}/owners")]
    if lists[0] is None:
        raise AnswerRefused("Graph's answer lacks the owners of a principal that it knows")
    # None: the registration is in another tenant, or there is none, as for a managed identity.
    lists.append(await _list(read, f"/v1.0/applications(appId='{app_id}')/owners"))
    lists.append(await _sponsors(read, place, found))
    return _owners(key.tid, (each for one in lists for each in one or ()))


async def _sponsors(read: Read, place: str, found: dict[str, object]) -> list[dict[str, object]] | None:
    """The sponsors of an agent or a blueprint; None for other apps."""
    kind = _AGENTS.get(str(found.get("@odata.type")))
    if kind is not None or found.get("servicePrincipalType") == "ServiceIdentity":
        sponsors = await _list(read, f"{place}/microsoft.graph.{kind or 'agentIdentity'}/sponsors")
        if sponsors is None:
            raise AnswerRefused("Graph's answer lacks the sponsors of an agent")
        return sponsors
    return None


async def _list(read: Read, path: str) -> list[dict[str, object]] | None:
    answer = await read(f"{path}?$select=id&$top={_MOST}")
    if answer is None:
        return None
    value = answer.get("value")
    if "@odata.nextLink" in answer or not isinstance(value, list) or len(value) > _MOST:
        raise AnswerRefused("Graph's answer is not a whole list")
    if not all(isinstance(each, dict) and isinstance(each.get("@odata.type"), str) for each in value):
        raise AnswerRefused("Graph's answer is not a list of principals")
    return value


def _owners(tenant: str, found: Iterable[dict[str, object]]) -> Owners:
    principals: set[IdentityKey] = set()
    groups: set[GroupId] = set()
    for each in found:
        object_id = _guid(each.get("id"))
        if each["@odata.type"] == _GROUP:
            groups.add(GroupId(object_id))
        else:
            principals.add(IdentityKey(tenant, object_id))
    return Owners(principals=frozenset(principals), groups=frozenset(groups))


def _guid(value: object) -> str:
    if not isinstance(value, str) or not GUID.match(value.lower()):
        raise AnswerRefused("Graph's answer lacks an id")
    return value.lower()
