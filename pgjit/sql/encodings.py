"""Names that a server of another encoding than UTF8 may read in another way than the parser or the client does.

The server reads a statement in its own encoding: it cuts names at 63 bytes of that, and where the encoding has one
byte a character it folds letters beyond ASCII as well. Decides which names are the same either way. Pure.

Names of prepared statements and portals, as the wire protocol gives them, it converts and cuts at 63 bytes wherever
that falls. Names that differ stay different when they are converted, but for two characters of EUC_JP.
"""

from __future__ import annotations

from typing import Any

__all__ = ["MAX_NAME", "beyond_ascii", "is_certain", "is_certain_identifier", "key_of"]

MAX_NAME = 63
_CUT = MAX_NAME - 3  # the parser cuts a name between two characters: what is shorter than this was not cut
_MULTIBYTE = frozenset({"EUC_JP", "EUC_CN", "EUC_KR", "EUC_TW", "EUC_JIS_2004", "MULE_INTERNAL"})
_WIDEST = 4  # bytes of a character in these
_SINGLE_BYTE = frozenset(
    """
    LATIN1 LATIN2 LATIN3 LATIN4 LATIN5 LATIN6 LATIN7 LATIN8 LATIN9 LATIN10 WIN1250 WIN1251 WIN1252 WIN1253 WIN1254
    WIN1255 WIN1256 WIN1257 WIN1258 WIN866 WIN874 KOI8R KOI8U ISO_8859_5 ISO_8859_6 ISO_8859_7 ISO_8859_8
""".split()
)
_MADE_ONE = {"EUC_JP": frozenset("\u00a6\uffe4")}  # of all encodings, found by converting every character there is
_NONE: frozenset[str] = frozenset()
_AS_THEY_COME = frozenset({"UTF8", "SQL_ASCII"})  # nothing is converted


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
    if encoding == "SQL_ASCII" or len(name.encode()) >= _CUT or not _MADE_ONE.get(encoding, _NONE).isdisjoint(name):
        return False
    return encoding in _MULTIBYTE or all(each.isascii() or each.lower() == each for each in name)


def is_certain_identifier(name: str, beyond: tuple[str, ...], encoding: str) -> bool:
    """The same of a name in a statement whose `beyond_ascii` is `beyond`."""
    if name not in beyond or (name.isascii() and len(name) == MAX_NAME):
        return True  # no server's cut lies elsewhere
    return is_certain(name, encoding)


def key_of(name: bytes, encoding: str) -> bytes | None:
    """What a server of that encoding tells a name of the wire protocol by, in UTF-8; None where nobody can say."""
    if name.isascii() or encoding in _AS_THEY_COME:
        return name[:MAX_NAME]
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return name  # the server rejects it
    if encoding in _SINGLE_BYTE:
        return text[:MAX_NAME].encode()
    if encoding not in _MULTIBYTE or not _MADE_ONE.get(encoding, _NONE).isdisjoint(text):
        return None
    return name if sum(1 if each.isascii() else _WIDEST for each in text) <= MAX_NAME else None
