"""Whether a condition narrows, as far as the text tells it: what is left depends on which columns may be NULL.

A value, made by `conditions.py` and read by who knows the columns.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["ALWAYS", "Narrowing", "Token"]

ALWAYS: Final = "none"
Token = bool | str | tuple[Literal["any", "all", "none"], int]
"""Whether a part narrows; a column, which does where it may be NULL; or how so many parts before it make one: where
any of them narrows, where all do, or never."""


@dataclass(frozen=True, slots=True)
class Narrowing:
    tokens: tuple[Token, ...] = ()
    """The parts before the whole. Empty: there is no condition."""

    def word(self, filled: Collection[str] = ()) -> Literal["no", "constant", "yes"]:
        """`no`: there is no condition. `constant`: there is one that no column of the written relation decides.

        `filled`: its columns that are never NULL.
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
