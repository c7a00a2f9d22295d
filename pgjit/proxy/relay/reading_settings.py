"""Settings by which a server reads a text in another way than it is read here: under `access: full` they may be set.

Decides which statements may set one of them. Pure.
"""

from __future__ import annotations

from pgjit.sql.statement import Setting, Statement

__all__ = ["reads_otherwise", "sets_reading"]

_AS_READ_HERE = {
    "client_encoding": frozenset({"utf8", "utf-8", "unicode"}),
    "standard_conforming_strings": frozenset({"on", "true", "yes", "1"}),
}


def reads_otherwise(name: str, value: str) -> bool:
    """Whether texts mean something else to a server that reports this value of a setting."""
    return name in _AS_READ_HERE and value.lower() not in _AS_READ_HERE[name]


def sets_reading(statement: Statement) -> bool:
    """Whether texts may mean something else to the server behind `statement`."""
    return any(map(_sets, statement.settings))


def _sets(setting: Setting) -> bool:
    if setting.everything or setting.back:
        return False  # to what the session began with
    if setting.name is None:
        return True
    return setting.name in _AS_READ_HERE and (setting.value is None or reads_otherwise(setting.name, setting.value))
