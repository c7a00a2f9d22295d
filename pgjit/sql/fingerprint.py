"""A fingerprint of a value that is made of dataclasses: equal values have equal fingerprints. Pure.

The value is serialised piece by piece: in one piece a large catalog would block every other thread.
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
    """Sixteen hexadecimal digits, made from the fields with `init` and `compare`.

    Its dictionaries hold dictionaries of dataclasses, by schema and name. Their order counts.
    """
    digest = hashlib.sha256()
    for each in fields(value):
        if each.init and each.compare:
            held = getattr(value, each.name)
            for piece in held.items() if isinstance(held, dict) else [held]:
                digest.update(orjson.dumps(_compared(piece), option=orjson.OPT_SORT_KEYS, default=list))
    return digest.hexdigest()[:16]


def _compared(piece: Any) -> Any:
    """A piece without the fields that have `compare=False`."""
    if not (isinstance(piece, tuple) and len(piece) == 2 and isinstance(piece[1], dict)):
        return piece
    key, held = piece
    sample = next(iter(held.values()), None)
    if not is_dataclass(sample) or all(each.compare for each in fields(sample)):
        return piece
    counted = [each.name for each in fields(sample) if each.compare]
    return key, {name: [getattr(one, field) for field in counted] for name, one in held.items()}
