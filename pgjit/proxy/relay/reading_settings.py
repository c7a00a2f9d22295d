"""Settings that make the server read a text in another way than pgjit does: `access: full` allows them. Pure.

Decides which statements set one of them: `SET client_encoding = latin1`, for one, or `SELECT set_config(...)`. From
then on, texts that are not plain ASCII are recorded as unread.
"""

from __future__ import annotations

from pgjit.proxy.relay.named_values import ExecutedStatement
from pgjit.proxy.relay.relay_state import RelayState
from pgjit.sql.statement import Setting

__all__ = ["note_reading", "reads_differently"]

_AS_READ_HERE = {
    "client_encoding": frozenset({"utf8", "utf-8", "unicode"}),
    "standard_conforming_strings": frozenset({"on", "true", "yes", "1"}),
}


def reads_differently(name: str, value: str) -> bool:
    """Whether texts mean something else to a server that reports this value of a setting."""
    return name in _AS_READ_HERE and value.lower() not in _AS_READ_HERE[name]


def note_reading(state: RelayState, executed: ExecutedStatement) -> None:
    """Texts behind `executed` may mean something else to the server."""
    if state.unrestricted and executed.statement is not None and any(map(_sets, executed.statement.settings)):
        state.read_differently()


def _sets(setting: Setting) -> bool:
    if setting.everything or setting.back:
        return False  # to what the session began with
    if setting.name is None:
        return True
    return setting.name in _AS_READ_HERE and (setting.value is None or reads_differently(setting.name, setting.value))
