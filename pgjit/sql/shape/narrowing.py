"""Whether a condition narrows, as a value that still depends on which columns may be NULL.

`conditions.py` makes it from the tree. The caller knows the columns and asks for the result.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["ALWAYS", "Narrowing", "Token"]

ALWAYS: Final = "none"
Token = bool | str | tuple[Literal["any", "all", "none"], int]
"""True or false: whether a part narrows. A column: it narrows if it may be NULL. A pair: how many parts before it are
joined to one, which narrows if any of them does, if all do, or never."""


@dataclass(frozen=True, slots=True)
class Narrowing:
    tokens: tuple[Token, ...] = ()
    """In postfix order. Empty: there is no condition."""

    def word(self, filled: Collection[str] = ()) -> Literal["no", "constant", "yes"]:
        """`no`: there is no condition. `constant`: no column of the target decides it. `yes`: it narrows.

        `filled`: the columns of the target that are NOT NULL.
        """
        if not self.tokens:
            return "no"
        found: list[bool] = []
        for token in self.tokens:
            if isinstance(token, bool):
                found.append(token)
            elif isinstance(token, str):
                found.append(token not in filled)
            else:
                how, count = token
                parts = found[len(found) - count :]
                del found[len(found) - count :]
                found.append({"any": any(parts), "all": all(parts), "none": False}[how])
        return "yes" if found[-1] else "constant"
