"""Names that a server may read differently from the parser, because its encoding is not UTF8.

The server reads a statement in its own encoding. It truncates identifiers to 63 bytes of it, and in a
single-byte encoding it also folds letters beyond ASCII. Decides which names are the same for both. Pure.

Names of prepared statements and portals come by the wire protocol. The server converts them and cuts them at byte 63,
also inside a character. Conversion keeps different names different, but for two characters of EUC_JP.
"""

from __future__ import annotations

from typing import Any

__all__ = ["MAX_NAME", "beyond_ascii", "is_certain", "is_certain_identifier", "key_of"]

MAX_NAME = 63
_CUT = MAX_NAME - 3  # the parser truncates between two characters: a shorter name was not truncated
_MULTIBYTE = frozenset({"EUC_JP", "EUC_CN", "EUC_KR", "EUC_TW", "EUC_JIS_2004", "MULE_INTERNAL"})
_WIDEST = 4  # bytes of their longest character
_SINGLE_BYTE = frozenset(
    """
    LATIN1 LATIN2 LATIN3 LATIN4 LATIN5 LATIN6 LATIN7 LATIN8 LATIN9 LATIN10 WIN1250 WIN1251 WIN1252 WIN1253 WIN1254
    WIN1255 WIN1256 WIN1257 WIN1258 WIN866 WIN874 KOI8R KOI8U ISO_8859_5 ISO_8859_6 ISO_8859_7 ISO_8859_8
""".split()
)
# Two characters that become one. Converting every character to every encoding found no other pair.
_MERGED = {"EUC_JP": frozenset("\u00a6\uffe4")}
_NONE: frozenset[str] = frozenset()
_AS_THEY_COME = frozenset({"UTF8", "SQL_ASCII"})  # nothing is converted


def beyond_ascii(node: dict[str, Any]) -> tuple[str, ...]:
    """Names and aliases in a tree that are not ASCII, or that the parser may have truncated. No constants."""
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
    """Whether a server with that encoding reads the name as the parser did."""
    if encoding == "UTF8":
        return True
    if encoding == "SQL_ASCII" or len(name.encode()) >= _CUT or not _MERGED.get(encoding, _NONE).isdisjoint(name):
        return False
    return encoding in _MULTIBYTE or all(each.isascii() or each.lower() == each for each in name)


def is_certain_identifier(name: str, beyond: tuple[str, ...], encoding: str) -> bool:
    """The same for a name in a statement whose `beyond_ascii` is `beyond`."""
    if name not in beyond or (name.isascii() and len(name) == MAX_NAME):
        return True  # every server truncates it at the same byte
    return is_certain(name, encoding)


def key_of(name: bytes, encoding: str) -> bytes | None:
    """The name, in UTF-8, as a server with that encoding keeps it; None if that is not certain.

    For names of prepared statements and portals in the wire protocol.
    """
    if name.isascii() or encoding in _AS_THEY_COME:
        return name[:MAX_NAME]
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return name  # the server rejects it
    if encoding in _SINGLE_BYTE:
        return text[:MAX_NAME].encode()
    if encoding not in _MULTIBYTE or not _MERGED.get(encoding, _NONE).isdisjoint(text):
        return None
    return name if sum(1 if each.isascii() else _WIDEST for each in text) <= MAX_NAME else None
