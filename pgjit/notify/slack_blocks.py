"""An announcement as Slack shows it: blocks, with buttons where somebody can decide. Pure.

Untrusted text is in `plain_text` objects: Slack neither formats it nor finds mentions or links in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from pgjit.grants.request import Request
from pgjit.notify.announcement import Announcement
from pgjit.notify.plain_text import cut, one_line

__all__ = ["APPROVE", "REASON", "REFUSE", "blocks", "button_value", "escaped", "fallback_text", "refusal_view"]

APPROVE, REFUSE, REASON = "pgjit_approve", "pgjit_refuse", "pgjit_reason"
_LONGEST_HEADER = 150
_LONGEST_FACT = 500
_LONGEST_TEXT = 2800
"""Slack accepts 3000 characters of a section."""
_LONGEST_REASON = 1000


def escaped(text: str) -> str:
    """For `mrkdwn` and for a message's own text: the three characters that can begin a mention or a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def fallback_text(announcement: Announcement) -> str:
    """What a phone's notification shows: no untrusted text."""
    return escaped(announcement.title)


def blocks(announcement: Announcement, *, decide: bool, mentioned: Sequence[str] = ()) -> list[dict[str, Any]]:
    """`mentioned`: Slack user ids. `decide`: with buttons."""
    title = announcement.title[:_LONGEST_HEADER]
    facts = "\n".join(f"{name}: {cut(one_line(text), _LONGEST_FACT)}" for name, text in announcement.facts)
    built: list[dict[str, Any]] = [
        {"type": "header", "text": _plain((("🚨 " if announcement.loud else "") + title)[:_LONGEST_HEADER])},
        {"type": "section", "text": _plain(cut(facts, _LONGEST_TEXT))},
    ]
    if mentioned:
        built.append(_mrkdwn(" ".join(f"<@{user}>" for user in mentioned)))
    if announcement.link is not None:
        built.append(_mrkdwn(f"<{announcement.link}|Open>"))
    if announcement.repeat:
        built.append(
            {"type": "context", "elements": [_plain("Sent again: an earlier attempt may have arrived as well.")]}
        )
    if decide and announcement.request is not None:
        built.append(_buttons(announcement.request))
    return built


def button_value(request: Request) -> str:
    """The click is for exactly this: an approval of something else is void."""
    return orjson.dumps({"request": request.id, "digest": request.ask.digest}).decode()


def refusal_view(value: str, channel: str, request_id: str) -> dict[str, Any]:
    """The dialog that a click on Refuse opens. `value`: of the button."""
    metadata = orjson.dumps({**orjson.loads(value), "channel": channel}).decode()
    reason = {"type": "plain_text_input", "action_id": REASON, "multiline": True, "max_length": _LONGEST_REASON}
    return {
        "type": "modal",
        "callback_id": REFUSE,
        "private_metadata": metadata,
        "title": _plain("Refuse a request"),
        "submit": _plain("Refuse"),
        "close": _plain("Cancel"),
        "blocks": [
            {"type": "section", "text": _plain(request_id)},
            {
                "type": "input",
                "block_id": REASON,
                "label": _plain("Reason (the requester reads it)"),
                "element": reason,
            },
        ],
    }


def _buttons(request: Request) -> dict[str, Any]:
    value = button_value(request)
    return {
        "type": "actions",
        "block_id": "pgjit_decide",
        "elements": [
            {
                "type": "button",
                "action_id": APPROVE,
                "text": _plain("Approve"),
                "style": "primary",
                "value": value,
            },
            {"type": "button", "action_id": REFUSE, "text": _plain("Refuse ..."), "style": "danger", "value": value},
        ],
    }


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}
