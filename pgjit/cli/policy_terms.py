"""Prints how a policy grants access and what it allows: sentences and lines for people, a document for programs."""

from __future__ import annotations

import json
import textwrap

from pgjit.audit.plain_text import plain
from pgjit.policy.allowed import allowed_by, lines_of
from pgjit.policy.grant_sentences import grant_sentences
from pgjit.policy.policy import Policy

__all__ = ["print_terms"]

_WIDTH = 80
_INDENT = 20


def print_terms(policy: Policy, *, as_json: bool) -> None:
    allowed = allowed_by(policy)
    if as_json:
        document = {
            "policy": policy.name,
            "grant": list(grant_sentences(policy)),
            "window": dict(allowed.window),
            "allowed": [{"topic": topic, "text": text} for topic, text in lines_of(allowed)],
        }
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return
    print(f"policy {plain(policy.name)}\n")
    for sentence in grant_sentences(policy):
        print(_wrapped(plain(sentence), "", "  "))
    print()
    for topic, text in lines_of(allowed):
        print(_wrapped(plain(text), f"{topic:<{_INDENT - 2}}  ", " " * _INDENT))


def _wrapped(text: str, head: str, indent: str) -> str:
    return textwrap.fill(
        text, _WIDTH, initial_indent=head, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
