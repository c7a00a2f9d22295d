"""The filters of the audit's search, as the form and the address have them.

Decides their labels and what a value may be. What each means is decided by `audit/reading/execution_list.py`.
"""

from __future__ import annotations

from typing import Final

from pgjit.console.address_query import AddressQuery, QueryField, read_address_query

__all__ = ["FILTERS", "read_filters"]

_OUTCOMES: Final = ("completed", "failed", "limited", "refused", "skipped", "suspended", "cut")
_NO_END: Final = ("unknown", "no end yet: it runs, or pgjit was stopped while it ran")
_ANY: Final = ("", "any")
FILTERS: Final[dict[str, QueryField]] = {
    "text": QueryField(label="Text of the statement", hint="A part of it; upper and lower case are alike.", most=512),
    "identity": QueryField(label="Identity", hint="Display name, object id or TENANT/OBJECT.", most=512),
    "object": QueryField(label="Relation or function", hint="That it read, wrote or called.", most=512),
    "since": QueryField(label="Since", hint="2026-11-28, 2026-11-28T14:30Z, yesterday, 2h (ago)."),
    "until": QueryField(label="Until", hint="The same; in UTC."),
    "policy": QueryField(label="Policy"),
    "connection": QueryField(label="Connection"),
    "group": QueryField(label="Group", hint="Whose membership opened the session."),
    "decision": QueryField(label="Decision", choices=(_ANY, ("allow", "allowed"), ("deny", "refused"))),
    "ended": QueryField(label="Outcome", choices=(_ANY, *((each, each) for each in _OUTCOMES), _NO_END)),
    "rule": QueryField(label="Rule", hint="That refused it."),
    "sqlstate": QueryField(label="SQLSTATE", hint="A code, or its first two characters.", most=5),
    "kind": QueryField(label="Kind", hint="select, update, ...", most=64),
    "window": QueryField(label="Window"),
    "session": QueryField(label="Session"),
    "catalog": QueryField(label="What drivers ask by themselves", choices=(("", "left out"), ("true", "shown too"))),
    "after_end": QueryField(label="After the window's end", choices=(("", "any time"), ("true", "only after"))),
}


def read_filters(text: str) -> AddressQuery:
    """The filters in the query of an address. Raises FieldFault."""
    return read_address_query(text, FILTERS)
