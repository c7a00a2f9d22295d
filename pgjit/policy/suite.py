"""Tests of policies, as people write them beside the policies (`*_test.yaml`): the cases, and what they expect.

Decides the shape of such a file, and whether an outcome is the expected one. It judges nothing; `judging/dry_run.py`
runs the tests. Reference: policies/README.md.
"""

from __future__ import annotations

import difflib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pgjit.document import Document
from pgjit.errors import InvalidFile
from pgjit.identity.identity import GroupId
from pgjit.sql.catalog import Catalog

__all__ = ["Case", "CaseCaller", "CaseOutcome", "CaseSection", "Suite", "SuiteFile", "load_suites", "suite_paths"]

Decision = Literal["allow", "deny"]


def _guid(value: object) -> str:
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        raise ValueError("must be a group's object id, a GUID") from None


def _list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CallerSection(_Section):
    """The identity of a test."""

    groups: list[Annotated[str, BeforeValidator(_guid)]] = Field(
        default_factory=list, description="object ids of the groups that it is a member of"
    )


class CaseSection(_Section):
    """One statement, or several that are decided alike."""

    name: str | None = Field(default=None, description="what it shows, for people")
    policy: str | None = Field(default=None, description="the policy to ask; or an identity and a connection")
    identity: str | None = Field(default=None, description="one of `identities`: its groups choose the policy")
    connection: str | None = Field(default=None, description="the connection that the identity asks for")
    user: str | None = Field(default=None, description="the user name that the client gives, as in a session")
    sql: Annotated[list[str], BeforeValidator(_list)] = Field(
        min_length=1, description="the text of one message; a list stands for a test of each"
    )
    expect: Decision = Field(description="`allow` or `deny`")
    rule: str | None = Field(default=None, description="the rule, or the reference, that has to be in the refusal")

    @model_validator(mode="after")
    def _sense(self) -> CaseSection:
        if self.policy is not None and (self.identity or self.connection or self.user):
            raise ValueError("must name either a policy, or an identity with a connection")
        if self.identity is not None and self.connection is None:
            raise ValueError("must name the connection that the identity asks for")
        if self.identity is None and (self.connection or self.user):
            raise ValueError("must name the identity that asks for the connection")
        if self.rule is not None and self.expect == "allow":
            raise ValueError("must not name a rule where it expects `allow`")
        return self


class SuiteFile(_Section):
    """A test file as written."""

    policy: str | None = Field(default=None, description="the policy of the tests that name none")
    catalog: Path | None = Field(
        default=None,
        description="a catalog that names are resolved with, as `pgjit catalog` writes it",
    )
    identities: dict[str, CallerSection] = Field(default_factory=dict, description="identities of the tests")
    tests: list[CaseSection] = Field(min_length=1, description="the tests")


@dataclass(frozen=True, slots=True)
class CaseCaller:
    """An identity and what it connects to, where a test names no policy."""

    name: str
    groups: frozenset[GroupId]
    connection: str
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    place: str  # file:line:column
    name: str | None
    policy: str | None  # or `caller`
    caller: CaseCaller | None
    sql: str
    expect: Decision
    rule: str | None


@dataclass(frozen=True, slots=True)
class Suite:
    path: Path
    catalog: Catalog | None
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseOutcome:
    """The result of one case."""

    case: Case
    decision: Decision
    policy: str | None = None  # that was chosen
    rules: tuple[str, ...] = ()  # of all violations
    message: str | None = None  # of the first
    places: frozenset[str] = frozenset()  # file:line:column of the policy's lines that decided on something

    @property
    def passed(self) -> bool:
        if self.decision != self.case.expect:
            return False
        return self.case.rule is None or self.case.rule in self.rules


def suite_paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("*_test.yaml"))


def load_suites(
    paths: Iterable[Path], policies: Iterable[str], references: Iterable[str]
) -> tuple[list[Suite], list[str]]:
    """All suites, and all faults with their places. `references`: the rules that a test may expect."""
    known, rules = sorted(policies), sorted(references)
    suites: list[Suite] = []
    faults: list[str] = []
    for path in paths:
        document = Document.read(path)
        written = document.model(SuiteFile)
        if written is not None:
            suite = _suite(path, written, document, known, rules)
            if not document.faults:
                suites.append(suite)
        faults += document.faults
    return suites, faults


def _suite(path: Path, written: SuiteFile, document: Document, policies: list[str], rules: list[str]) -> Suite:
    if written.policy is not None:
        _known(document, ("policy",), written.policy, policies)
    cases: list[Case] = []
    for index, test in enumerate(written.tests):
        where = ("tests", index)
        policy = test.policy if test.identity or test.policy else written.policy
        if test.policy is not None:
            _known(document, (*where, "policy"), test.policy, policies)
        if test.rule is not None:
            _known(document, (*where, "rule"), test.rule, rules)
        if test.identity is not None:
            _known(document, (*where, "identity"), test.identity, list(written.identities))
        elif policy is None:
            document.fault(where, "names neither a policy nor an identity")
        many = len(test.sql) > 1
        for number, sql in enumerate(test.sql):
            cases.append(
                Case(
                    place=document.place((*where, "sql", number) if many else where),
                    name=test.name,
                    policy=policy,
                    caller=_caller(test, written),
                    sql=sql,
                    expect=test.expect,
                    rule=test.rule,
                )
            )
    return Suite(path, _catalog(path, written.catalog, document), tuple(cases))


def _catalog(path: Path, beside: Path | None, document: Document) -> Catalog | None:
    if beside is None:
        return None
    try:
        return Catalog.from_json((path.parent / beside).read_bytes())
    except OSError as fault:
        document.fault(("catalog",), f"cannot be read: {fault.strerror}")
    except InvalidFile as fault:
        document.fault(("catalog",), f"is no catalog: {fault.faults[0]}")
    return None


def _caller(test: CaseSection, written: SuiteFile) -> CaseCaller | None:
    if test.identity is None or test.connection is None:
        return None
    section = written.identities.get(test.identity, CallerSection())
    groups = frozenset(GroupId(group) for group in section.groups)
    return CaseCaller(test.identity, groups, test.connection, test.user or "")


def _known(document: Document, where: tuple[int | str, ...], name: str, names: list[str]) -> None:
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        document.fault(
            where, f"names `{name}`, which is not known" + (f"; did you mean `{near[0]}`?" if near else "")
        )
