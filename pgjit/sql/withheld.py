"""Constants that are withheld from the readers of a syntax tree, so that no decision can depend on them. Pure.

`withholding.py` replaces each constant in the tree by a `Withheld`: whatever reads it gets `ConstantRead`. If reading
the facts, resolving the names and applying the rules succeeds all the same, none of that has looked at the constant,
and the outcome is the same for every text of that shape (`constants.py`).

INVARIANT: a `Withheld` gives away nothing, not even its type: `isinstance` raises as well. No reader of the tree may
test a value with `type(value) is str` or `is int`, which nothing can forbid.
"""

from __future__ import annotations

from typing import NoReturn, cast

__all__ = ["WITHHELD", "WITHHELD_TEXT", "ConstantRead", "Withheld"]


class ConstantRead(BaseException):
    """A decision depends on a constant. No handler of ordinary errors may swallow this."""


class Withheld:
    __slots__ = ()

    def _refuse(self, *_: object) -> NoReturn:
        raise ConstantRead

    __class__ = property(_refuse)  # for `isinstance`
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __hash__ = __bool__ = __len__ = __iter__ = __contains__ = __getitem__ = _refuse
    __str__ = __repr__ = __format__ = __bytes__ = _refuse
    __int__ = __index__ = __float__ = __neg__ = __abs__ = __trunc__ = __round__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __mod__ = __rmod__ = _refuse
    __getattr__ = __reduce_ex__ = _refuse


WITHHELD = Withheld()
WITHHELD_TEXT = cast("str", WITHHELD)
"""In place of the text of a statement: the constants are in it as well."""
