"""A value that is made of dataclasses, as a short text that differs where it differs. Pure.

Goes through it piece by piece: in one piece a large catalog would hold up every other thread.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["fingerprint"]


def fingerprint(value: DataclassInstance) -> str:
    """Sixteen hexadecimal digits, of the fields that are given when it is made and that count when it is compared.

    Its dictionaries hold dictionaries of dataclasses, by schema and name, in the order in which they were filled.
    """
    digest = hashlib.sha256()
    for each in fields(value):
        if each.init and each.compare:
            held = getattr(value, each.name)
            for piece in held.items() if isinstance(held, dict) else [held]:
                digest.update(orjson.dumps(_compared(piece), option=orjson.OPT_SORT_KEYS, default=list))
    return digest.hexdigest()[:16]


def _compared(piece: Any) -> Any:
    """Without the fields that do not count, where the dataclasses in it have any."""
    if not (isinstance(piece, tuple) and len(piece) == 2 and isinstance(piece[1], dict)):
        return piece
    key, held = piece
    sample = next(iter(held.values()), None)
    if not is_dataclass(sample) or all(each.compare for each in fields(sample)):
        return piece
    counted = [each.name for each in fields(sample) if each.compare]
    return key, {name: [getattr(one, field) for field in counted] for name, one in held.items()}
