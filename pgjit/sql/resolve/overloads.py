"""Overload resolution: which function or operator of a name a call chooses, and which implicit casts that needs.

Follows PostgreSQL's rules, for argument types that are known or may be any built-in one. If several candidates could
be chosen, the casts of all of them count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from math import prod

from pgjit.sql.catalog import is_builtin_type
from pgjit.sql.resolve.casts import ANY, UNKNOWN_TYPES, ApplicableCast, CastTable

__all__ = ["POLYMORPHIC", "casts_for_call"]

POLYMORPHIC = frozenset({
    "anyelement", "anyarray", "anynonarray", "anyenum", "anyrange", "anymultirange", "anycompatible",
    "anycompatiblearray", "anycompatiblenonarray", "anycompatiblerange", "anycompatiblemultirange",
})  # fmt: skip
_TAKES_ANY = POLYMORPHIC | {"any", "record"}
_STEPS = 4
"""The cost of examining one candidate for one combination of types."""
_MOST = 64
"""Combinations of argument types that are examined; with more of them every possible cast counts."""


def casts_for_call(
    cast_table: CastTable,
    candidates: Sequence[Sequence[str]],
    arguments: Sequence[frozenset[str]],
    spend: Callable[[int], None],
) -> Iterator[ApplicableCast]:
    """`candidates`: the parameter types of each, as many as there are arguments."""
    arguments = [_spelt_out(cast_table, kinds) for kinds in arguments]
    many = prod(max(1, len(kinds)) for kinds in arguments)
    spend(_STEPS * len(candidates) * min(many, _MOST))
    if many > _MOST:
        for parameters in candidates:
            for parameter, kinds in zip(parameters, arguments, strict=False):
                for kind in kinds:
                    yield from (found for target, found in cast_table.implicit(kind) if target == parameter)
        return
    for combination in product(*arguments):
        yield from _chosen(cast_table, candidates, combination)


def _spelt_out(cast_table: CastTable, kinds: frozenset[str]) -> frozenset[str]:
    """Any built-in type: each one that a cast starts from, or one without a cast."""
    return kinds.union(cast_table.builtin_sources) if ANY in kinds else kinds


def _chosen(
    cast_table: CastTable, candidates: Iterable[Sequence[str]], arguments: Sequence[str]
) -> Iterator[ApplicableCast]:
    flat = [cast_table.flat(kind) for kind in arguments]
    known = {kind for kind in flat if kind != ANY and kind not in UNKNOWN_TYPES}
    if ANY not in flat and len(known) == 1:  # an unknown literal takes the type of the other arguments
        (only,) = known
        if any(all(kind == only for kind in parameters) for parameters in candidates):
            return
    best, fitting = -1, []
    for parameters in candidates:
        casts = _casts_for(cast_table, parameters, flat)
        if casts is None:
            continue
        pairs = list(zip(parameters, flat, strict=False))
        certain = sum(parameter == kind for parameter, kind in pairs)
        possible = certain + sum(kind == ANY and is_builtin_type(parameter) for parameter, kind in pairs)
        best = max(best, certain)
        fitting.append((possible, casts))
    for possible, casts in fitting:
        if possible >= best:
            yield from casts


def _casts_for(
    cast_table: CastTable, parameters: Sequence[str], arguments: Sequence[str]
) -> list[ApplicableCast] | None:
    """The casts that the candidate needs; None if the arguments do not fit it."""
    casts: list[ApplicableCast] = []
    for parameter, kind in zip(parameters, arguments, strict=False):
        plain = parameter in _TAKES_ANY or kind in UNKNOWN_TYPES or cast_table.flat(parameter) == kind
        plain = plain or (is_builtin_type(kind) and is_builtin_type(parameter))
        made = cast_table.implicit(kind) if kind != ANY else ()
        found = [cast for target, cast in made if target == cast_table.flat(parameter)]
        if not plain and not found and not cast_table.is_row(kind):  # a row may be one of what it inherits from
            return None
        casts += found if parameter not in _TAKES_ANY and kind != parameter else []
    return casts
