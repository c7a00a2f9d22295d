"""Names that a server of another encoding than UTF8 may read in another way than the parser does.

The server reads a statement in its own encoding: it cuts names at 63 bytes of that, and where the encoding has one
byte a character it folds letters beyond ASCII as well. Decides which names are the same either way. Pure.
"""

from __future__ import annotations

from typing import Any

__all__ = ["beyond_ascii", "is_certain"]

_CUT = 63 - 3  # the parser cuts a name between two characters: what is shorter than this was not cut
_MULTIBYTE = frozenset({"EUC_JP", "EUC_CN", "EUC_KR", "EUC_TW", "EUC_JIS_2004", "MULE_INTERNAL"})


def beyond_ascii(node: dict[str, Any]) -> tuple[str, ...]:
    """Texts in a statement's tree, but for constants, that are not ASCII or may have been cut: names and aliases."""
    found: dict[str, None] = {}
    left: list[Any] = [node]
    while left:
        value = left.pop()
        if type(value) is list:
            left.extend(value)
        elif type(value) is dict:
            left.extend(inner for key, inner in value.items() if key != "A_Const")
        elif type(value) is str and (not value.isascii() or len(value) >= _CUT):
            found[value] = None
    return tuple(found)


def is_certain(name: str, encoding: str) -> bool:
    """Whether a server of that encoding reads a name as the parser did."""
    if encoding == "UTF8":
        return True
    if encoding == "SQL_ASCII" or len(name.encode()) >= _CUT:
        return False
    return encoding in _MULTIBYTE or all(each.isascii() or each.lower() == each for each in name)
