"""The policy language: which keys a policy file may have, and what each of them may hold.

Decides the shape alone. `faults.py` finds conflicts between policies, and entries without effect. Reference:
policies/README.md.
"""

from __future__ import annotations

import difflib
import re
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    create_model,
    field_validator,
    model_validator,
)

from pgjit.policy.durations import Duration
from pgjit.policy.extensions import known_extensions
from pgjit.policy.grant_language import GrantKeys
from pgjit.policy.identity_terms import GroupEntry, GroupSection, IdentityKeys
from pgjit.policy.kinds import KINDS
from pgjit.policy.pattern import all_of, names, texts
from pgjit.policy.policy import Mode, Preset, ResultCaps, SettingCaps
from pgjit.policy.redaction import check_redaction_pattern
from pgjit.policy.rules import RULES

__all__ = [
    "CONNECTION_NAME", "GroupSection", "LimitSection", "PolicyFile", "RedactSection", "ResultSection",
    "SelectorEntry", "StatementSection",
]  # fmt: skip

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")
CONNECTION_NAME = re.compile(r"[a-z][a-z0-9_-]*\Z")
"""A connection may have the name of its database: some tools take one for the other."""
_SIZE = re.compile(r"([1-9][0-9]{0,8})(kB|MB|GB)\Z")
_OPERATOR = re.compile(r"([A-Za-z_][A-Za-z0-9_$]*\.)?[-+*/<>=~!@#%^&|`?]+\Z")
_SIZES = {"kB": 2**10, "MB": 2**20, "GB": 2**30}
_LONGEST = timedelta(hours=24)
_CAPS = SettingCaps()
_MOST_PATTERNS = 20
_RESULT_CAPS = ResultCaps()
_MOST_RESULT_BYTES = 2**20


def _size(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    match = _SIZE.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a number of bytes, such as 65536, 64kB, 10MB or 1GB")
    return int(match[1]) * _SIZES[match[2]]


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.match(value) or len(value) > 63:
        raise ValueError("must be kebab-case, with at most 63 characters")
    return value


def _connection(value: object) -> str:
    if not isinstance(value, str) or not CONNECTION_NAME.match(value) or len(value) > 63:
        raise ValueError("must begin with a letter and hold lower-case letters, digits, `-` and `_`, at most 63")
    return value


def _recorded(value: object) -> object:
    if value is True or value in ("statements", "results"):
        return value
    raise ValueError("must be true, `statements` or `results`: pgjit has no unrecorded access")


def _redaction_patterns(value: object) -> list[str]:
    words = texts(value)
    if len(words) > _MOST_PATTERNS:
        raise ValueError(f"has at most {_MOST_PATTERNS} patterns")
    return all_of(words, check_redaction_pattern)


def _small_enough(value: int) -> int:
    if value > _MOST_RESULT_BYTES:
        raise ValueError("must be at most 1MB: a result is held until it is kept")
    return value


def _kind(word: str) -> str:
    if word not in KINDS:
        near = difflib.get_close_matches(word, KINDS, n=1)
        raise ValueError(f"`{word}` is not a kind of statement" + (f"; did you mean `{near[0]}`?" if near else ""))
    return word


def _kinds(value: object) -> list[str]:
    return all_of(texts(value), _kind)


def _operator(value: object) -> str:
    if not isinstance(value, str) or not _OPERATOR.match(value):
        raise ValueError("must be an operator as statements write it, such as <=> or public.<=>")
    return value


def _operators(value: object) -> list[str]:
    words = texts(value)
    return [_operator(words[0])] if len(words) == 1 else all_of(words, _named_operator)


def _named_operator(value: str) -> str:
    try:
        return _operator(value)
    except ValueError as fault:
        raise ValueError(f"`{value}` {fault}") from None


def _builtin_or_qualified(value: object) -> str:
    """`name` stands for `pg_catalog.name`: what is not built in is named with its schema."""
    parts = value.split(".") if isinstance(value, str) else []
    if not 1 <= len(parts) <= 2 or not all(part.strip() == part != "" for part in parts):
        raise ValueError("must be a name, with its schema if it is not built in")
    return str(value)


_TEXTS: dict[str, Any] = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]
}
_KIND_SCHEMA: dict[str, Any] = {
    "anyOf": [{"enum": sorted(KINDS)}, {"type": "array", "items": {"enum": sorted(KINDS)}, "minItems": 1}]
}
_EXTENSION: dict[str, Any] = {"anyOf": [{"enum": sorted(known_extensions())}, {"type": "string"}]}
_EXTENSIONS: dict[str, Any] = {"anyOf": [_EXTENSION, {"type": "array", "items": _EXTENSION, "minItems": 1}]}
Size = Annotated[
    int,
    BeforeValidator(_size),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"pattern": r"^[1-9][0-9]{0,8}(kB|MB|GB)$"}]}),
]
Count = Annotated[int, Field(ge=1, strict=True)]
KebabName = Annotated[
    str, BeforeValidator(_name), WithJsonSchema({"type": "string", "pattern": "^[a-z][a-z0-9]*(-[a-z0-9]+)*$"})
]
ConnectionName = Annotated[
    str, BeforeValidator(_connection), WithJsonSchema({"type": "string", "pattern": "^[a-z][a-z0-9_-]*$"})
]
Texts = Annotated[list[str], WithJsonSchema(_TEXTS)]
Relations = Annotated[Texts, BeforeValidator(names(1, 2))]
Columns = Annotated[Texts, BeforeValidator(names(2, 3))]
Schemas = Annotated[Texts, BeforeValidator(names(1, 1))]
Kinds = Annotated[list[str], BeforeValidator(_kinds), WithJsonSchema(_KIND_SCHEMA)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SelectorEntry(_Section):
    """Kinds of statements, or objects of one sort, or objects for some kinds only."""

    kinds: Kinds | None = Field(None, description="kinds of statements; `ddl` stands for all that define objects")
    relations: Relations | None = Field(None, description="tables and views: schema.name, with * and !")
    columns: Columns | None = Field(None, description="schema.relation.column, with * and !")
    schemas: Schemas | None = Field(None, description="all relations, functions, types and operators of them")
    functions: Relations | None = Field(None, description="schema.name with *; without a schema: built in")
    types: Relations | None = Field(None, description="schema.name with *; without a schema: built in")
    operators: Annotated[list[str] | None, BeforeValidator(_operators), WithJsonSchema(_TEXTS)] = Field(
        None, description="as statements write them"
    )
    extensions: Annotated[list[str] | None, BeforeValidator(texts), WithJsonSchema(_EXTENSIONS)] = Field(
        None, description="their types, operators, casts and those functions that only compute or read"
    )
    settings: Relations | None = Field(
        None, description="settings to set (`kinds: set`), to show (`kinds: show`) or both, with * and !"
    )
    function: Annotated[str | None, AfterValidator(_builtin_or_qualified)] = Field(None, description="one function")
    type: Annotated[str | None, AfterValidator(_builtin_or_qualified)] = Field(None, description="one type")
    operator: Annotated[str | None, AfterValidator(_operator)] = Field(None, description="one operator")

    @model_validator(mode="after")
    def _one_sort(self) -> Self:
        sorts = {key.removesuffix("s") for key in self.model_fields_set - {"kinds"}}
        if len(sorts) > 1 or len(self.model_fields_set - {"kinds"}) > 1:
            raise ValueError(f"must name one sort of objects, not {' and '.join(sorted(self.model_fields_set))}")
        if not self.model_fields_set:
            raise ValueError("must name kinds of statements or objects")
        return self


RuleSection: type[BaseModel] = create_model(
    "RuleSection",
    __config__=ConfigDict(extra="forbid", frozen=True),
    __doc__="Rules by name: true, false, or the options of the rule.",
    **{
        rule.name.replace("-", "_"): (rule.options | None, Field(None, alias=rule.name, description=rule.summary))
        for rule in RULES.values()
    },
)  # type: ignore[call-overload]


class StatementSection(_Section):
    """Which statements may run."""

    access: Preset = Field(Preset.READ_ONLY, description="the preset that all else starts from")
    allow: list[SelectorEntry] = Field(default_factory=list, description="what is allowed beyond the preset")
    deny: list[SelectorEntry] = Field(default_factory=list, description="what is refused whatever allows it")
    rules: RuleSection | None = Field(None, description="rules that are switched or given options")  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _nothing_beyond(self) -> Self:
        beside = sorted(self.model_fields_set - {"access"})
        if self.access is Preset.FULL and any(getattr(self, key) for key in beside):
            raise ValueError(f"must not have `{beside[0]}` beside `access: full`: there is nothing that it refuses")
        return self


class LimitSection(_Section):
    """How much may be read, and for how long."""

    rows: Count | None = Field(None, description="rows that one execution may give")
    bytes: Size | None = Field(None, description="bytes that one execution may give, notices included")
    window_rows: Count | None = Field(None, description="rows that a window may give in all")
    window_bytes: Size | None = Field(None, description="bytes that a window may give in all")
    window_statements: Count | None = Field(None, description="executions in a window, refused ones included")
    statement_time: Duration | None = Field(None, description="how long one execution may take")
    sessions: Count | None = Field(None, description="sessions of a window at once")
    idle_in_transaction: Duration | None = Field(None, description="how long a transaction may lie idle")
    work_mem: Size = Field(_CAPS.work_mem, description="how far SET work_mem may go; 64MB if not given")
    hash_mem_multiplier: Annotated[float, Field(ge=1, le=1000)] = Field(
        _CAPS.hash_mem_multiplier, description="how far SET hash_mem_multiplier may go"
    )
    parallel_workers: Annotated[int, Field(ge=0, le=1024, strict=True)] = Field(
        _CAPS.parallel_workers, description="how far SET max_parallel_workers_per_gather may go"
    )


class RedactSection(_Section):
    """What records leave out."""

    columns: Columns | None = Field(None, description="columns whose values are left out: schema.relation.column")
    patterns: Annotated[list[str] | None, BeforeValidator(_redaction_patterns), WithJsonSchema(_TEXTS)] = Field(
        None, description="regular expressions (RE2): what they match is left out, wherever it stands"
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.columns is None and self.patterns is None:
            raise ValueError("must have `columns`, `patterns` or both")
        return self


class ResultSection(_Section):
    """How much of each result is kept."""

    rows: Annotated[int, Field(ge=1, le=10_000, strict=True)] = Field(
        _RESULT_CAPS.rows, description="rows of one execution"
    )
    bytes: Annotated[Size, AfterValidator(_small_enough)] = Field(
        _RESULT_CAPS.bytes, description="bytes of one execution, as the server sends them; at most 1MB"
    )


class PolicyFile(GrantKeys, IdentityKeys):
    """A policy as written."""

    policy: KebabName = Field(description="its name: clients give it as the PostgreSQL user")
    connection: ConnectionName = Field(description="the connection that it opens, by its name in the configuration")
    group: GroupEntry | None = Field(None, description="whose members it is for; or `role`")
    record: Annotated[
        Literal[True, "statements", "results"],
        BeforeValidator(_recorded),
        WithJsonSchema({"enum": [True, "statements", "results"]}),
    ] = Field(description="true; `statements`: without values; `results`: with result rows. Nothing is unrecorded")
    results: ResultSection | None = Field(None, description="under `record: results`: how much of a result is kept")
    redact: RedactSection | None = Field(None, description="values that records leave out")
    cooldown: Duration | None = Field(None, description="from the end of a window to the next one")
    mode: Mode = Field(Mode.ENFORCE, description="observe: what would be refused runs, and is recorded as such")
    statements: StatementSection
    limits: LimitSection | None = Field(None, description="how much may be read, and for how long")

    @model_validator(mode="after")
    def _for_somebody(self) -> Self:
        if (self.group is None) == (self.role is None):
            raise ValueError("must have `group`, or `role` instead of it")
        return self

    @field_validator("results")
    @classmethod
    def _kept(cls, value: ResultSection | None, info: ValidationInfo) -> ResultSection | None:
        if value is not None and info.data.get("record") != "results":
            raise ValueError("needs `record: results`")
        return value

    @field_validator("ttl")
    @classmethod
    def _bounded(cls, value: timedelta) -> timedelta:
        if value > _LONGEST:
            raise ValueError("is longer than 24h: that is standing access")
        return value
