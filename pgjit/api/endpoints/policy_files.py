"""`policy-files`, and of each policy its `file`, what it decides on a statement (`explain`), and its `tests`.

For reviewers, auditors and admins. Judging happens in a process of its own; it is what `pgjit policy explain` and
`pgjit policy test` print, by the policies that are in force. The record of `explain` has the length of the statement,
not its text: a policy may keep values out of the journal.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel

from pgjit.api.bodies import StatementBody
from pgjit.api.caller import CallerRole
from pgjit.api.policy_files import PolicyFileState, state_of, states_of
from pgjit.api.refusals import CallRefused, NothingThere
from pgjit.api.services import ApiServices, TheCall, TheServices
from pgjit.api.shapes import PageJson
from pgjit.judging.explainer import Explainer
from pgjit.policy.policy import Policy

__all__ = ["router"]

router = APIRouter(tags=["policies"])
PolicyName = Annotated[str, Path(min_length=1, max_length=128)]
_ROLES = (CallerRole.REVIEWER, CallerRole.AUDITOR, CallerRole.ADMIN)


class FileStateJson(BaseModel):
    """A file of a policy on this node. `state`: `in-force`, `changed` (the earlier text is in force), `missing`,
    `unreadable`, or `not-in-force` (no policy in force was read from it). `version`: that is in force."""

    source: str
    policy: str | None
    version: str | None
    version_on_disk: str | None
    state: str
    fault: str | None

    @classmethod
    def of(cls, state: PolicyFileState) -> FileStateJson:
        return cls(
            source=state.source,
            policy=state.policy,
            version=state.version,
            version_on_disk=state.version_on_disk,
            state=state.state.value,
            fault=state.fault,
        )


class PolicyFileJson(BaseModel):
    """`text`: the file as it is in force, whatever is on the disk now."""

    name: str
    version: str
    text: str
    on_disk: FileStateJson


class ExplanationJson(BaseModel):
    """What `pgjit policy explain --json` prints, for the policy in force.

    `catalog`: the version of the catalog that names were resolved with; null: none has been read yet.
    """

    policy: str
    version: str
    catalog: str | None
    mode: str
    decision: str
    remarks: list[str]
    violations: list[dict[str, Any]]
    statements: list[dict[str, Any]]


class UntestedJson(BaseModel):
    rules: list[str]
    lines: list[str]


class PolicyTestsJson(BaseModel):
    """The tests beside the policy, run now: at most 500, those that failed first. `count` and `failed` are of all.

    `faults`: of the test files. `untested`: the rules that no test touched, and the places of the policy's entries
    that decided nothing in a test.
    """

    policy: str
    version: str
    passed: bool
    count: int
    failed: int
    tests: list[dict[str, Any]]
    faults: list[str]
    untested: UntestedJson


@router.get("/policy-files")
async def policy_states(call: TheCall, services: TheServices) -> PageJson[FileStateJson]:
    """The policy files on the disk of this node, by path, and whether they are in force."""
    call.require(*_ROLES)
    found = await asyncio.to_thread(states_of, list(services.policies.values()))
    return PageJson(items=[FileStateJson.of(each) for each in found], next=None)


@router.get("/policies/{name}/file")
async def policy_file(name: PolicyName, call: TheCall, services: TheServices) -> PolicyFileJson:
    """The text of a policy's file as it is in force, and whether the file on this node is still the same."""
    role = call.require(*_ROLES)
    policy = _policy(name, services)
    await call.record(role, f"policy {name}")
    on_disk = await asyncio.to_thread(state_of, policy)
    text = services.policies.texts.get(name, "")
    return PolicyFileJson(name=name, version=policy.version, text=text, on_disk=FileStateJson.of(on_disk))


@router.post("/policies/{name}/explain")
async def explain(name: PolicyName, body: StatementBody, call: TheCall, services: TheServices) -> ExplanationJson:
    """What the policy in force decides on a statement, and why. Nothing runs."""
    role = call.require(*_ROLES)
    policy, explainer = _policy(name, services), _explainer(services)
    sql = body.sql.encode("utf-8", "surrogatepass")
    await call.record(role, f"policy {name}, statement of {len(sql)} bytes, sha256 {hashlib.sha256(sql).hexdigest()}")
    catalog = services.catalogs(policy.connection)
    async with call.turn():
        found = await explainer.explain(policy, services.policies.texts.get(name, ""), sql, catalog)
    return ExplanationJson(**found, version=policy.version, catalog=None if catalog is None else catalog.version)


@router.get("/policies/{name}/tests")
async def policy_tests(name: PolicyName, call: TheCall, services: TheServices) -> PolicyTestsJson:
    """Run the tests beside a policy on the policies in force."""
    role = call.require(*_ROLES)
    policy, explainer = _policy(name, services), _explainer(services)
    await call.record(role, f"policy {name}")
    async with call.turn():
        found = await explainer.run_tests(list(services.policies.values()), name)
    return PolicyTestsJson(**found, policy=name, version=policy.version)


def _policy(name: str, services: ApiServices) -> Policy:
    """Raises NothingThere."""
    if name not in services.policies:
        raise NothingThere("policy", name)
    return services.policies[name]


def _explainer(services: ApiServices) -> Explainer:
    if services.explainer is None:
        raise CallRefused("this node cannot explain statements", reference="explanation-unavailable", status=503)
    return services.explainer
