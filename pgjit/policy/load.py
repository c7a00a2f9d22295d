"""Policy files to policies: every fault of every file at once, each with its place.

Decides how the keys of a file become values. `language.py` decides which keys exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel

from pgjit.document import Document
from pgjit.identity.identity import GroupId, Identity
from pgjit.policy.faults import conflicts, entry_faults, entry_faults_as_far_as_read, warnings
from pgjit.policy.kinds import words_of
from pgjit.policy.language import (
    LimitSection,
    PolicyFile,
    RedactSection,
    ResultSection,
    SelectorEntry,
    StatementSection,
)
from pgjit.policy.options import RuleOptions
from pgjit.policy.pattern import Patterns
from pgjit.policy.policy import NO_LIMITS, Limits, Policy, ResultCaps, SettingCaps, StatementTerms
from pgjit.policy.redaction import Redaction
from pgjit.policy.selector import Selector

__all__ = ["Policies", "load_policies", "policy_files", "read_policy", "terms_of"]

Where = tuple[int | str, ...]


class Policies(dict[str, Policy]):
    """The policies by name. `warnings` are for people to read; they stop nothing.

    `texts`: the files as they were read, by the name of the policy.
    """

    def __init__(
        self,
        policies: Iterable[Policy] = (),
        warnings: tuple[str, ...] = (),
        texts: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__((policy.name, policy) for policy in policies)
        self.warnings = warnings
        self.texts = dict(texts or {})

    def become(self, others: Policies) -> None:
        """Take the place of these policies by `others`, in one step: whoever holds this value has those from now on.

        A policy whose file did not change stays the same object.
        """
        kept = {name: self[name] for name, policy in others.items() if name in self and _same(self[name], policy)}
        self.clear()
        self.update(others | kept)
        self.warnings, self.texts = others.warnings, others.texts

    def for_connection(self, connection: str, identity: Identity) -> tuple[Policy, ...]:
        """The policies that open `connection` to `identity`, by one of its groups or app roles."""
        return tuple(policy for policy in self.opened_to(identity) if policy.connection == connection)

    def opened_to(self, identity: Identity) -> tuple[Policy, ...]:
        """The policies that open any connection to `identity`."""
        return tuple(
            policy
            for policy in self.values()
            if policy.identity.selects(policy.group, identity.groups, identity.roles)
        )

    @property
    def groups(self) -> frozenset[GroupId]:
        """All groups that any policy is for."""
        return frozenset(policy.group for policy in self.values() if policy.group is not None)

    @property
    def roles(self) -> tuple[tuple[str, str], ...]:
        """Each policy's name with an app role that it names: one that it is for, or that reviews."""
        return tuple(
            (policy.name, role)
            for policy in self.values()
            for role in (
                *([] if policy.identity.role is None else [policy.identity.role]),
                *([] if policy.terms.review is None else policy.terms.review.roles),
            )
        )


def _same(one: Policy, other: Policy) -> bool:
    return (one.version, one.source) == (other.version, other.source)


def policy_files(folder: Path) -> list[Path]:
    """The files that hold its policies: `*.yaml` without `*_test.yaml`."""
    return [path for path in sorted(folder.glob("*.yaml")) if not path.stem.endswith("_test")]


def load_policies(folder: Path) -> tuple[Policies, list[str]]:
    """All policies of `folder`, and all faults with their places."""
    faults: list[str] = []
    loaded: list[tuple[Policy, Document]] = []
    if not folder.is_dir():
        return Policies(), [f"{folder}:1:1: is not a folder"]
    for path in policy_files(folder):
        document = Document.read(path)
        policy = read_policy(document)
        faults += document.faults
        if policy is not None:
            loaded.append((policy, document))
    faults += conflicts(loaded)
    warned = tuple(warning for policy, document in loaded for warning in warnings(policy, document))
    texts = {policy.name: document.content.decode("utf-8") for policy, document in loaded}
    return Policies((policy for policy, _ in loaded), warned, texts), faults


def read_policy(document: Document) -> Policy | None:
    """One policy; None if there are faults. They are in the document's list."""
    written = document.model(PolicyFile)
    if written is None:
        for where, text in entry_faults_as_far_as_read(document):
            document.fault(where, text)
        return None
    for where, text in entry_faults(written.statements):
        document.fault(where, text)
    return None if document.faults else _policy(written, document)


def _policy(written: PolicyFile, document: Document) -> Policy:
    limits = NO_LIMITS if written.limits is None else _limits(written.limits)
    return Policy(
        name=written.policy,
        connection=written.connection,
        group=None if written.group is None else written.group.value,
        group_name=None if written.group is None else written.group.name,
        identity=written.terms(),
        grant=written.grant,
        ttl=written.ttl,
        terms=written.grant_terms(),
        cooldown=written.ttl if written.cooldown is None else written.cooldown,
        record=written.record,
        results=_result_caps(written.results) if written.record == "results" else None,
        redaction=None if written.redact is None else _redaction(written.redact),
        mode=written.mode,
        statements=replace(
            terms_of(written.statements, limits.statement_time or written.ttl, document.place),
            idle=limits.idle_in_transaction,
            caps=limits.caps,
        ),
        limits=limits,
        source=str(document.path),
        version=document.sha256,
    )


def _limits(written: LimitSection) -> Limits:
    given = dict(written)
    caps = SettingCaps(**{each.name: given.pop(each.name) for each in fields(SettingCaps)})
    return Limits(**given, caps=caps)


def _result_caps(written: ResultSection | None) -> ResultCaps:
    return ResultCaps() if written is None else ResultCaps(rows=written.rows, bytes=written.bytes)


def _redaction(written: RedactSection) -> Redaction:
    return Redaction(_patterns(written.columns), tuple(written.patterns or ()))


def _nowhere(_where: Where) -> str:
    return ""


def terms_of(
    section: StatementSection, longest: timedelta | None = None, place: Callable[[Where], str] = _nowhere
) -> StatementTerms:
    """The statement section as a value. `place` returns the place of a key in its file."""

    def entries(key: str, written: list[SelectorEntry]) -> tuple[Selector, ...]:
        return tuple(
            _selector(entry, place(("statements", key, index)), allow=key == "allow")
            for index, entry in enumerate(written)
        )

    return StatementTerms(
        access=section.access,
        allow=entries("allow", section.allow),
        deny=entries("deny", section.deny),
        switches=_switches(section.rules),
        longest=longest,
        place=place(("statements", "access")),
    )


def _switches(section: BaseModel | None) -> dict[str, RuleOptions]:
    if section is None:
        return {}
    fields = type(section).model_fields
    given = {str(fields[name].alias): getattr(section, name) for name in section.model_fields_set}
    return {name: options for name, options in given.items() if isinstance(options, RuleOptions)}


def _selector(entry: SelectorEntry, place: str, *, allow: bool) -> Selector:
    functions = [entry.function] if entry.function else entry.functions
    types = [entry.type] if entry.type else entry.types
    operators = [entry.operator] if entry.operator else entry.operators or []
    builtin = "pg_catalog" if allow else None  # under `allow` a name without a schema is the built-in one
    return Selector(
        kinds=None if entry.kinds is None else words_of(entry.kinds),
        relations=_patterns(entry.relations),
        columns=_patterns(entry.columns),
        schemas=_patterns(entry.schemas),
        settings=_patterns(entry.settings, schema=""),
        functions=_patterns(functions, schema=builtin),
        types=_patterns(types, schema=builtin),
        operators=frozenset(operators),
        extensions=frozenset(entry.extensions or ()),
        place=place,
    )


def _patterns(names: list[str] | None, *, schema: str | None = None) -> Patterns | None:
    """`schema` is what a name without one is in."""
    if names is None:
        return None
    patterns = Patterns.of(names, 1, 3)
    return patterns if schema is None else patterns.qualified(schema)
