"""The page of each rule: what it is about, why it exists, what to write instead, and how a policy switches it.

The text comes from the docstrings of the rules and from their options. `pgjit policy rules` and docs/rules show it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pgjit.policy.rule import JUDGED, Rule
from pgjit.policy.rules import RULES

__all__ = ["Option", "Page", "catalogue", "linked", "page"]

_WHY = "\nWhy: "
_INSTEAD = "\nInstead: "


@dataclass(frozen=True, slots=True)
class Option:
    name: str
    default: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Page:
    name: str
    summary: str
    about: str  # paragraphs
    why: str
    instead: str
    switch: str  # a sentence: under which presets it is applied, and whether a policy may change that
    options: tuple[Option, ...]


def catalogue() -> tuple[Page, ...]:
    """Every rule, in the order in which violations are listed."""
    return tuple(page(rule) for rule in RULES.values())


def page(rule: Rule) -> Page:
    """Raises ValueError where the docstring lacks a part."""
    summary, _, rest = (rule.doc or "").strip().partition("\n")
    about, why, rest = rest.partition(_WHY)
    reason, instead, advice = rest.partition(_INSTEAD)
    if not (summary and about.strip() and why and instead and advice.strip()):
        raise ValueError(f"the docstring of rule `{rule.name}` must say what it is about, `Why:` and `Instead:`")
    return Page(
        name=rule.name,
        summary=summary.rstrip("."),
        about=about.strip(),
        why=_sentence(reason),
        instead=_sentence(advice),
        switch=_switch(rule),
        options=tuple(
            Option(name, _written(field.default), field.description or "")
            for name, field in rule.options.model_fields.items()
            if name != "enabled"
        ),
    )


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:]


def _written(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{each}"' for each in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _switch(rule: Rule) -> str:
    if not rule.switch:
        return "It is applied under `read-only` and `read-write`, and cannot be switched off."
    presets = " and ".join(f"`{each}`" for each in sorted(rule.on))
    applied = f"It is applied under {presets}" if rule.on else "It is off until a policy switches it on"
    where = "" if rule.switch == JUDGED else " under " + " and ".join(f"`{each}`" for each in sorted(rule.switch))
    other = "a policy may switch it off" if rule.on >= rule.switch else "a policy may switch it"
    return f"{applied}." if not rule.on else f"{applied}; {other}{where}."


_RULE_NAME = re.compile(r"`([a-z]+(?:-[a-z]+)+)`")


def linked(text: str) -> str:
    """Names of rules as links to their pages, as Markdown."""
    return _RULE_NAME.sub(lambda match: f"[{match[1]}]({match[1]}.md)" if match[1] in RULES else match[0], text)
