"""What callers send: the bodies of POST. Values only.

Decides names and bounds; unknown members are refused. Moments need a time zone.
"""

from __future__ import annotations

import uuid
from typing import Annotated, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from pgjit.api.refusals import InvalidCall
from pgjit.grants.scope import Scope, ScopeKind

__all__ = [
    "ApprovalBody",
    "LockBody",
    "ReasonBody",
    "RefusalBody",
    "RequestBody",
    "ScopeBody",
    "SignOffBody",
    "SqlBody",
    "SqlText",
    "StatementBody",
    "WithdrawalBody",
    "guid_or_text",
    "identity_target",
]

# Text that people read: no control characters but tab and line ends.
_TEXT: Final = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"
Text = Annotated[str, Field(max_length=1000, pattern=_TEXT)]
Needed = Annotated[str, Field(min_length=1, max_length=1000, pattern=_TEXT)]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
SqlText = Annotated[str, Field(min_length=1, max_length=4096, pattern=_TEXT)]
Seconds = Annotated[int, Field(ge=1, le=31_536_000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RequestBody(_Body):
    policy: Name
    connection: Name | None = None
    reason: Text | None = None
    ticket: Text | None = None
    ttl_seconds: Seconds | None = None


class ApprovalBody(_Body):
    """`digest`: of the request as the reviewer has read it; an approval of anything else is void."""

    comment: Text | None = None
    ttl_seconds: Seconds | None = None
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None


class SqlBody(_Body):
    """A SELECT over the journal's views, as `pgjit audit sql` takes it. `characters`: longer values are cut."""

    query: SqlText
    limit: Annotated[int, Field(ge=1, le=10_000)] = 1000
    characters: Annotated[int, Field(ge=20, le=100_000)] | None = None


class StatementBody(_Body):
    """The text of one message, as a client might send it: any characters at all."""

    sql: Annotated[str, Field(max_length=50_000)]


class ReasonBody(_Body):
    reason: Needed


class RefusalBody(_Body):
    """`digest`: as in an approval."""

    reason: Needed
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None


class WithdrawalBody(_Body):
    reason: Text | None = None


class SignOffBody(_Body):
    comment: Needed


class ScopeBody(_Body):
    """Exactly one of `identity` (`TENANT/OBJECT`), `policy`, `connection` and `all` (true)."""

    identity: Name | None = None
    policy: Name | None = None
    connection: Name | None = None
    all: bool | None = None
    reason: Needed

    @property
    def scope(self) -> Scope:
        """Raises InvalidCall."""
        named = {
            ScopeKind.IDENTITY: None if self.identity is None else identity_target(self.identity),
            ScopeKind.POLICY: self.policy,
            ScopeKind.CONNECTION: self.connection,
        }
        given = [Scope(kind, target) for kind, target in named.items() if target is not None]
        given += [Scope(ScopeKind.ALL)] if self.all else []
        if len(given) != 1 or self.all is False:
            raise InvalidCall("Give exactly one of `identity`, `policy`, `connection` and `all: true`.")
        return given[0]


class LockBody(ScopeBody):
    until: Annotated[AwareDatetime, Field(strict=False)] | None = None


def identity_target(text: str) -> str:
    """`TENANT/OBJECT` as the provider's tokens are read. Raises InvalidCall.

    Entra's ids are GUIDs in lower case. An OpenID Connect issuer is a URL, and its subjects are kept to the letter:
    in another spelling they would be somebody else.
    """
    tid, _, oid = text.rpartition("/")
    if not tid or not oid:
        raise InvalidCall("`identity` must be `TENANT/OBJECT`: the tenant id and the object id.")
    tenant, object_id = _guid(tid), _guid(oid)
    return text if tenant is None else f"{tenant}/{object_id or oid}"


def guid_or_text(text: str) -> str:
    return _guid(text) or text


def _guid(text: str) -> str | None:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None
