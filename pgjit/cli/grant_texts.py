"""Requests, windows, sessions and locks of the API as text for people: tables and details.

Decides which members are shown, in which order, and how a moment is written: as the time until it or since it. Pure.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from datetime import datetime

from pgjit.audit.plain_text import plain
from pgjit.cli.api_client import Item
from pgjit.cli.columns import TableColumn, columns

__all__ = [
    "access_text", "lock_table", "request_details", "request_table", "session_details", "session_table", "span",
    "who", "window_details", "window_table",
]  # fmt: skip

_INDENT = 14


def span(seconds: float) -> str:
    """A length of time, rounded down: `45s`, `12m`, `1h59m`, `2d3h`. Of its parts the two largest are shown."""
    whole = max(0, int(seconds))
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days}d{hours}h" if hours else f"{days}d"
    if hours:
        return f"{hours}h{minutes}m" if minutes else f"{hours}h"
    return f"{minutes}m" if minutes else f"{whole}s"


def who(identity: object) -> str:
    """The name that people read; the object id where there is none."""
    if not isinstance(identity, dict):
        return str(identity) if identity else "-"
    return str(identity.get("display") or identity.get("oid") or "-")


def request_table(items: Sequence[Item], now: datetime, width: int) -> str:
    titles = (
        TableColumn("REQUEST", keep=True),
        TableColumn("STATE", keep=True),
        TableColumn("WHO"),
        TableColumn("POLICY"),
        TableColumn("AGE", keep=True, right=True),
    )
    rows = [
        (_text(each, "id"), _text(each, "state"), who(each.get("identity")), _text(each, "policy"),
         _since(each.get("created_at"), now))
        for each in items
    ]  # fmt: skip
    return _table(titles, rows, width, "There is no request.")


def window_table(items: Sequence[Item], now: datetime, width: int) -> str:
    titles = (
        TableColumn("WINDOW", keep=True),
        TableColumn("STATE", keep=True),
        TableColumn("WHO"),
        TableColumn("POLICY"),
        TableColumn("LEFT", keep=True, right=True),
        TableColumn("SESS", keep=True, right=True),
    )
    rows = [
        (_text(each, "id"), _text(each, "state"), who(each.get("identity")), _text(each, "policy"),
         "-" if each.get("state") == "ended" else _until(each.get("ends_at"), now), _text(each, "sessions"))
        for each in items
    ]  # fmt: skip
    return _table(titles, rows, width, "There is no window.")


def session_table(items: Sequence[Item], now: datetime, width: int) -> str:
    several = len({each.get("node") for each in items}) > 1
    titles = (
        TableColumn("SESSION", keep=True),
        TableColumn("STATE"),
        TableColumn("WHO"),
        TableColumn("POLICY"),
        TableColumn("LEFT", keep=True, right=True),
        *([TableColumn("NODE")] if several else []),
    )
    rows = [
        (_text(each, "id"), _text(each, "state"), who(each.get("identity")), _text(each, "policy"),
         _until(each.get("ends_at"), now), *([_text(each, "node")] if several else []))
        for each in items
    ]  # fmt: skip
    return _table(titles, rows, width, "There is no session.")


def lock_table(items: Sequence[Item], now: datetime, width: int) -> str:
    titles = (
        TableColumn("LOCK", keep=True),
        TableColumn("KIND", keep=True),
        TableColumn("TARGET"),
        TableColumn("LEFT", keep=True, right=True),
        TableColumn("REASON"),
    )
    rows = [
        (
            _text(each, "id"),
            _text(each, "kind"),
            "everything" if each.get("kind") == "all" else who(each.get("target")),
            _until(each["until"], now) if each.get("until") else "no end",
            _text(each, "reason"),
        )
        for each in items
    ]
    return _table(titles, rows, width, "There is no lock.")


def request_details(request: Item, now: datetime, width: int) -> str:
    """All that a reviewer decides about, the verdicts, and the digest to which a verdict is bound."""
    review = request.get("review") or {}
    names = review.get("group_names") or review.get("groups") or ()
    reviewers = ", ".join(str(each) for each in [*names, *(review.get("roles") or ())])
    needed = request.get("needs")
    fields = [
        ("request", _text(request, "id")),
        ("state", _text(request, "state")),
        ("identity", _identity(request.get("identity"))),
        ("agent", _agent(request.get("holder"))),
        ("policy", f"{_text(request, 'policy')}, version {_text(request, 'policy_version')[:12]}"),
        ("connection", _text(request, "connection")),
        ("ttl", _length(request.get("ttl_seconds"))),
        ("reason", request.get("reason")),
        ("ticket", request.get("ticket")),
        ("made", _moment(request.get("created_at"), now)),
        ("lapses", _moment(request.get("lapses_at"), now) if request.get("state") == "pending" else None),
        ("open by", _moment(request.get("open_by"), now) if request.get("state") == "approved" else None),
        ("next window", _moment(request.get("retry_at"), now)),
        ("window", request.get("window")),
        ("approvals", f"{needed} needed, by {reviewers or 'nobody'}" if needed else None),
        *(("verdict", _verdict(each, now)) for each in request.get("verdicts") or ()),
        ("digest", request.get("digest")),
    ]
    return _fields(fields, width)


def window_details(window: Item, now: datetime, width: int) -> str:
    ended = window.get("state") == "ended"
    by = window.get("revoked_by")
    fields = [
        ("window", _text(window, "id")),
        ("state", _text(window, "state")),
        ("identity", _identity(window.get("identity"))),
        ("agent", _agent(window.get("holder"))),
        ("policy", _text(window, "policy")),
        ("connection", _text(window, "connection")),
        ("opened", _moment(window.get("opened_at"), now)),
        ("ends", None if ended else _moment(window.get("ends_at"), now)),
        ("ended", _moment(window.get("ended_at"), now) if ended else None),
        ("because", window.get("end_reason")),
        ("revoked by", who(by) if by else None),
        ("reason", window.get("reason")),
        ("request", window.get("request")),
        ("sessions", _text(window, "sessions")),
        ("next window", _moment(window.get("retry_at"), now)),
        ("break-glass", "yes" if window.get("break_glass") else None),
        ("signed off", who(window["signed_off_by"]) if window.get("signed_off_by") else None),
    ]
    return _fields(fields, width)


def session_details(session: Item, now: datetime, width: int) -> str:
    executions, rows = session.get("executions"), session.get("rows")
    running = session.get("running") or {}
    more = " ..." if running.get("more") else ""
    fields = [
        ("session", _text(session, "id")),
        ("state", _text(session, "state")),
        ("identity", _identity(session.get("identity"))),
        ("policy", _text(session, "policy")),
        ("connection", _text(session, "connection")),
        ("program", session.get("application_name")),
        ("from", session.get("source")),
        ("opened", _moment(session.get("opened_at"), now)),
        ("ends", _moment(session.get("ends_at"), now)),
        ("executions", None if executions is None else str(executions)),
        ("rows", None if rows is None else f"{rows}, {session.get('bytes')} bytes"),
        ("runs", f"{running['statement']}{more}" if running else None),
        ("since", _moment(running.get("started_at"), now)),
        ("backend", session.get("backend_pid")),
        ("node", session.get("node")),
        ("window", _text(session, "window")),
    ]
    return _fields(fields, width)


def access_text(access: Item, now: datetime, width: int) -> str:
    """Each policy with all that the API says about it; its members in the API's own words and order."""
    policies = access.get("policies") or access.get("items") or []
    if not policies:
        return "No policy is open to it."
    texts = []
    for policy in policies:
        name = policy.get("name") or policy.get("policy")
        lines = policy.get("lines") or []
        hidden = {"name", "policy", "windows", "relations_known", "relations_more", "lines"}
        if lines:  # they hold the same, in words
            hidden |= {"access", "kinds", "relations", "relations_denied", "columns_denied", "limits"}
        fields = [
            (_words(member), _member(member, value, now)) for member, value in policy.items() if member not in hidden
        ]
        fields += [(str(each.get("topic")), str(each.get("text"))) for each in lines]
        fields += [("known", _relation(each)) for each in policy.get("relations_known") or []]
        fields += [("known", "and more")] if policy.get("relations_more") else []
        fields += [("open window", _open_window(each, now)) for each in policy.get("windows") or []]
        texts.append(f"policy {plain(str(name))}\n" + _fields(fields, width))
    return "\n\n".join(texts)


def _words(member: str) -> str:
    return member.replace("_", " ").removesuffix(" seconds")


def _relation(relation: Item) -> str:
    denied = relation.get("columns_denied") or []
    without = f", without {', '.join(map(str, denied))}" if denied else ""
    return f"{_text(relation, 'name')}: {', '.join(map(str, relation.get('actions') or []))}{without}"


def _open_window(window: Item, now: datetime) -> str:
    until = _moment(window.get("ends_at"), now)
    return f"{_text(window, 'id')} of {who(window.get('identity'))}, until {until}"


def _member(name: str, value: object, now: datetime) -> str:
    match value:
        case bool():
            return "yes" if value else ""
        case None:
            return ""
        case int() if name.endswith("_seconds"):
            return _length(value)
        case list():
            return ", ".join(_member("", each, now) for each in value)
        case {"group_names": list(names), "roles": list(roles)}:  # of a review: names instead of ids
            return ", ".join(map(str, [*names, *roles]))
        case dict():
            texts = {key: _member(key, each, now) for key, each in value.items()}
            return ", ".join(f"{_words(key)} {text}" for key, text in texts.items() if text)
    return _moment(value, now) or str(value)


def _verdict(verdict: Item, now: datetime) -> str:
    capped = verdict.get("ttl_seconds")
    parts = [
        f"{_text(verdict, 'verdict')} by {who(verdict.get('by'))}, {_moment(verdict.get('at'), now)}",
        f"at most {_length(capped)}" if capped else "",
        str(verdict.get("comment") or ""),
    ]
    return "; ".join(part for part in parts if part)


def _agent(holder: object) -> str | None:
    """The app that acts for the identity."""
    if not isinstance(holder, dict) or not holder.get("on_behalf_of"):
        return None
    return f"{holder.get('app_id')}, on behalf of the identity"


def _identity(identity: object) -> str:
    if not isinstance(identity, dict):
        return who(identity)
    name = f"{identity['display']}, " if identity.get("display") else ""
    kind = f"{identity['kind']} " if identity.get("kind") else ""
    return f"{name}{kind}{identity.get('tid')}/{identity.get('oid')}"


def _fields(fields: Iterable[tuple[str, object]], width: int) -> str:
    lines: list[str] = []
    width = max(width, 40)
    for name, value in fields:
        if value in (None, ""):
            continue
        text = plain(" ".join(str(value).split()))
        head = f"{plain(name):<{_INDENT - 2}}  "
        indent = " " * _INDENT
        if any(len(word) > width - _INDENT for word in text.split()):  # ids that are copied whole
            lines.append(plain(name))
            head = indent = "    "
        lines += textwrap.wrap(
            text, width, initial_indent=head, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
    return "\n".join(lines)


def _table(titles: Sequence[TableColumn], rows: Sequence[Sequence[str]], width: int, none: str) -> str:
    return "\n".join(columns(titles, rows, width)) if rows else none


def _text(item: Item, name: str) -> str:
    value = item.get(name)
    return "-" if value is None else str(value)


def _length(seconds: object) -> str:
    if not isinstance(seconds, int):
        return "-"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min" + (f" {rest} s" if rest else "") if minutes else f"{rest} s"


def _read(moment: object) -> datetime | None:
    try:
        read = datetime.fromisoformat(moment) if isinstance(moment, str) else None
    except ValueError:
        return None
    return read if read is not None and read.tzinfo is not None else None


def _since(moment: object, now: datetime) -> str:
    read = _read(moment)
    return "-" if read is None else span((now - read).total_seconds())


def _until(moment: object, now: datetime) -> str:
    read = _read(moment)
    return "-" if read is None else span((read - now).total_seconds())


def _moment(moment: object, now: datetime) -> str | None:
    read = _read(moment)
    if read is None:
        return None
    seconds = (read - now).total_seconds()
    nearness = f"in {span(seconds)}" if seconds >= 0 else f"{span(-seconds)} ago"
    return f"{read:%Y-%m-%d %H:%M:%S %Z} ({nearness})"
