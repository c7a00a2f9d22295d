"""`SHOW pgjit.window` and the other settings by which a session learns about itself.

Returns a SELECT of constants. It is sent in place of the SHOW, so that the server answers in order. No rule judges
these statements, and they do not count against the policy's limits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pgjit.audit.event import SessionContext
from pgjit.errors import utc_text
from pgjit.grants.request import Request
from pgjit.policy.allowed import allowed_by, limits_of, lines_of
from pgjit.policy.decision import Violation
from pgjit.policy.durations import duration_text
from pgjit.policy.grant_terms import ReviewTerms
from pgjit.policy.policy import Grant, Policy
from pgjit.proxy.relay.budget import Budget

__all__ = ["ABOUT", "SessionFacts", "answer", "in_place_of_show"]

ABOUT = ("window", "policy", "identity", "remaining", "limits", "allowed", "request")
_WIDTH = 58
"""Longest text of a row of two columns: psql shows it in 80 columns."""
_EACH = {"rows": "each statement", "bytes": "each statement", "statement_time": "each statement"}
_PER = {**_EACH, "idle_in_transaction": "each transaction"}

Row = tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class SessionFacts:
    """What a session can learn about itself. `follow` changes it."""

    context: SessionContext
    ends_at: datetime
    policy: Policy
    budget: Budget
    request: Request | None = None  # the approved request that the window was opened for
    sessions: Callable[[], tuple[int, int, int | None]] = lambda: (1, 1, None)
    """Sessions that are open: under the policy, of the identity; and how many the identity may have."""
    utf8: bool = True  # the server's encoding has every character

    def follow(self, policy: Policy, ends_at: datetime) -> None:
        """The session goes on under another version of its policy."""
        self.policy, self.ends_at = policy, ends_at


def in_place_of_show(
    facts: SessionFacts, setting: str, now: datetime, encode: Callable[[bytes], bytes]
) -> tuple[bytes, tuple[Violation, ...]]:
    """The message in place of a SHOW of pgjit's own `setting`, or why it is refused."""
    sql = answer(setting, facts, now)
    return (b"", (_unknown(setting),)) if sql is None else (encode(sql.encode()), ())


def _unknown(name: str) -> Violation:
    return Violation(
        rule="unknown-setting",
        message=f"there is no setting `pgjit.{name}`",
        hint="Known are: " + ", ".join(f"`SHOW pgjit.{known}`" for known in ABOUT),
        sqlstate="42704",
    )


def answer(name: str, facts: SessionFacts, now: datetime) -> str | None:
    """The SQL in place of `SHOW pgjit.<name>`. None: there is no such setting."""
    context = facts.context
    match name:
        case "window":
            text = f"{context.window.id}: {utc_text(context.window.opened_at)} to {utc_text(facts.ends_at)}"
        case "policy":
            text = f"{facts.policy.name} (version {facts.policy.version[:12]})"
        case "identity":
            text = context.identity.key.text
        case "remaining":
            text = _left(facts, now)
        case "limits":
            return _table(("pgjit.limits", "most", "left"), _limits(facts, now), facts.utf8)
        case "allowed":
            return _table(("pgjit.allowed", "what"), _wrapped(lines_of(allowed_by(facts.policy))), facts.utf8)
        case "request":
            return _table(("pgjit.request", "value"), _wrapped(_request(facts)), facts.utf8)
        case _:
            return None
    return f'SELECT {_literal(text, facts.utf8)}::pg_catalog.text AS "pgjit.{name}"'


def _left(facts: SessionFacts, now: datetime) -> str:
    return str(timedelta(seconds=max(0, int((facts.ends_at - now).total_seconds()))))


# --- limits --------------------------------------------------------------------------------------------


def _limits(facts: SessionFacts, now: datetime) -> Sequence[Row]:
    """Each limit with what is left of it."""
    usage, limits = facts.budget.usage, facts.budget.limits
    of_policy, of_identity, most_of_identity = facts.sessions()
    used = {
        "window_rows": usage.rows,
        "window_bytes": usage.bytes,
        "window_statements": usage.statements,
        "sessions": of_policy,
    }
    window = facts.context.window
    rows = [("ttl", duration_text(window.ends_at - window.opened_at), _left(facts, now))]
    for name, most in limits_of(limits):
        left = _PER.get(name) or str(max(0, int(getattr(limits, name)) - used[name]))
        rows.append((name, most, left))
    if most_of_identity is not None:
        rows.append(("sessions of your identity", str(most_of_identity), str(max(0, most_of_identity - of_identity))))
    return rows


# --- the request ---------------------------------------------------------------------------------------


def _request(facts: SessionFacts) -> list[tuple[str, str]]:
    window, request, policy = facts.context.window, facts.request, facts.policy
    if window.break_glass:
        people = "" if policy.terms.review is None else _reviewers(policy.terms.review)
        by = window.ends_at + policy.terms.sign_off_within
        return [("request", "none: break-glass"), ("sign-off", f"until {utc_text(by)}, by {people}")]
    if request is None:
        if window.request is not None:
            return [("request", window.request), ("state", "not known: the store did not answer at login")]
        review = policy.grant is Grant.REVIEW
        return [("request", "none" if review else "none: the policy opens windows without a review")]
    ask = request.ask
    rows = [
        ("request", request.id),
        ("state", request.state.value),
        ("asked", f"{duration_text(ask.ttl)} at {utc_text(request.created_at)}"),
        *((name, text) for name, text in (("reason", ask.reason), ("ticket", ask.ticket)) if text),
        ("who may approve", _reviewers(request.review)),
        ("approvals needed", str(request.review.approvals)),
    ]
    for each in request.verdicts:
        cap = "" if each.ttl is None else f", for {duration_text(each.ttl)} at most"
        comment = f": {each.comment}" if each.comment else ""
        rows.append((each.verdict, f"by {each.by.display} at {utc_text(each.at)}{cap}{comment}"))
    return rows


def _reviewers(terms: ReviewTerms) -> str:
    groups = (name or group for name, group in zip(terms.group_names, terms.groups, strict=True))
    return ", ".join([*groups, *(f"role {role}" for role in terms.roles)])


# --- as SQL --------------------------------------------------------------------------------------------


def _wrapped(rows: Sequence[tuple[str, str]]) -> list[Row]:
    """Rows that fit a terminal. Only the first row of a topic names it."""
    found: list[Row] = []
    for topic, text in rows:
        line = ""
        for word in " ".join(text.split()).split(" "):
            if line and len(line) + len(word) >= _WIDTH:
                found.append((topic, line))
                topic, line = "", word  # noqa: PLW2901 - the rest of this topic
            else:
                line = f"{line} {word}" if line else word
        found.append((topic, line))
    return found


def _table(names: Row, rows: Sequence[Row], utf8: bool) -> str:
    values = ", ".join(f"({', '.join(f'{_literal(text, utf8)}::pg_catalog.text' for text in row)})" for row in rows)
    columns = ", ".join(f'"{name}"' for name in names)
    return f"SELECT * FROM (VALUES {values}) AS shown ({columns})"  # noqa: S608 - constants of `_literal`


def _literal(text: str, utf8: bool) -> str:
    """A constant that reads alike whatever `client_encoding` and `standard_conforming_strings` are.

    INVARIANT: the text of people and policies is data. It holds no quote, no backslash and no character beyond ASCII
    that is not escaped.
    """
    escaped, plain = "", True
    for character in text:
        code = ord(character)
        if character == "'":
            escaped += "''"
        elif character == "\\":
            escaped, plain = escaped + "\\\\", False
        elif 32 <= code < 127:
            escaped += character
        elif code < 32 or code == 127 or 0xD800 <= code < 0xE000:
            escaped += " "
        elif utf8:
            escaped, plain = escaped + f"\\U{code:08X}", False
        else:
            escaped += "?"
    return f"'{escaped}'" if plain else f"E'{escaped}'"
