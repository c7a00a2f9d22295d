"""Which casts a call needs: the choice between the functions or operators of one name, as PostgreSQL makes it.

Decides for types that are known, or may be any built-in one. Where several could be chosen, the casts of all of them
count.
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
"""That looking at one function or operator for one combination of types counts as."""
_MOST = 64
"""Combinations of types of arguments; with more of them every cast that could be needed counts."""


def casts_for_call(
    conversions: CastTable,
    candidates: Sequence[Sequence[str]],
    arguments: Sequence[frozenset[str]],
    spend: Callable[[int], None],
) -> Iterator[ApplicableCast]:
    """`candidates`: the types that each takes, as many as there are arguments."""
    arguments = [_spelt_out(conversions, kinds) for kinds in arguments]
    many = prod(max(1, len(kinds)) for kinds in arguments)
    spend(_STEPS * len(candidates) * min(many, _MOST))
    if many > _MOST:
        for parameters in candidates:
            for parameter, kinds in zip(parameters, arguments, strict=False):
                for kind in kinds:
                    yield from (found for target, found in conversions.implicit(kind) if target == parameter)
        return
    for combination in product(*arguments):
        yield from _chosen(conversions, candidates, combination)


def _spelt_out(conversions: CastTable, kinds: frozenset[str]) -> frozenset[str]:
    """Some built-in type is one that a cast starts from, or another one: that is as it is."""
    return kinds.union(conversions.builtin_sources) if ANY in kinds else kinds


def _chosen(
    conversions: CastTable, candidates: Iterable[Sequence[str]], arguments: Sequence[str]
) -> Iterator[ApplicableCast]:
    flat = [conversions.flat(kind) for kind in arguments]
    known = {kind for kind in flat if kind != ANY and kind not in UNKNOWN_TYPES}
    if ANY not in flat and len(known) == 1:  # a constant beside a value of one type is read as that
        (only,) = known
        if any(all(kind == only for kind in parameters) for parameters in candidates):
            return
    best, fitting = -1, []
    for parameters in candidates:
        casts = _casts_for(conversions, parameters, flat)
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
    conversions: CastTable, parameters: Sequence[str], arguments: Sequence[str]
) -> list[ApplicableCast] | None:
    """None where the arguments do not fit."""
    casts: list[ApplicableCast] = []
    for parameter, kind in zip(parameters, arguments, strict=False):
        plain = parameter in _TAKES_ANY or kind in UNKNOWN_TYPES or conversions.flat(parameter) == kind
        plain = plain or (is_builtin_type(kind) and is_builtin_type(parameter))
        made = conversions.implicit(kind) if kind != ANY else ()
        found = [cast for target, cast in made if target == conversions.flat(parameter)]
        if not plain and not found and not conversions.is_row(kind):  # a row may be one of what it inherits from
            return None
        casts += found if parameter not in _TAKES_ANY and kind != parameter else []
    return casts
