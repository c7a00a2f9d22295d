"""Random statements over `tests/fixtures/catalog/schema.sql`, most of which the server accepts.

Names of columns are few and mean many things: every query is free to use any of them, of its own sources, of those
outside, by alias, by star or as a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hypothesis import strategies as st

__all__ = ["statements"]

T = TypeVar("T")

TABLES: dict[str, tuple[str, ...]] = {
    "customers": ("id", "name", "email", "note"),
    "public.customers": ("id", "name", "email", "note"),
    "orders": ("id", "customer_id", "name", "total"),
    "sales.customers": ("id", "region", "email"),
    "deals": ("id", "customer_id", "note"),
    "sales.deals": ("id", "customer_id", "note"),
    "hr.staff": ("id", "name", "salary", "boss"),
    "hr.employees": ("id", "name", "salary"),
    "hr.people": ("id", "name"),
    "ONLY hr.people": ("id", "name"),
    "events": ("id", "kind", "payload"),
    "events_web": ("id", "kind", "payload"),
    "contacts": ("id", "name", "address"),
    "sales.contacts": ("address",),
    "rows_of": ("id",),
    "moods": ("id", "mood", "before"),
    '"Web Events"': ("id", "payload"),
}
WRITABLE = ("customers", "orders", "sales.customers", "hr.staff", "events")
NAMES = ("id", "name", "email", "note", "address", "total", "salary", "payload", "x", "y")
ALIASES = ("a", "b", "c", "customers", "name", "email")


@dataclass(frozen=True)
class Item:
    """Something in FROM: how it is called, and which columns it has."""

    alias: str
    columns: tuple[str, ...]


class Writer:
    def __init__(self, draw: Callable[[st.SearchStrategy[int]], int]) -> None:
        self._draw = draw

    def below(self, number: int) -> int:
        return self._draw(st.integers(0, number - 1))

    def pick(self, values: Sequence[T]) -> T:
        return values[self.below(len(values))]

    def chance(self, percent: int) -> bool:
        return self.below(100) < percent

    # Queries. `outer`: items of the queries around; `ctes`: names of queries of a WITH.

    def query(
        self, depth: int, outer: tuple[Item, ...], ctes: dict[str, tuple[str, ...]]
    ) -> tuple[str, tuple[str, ...]]:
        head, ctes = self.with_clause(depth, outer, ctes)
        sql, columns = self.select(depth, outer, ctes)
        if depth > 0 and self.chance(10):
            count = len(columns)
            other = ", ".join(self.scalar(0, (), outer, ctes) for _ in range(count))
            sql = f"{sql} {self.pick(('UNION', 'UNION ALL', 'EXCEPT'))} SELECT {other}"
            if self.chance(30):
                sql += f" ORDER BY {self.below(count) + 1}"
        return head + sql, columns

    def with_clause(
        self, depth: int, outer: tuple[Item, ...], ctes: dict[str, tuple[str, ...]]
    ) -> tuple[str, dict[str, tuple[str, ...]]]:
        if depth <= 0 or not self.chance(25):
            return "", ctes
        parts: list[str] = []
        visible = dict(ctes)
        for _ in range(1 + self.below(2)):
            name = self.pick(("w", "customers", "orders", "deals"))
            if any(part.startswith((f"{name} ", f"{name}(")) for part in parts):
                continue
            sql, columns = self.query(depth - 1, outer, visible)
            renamed = self.renamed(columns)
            parts.append(f"{name} {renamed[0]}AS ({sql})")
            visible = {**visible, name: renamed[1]}
        return f"WITH {', '.join(parts)} ", visible

    def renamed(self, columns: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
        """A list of column aliases, sometimes."""
        if not columns or not self.chance(20):
            return "", columns
        new = ("x", "y", "email")[: 1 + self.below(min(3, len(columns)))]
        return f"({', '.join(new)}) ", (*new, *columns[len(new) :])

    def select(
        self, depth: int, outer: tuple[Item, ...], ctes: dict[str, tuple[str, ...]]
    ) -> tuple[str, tuple[str, ...]]:
        source, items = self.from_clause(depth, outer, ctes)
        targets: list[str] = []
        columns: list[str] = []
        for _ in range(1 + self.below(3)):
            target, names = self.target(depth, items, outer, ctes)
            targets.append(target)
            columns += names
        sql = f"SELECT {', '.join(targets)} FROM {source}"
        if self.chance(40):
            sql += f" WHERE {self.condition(depth, items, outer, ctes)}"
        if self.chance(25):
            sql += f" ORDER BY {self.column(items, outer)}"
        return sql, tuple(columns)

    def target(
        self, depth: int, items: tuple[Item, ...], outer: tuple[Item, ...], ctes: dict[str, tuple[str, ...]]
    ) -> tuple[str, tuple[str, ...]]:
        if self.chance(15):
            return "*", tuple(name for item in items for name in item.columns)
        if self.chance(15):
            item = self.pick(items)
            return f"{item.alias}.*", item.columns
        value = self.scalar(depth, items, outer, ctes)
        if self.chance(40):
            name = self.pick(NAMES)
            return f"{value} AS {name}", (name,)
        return value, (value.rpartition(".")[2],)

    def from_clause(
        self, depth: int, outer: tuple[Item, ...], ctes: dict[str, tuple[str, ...]]
    ) -> tuple[str, tuple[Item, ...]]:
        sql, first = self.item(depth, (), outer, ctes)
        items, listed, wrapped = [first], False, False
        for _ in range(self.below(3)):
            more, item = self.item(depth, tuple(items), outer, ctes)
            if any(item.alias == other.alias for other in items):
                continue
            common = [name for name in item.columns if sum(name in other.columns for other in items) == 1]
            kind = self.below(5)
            both, wrapped = (*items, item), False
            if kind == 0 and common and item.columns.count(common[0]) == 1:
                sql = f"{sql} JOIN {more} USING ({common[0]})"
            elif kind == 1:
                sql = f"{sql} NATURAL JOIN {more}"
            elif kind == 2:
                sql, listed = f"{sql}, {more}", True
            elif kind == 3 and not listed:
                sql, wrapped = f"({sql} CROSS JOIN {more})", True
            else:
                sql = f"{sql} JOIN {more} ON {self.condition(0, both, outer, ctes)}"
            items.append(item)
        if wrapped and self.chance(40):
            columns = tuple(name for item in items for name in item.columns)
            return f"{sql} AS j", (Item("j", columns),)
        return sql, tuple(items)

    def item(
        self, depth: int, before: tuple[Item, ...], outer: tuple[Item, ...], ctes: dict[str, tuple[str, ...]]
    ) -> tuple[str, Item]:
        if depth > 0 and self.chance(25):
            lateral = bool(before) and self.chance(40)
            sql, columns = self.query(depth - 1, (*outer, *before) if lateral else outer, ctes)
            alias = self.pick(("a", "b", "c", "d"))
            renamed = self.renamed(columns)
            return f"{'LATERAL ' if lateral else ''}({sql}) AS {alias} {renamed[0]}", Item(alias, renamed[1])
        if self.chance(8):
            return "generate_series(1, 2) AS g", Item("g", ("g",))
        known = {**TABLES, **ctes}
        name = self.pick([*ctes, *ctes, *TABLES] if ctes else list(TABLES))
        columns = known[name]
        if self.chance(50):
            alias = self.pick(ALIASES)
            renamed = self.renamed(columns)
            return f"{name} AS {alias} {renamed[0]}", Item(alias, renamed[1])
        return name, Item(name.rpartition(".")[2].removeprefix("ONLY "), columns)

    # Expressions: all of them text or boolean.

    def column(self, items: tuple[Item, ...], outer: tuple[Item, ...]) -> str:
        known = (*items, *outer) if outer and self.chance(30) else items or outer
        item = self.pick(known) if known else Item("customers", NAMES)
        name = self.pick(item.columns) if item.columns and self.chance(90) else self.pick(NAMES)
        form = self.below(10)
        if form < 5:
            return f"{item.alias}.{name}"
        if form == 9:
            return f"({item.alias}).{name}"
        return name

    def scalar(
        self, depth: int, items: tuple[Item, ...], outer: tuple[Item, ...], ctes: dict[str, tuple[str, ...]]
    ) -> str:
        form = self.below(18)
        if form == 0:
            return self.pick(("'k'", "NULL", "'good'::mood"))
        if form >= 14:
            return self.called(items, outer)
        if form == 1 and items:
            return f"row_to_json({self.pick(items).alias})::text"
        if form == 2 and items:
            return f"{self.pick(items).alias}.row_to_json::text"
        if form == 3:
            return f"upper({self.column(items, outer)}::text)"
        if form == 4 and depth > 0:
            source, inner = self.from_clause(depth - 1, (*outer, *items), ctes)
            return f"(SELECT {self.column(inner, (*outer, *items))}::text FROM {source} LIMIT 1)"
        if form == 5:
            return f"CASE {self.column(items, outer)}::text WHEN 'k' THEN {self.column(items, outer)}::text END"
        return f"{self.column(items, outer)}::text" if form < 9 else self.column(items, outer)

    def called(self, items: tuple[Item, ...], outer: tuple[Item, ...]) -> str:
        """What may be one of several functions or operators."""
        one, other = self.column(items, outer), self.pick((self.column(items, outer), "'good'", "1", "NULL"))
        name = self.pick(("upper", "lower", "concat", "mood_of", "array_agg"))
        return self.pick((
            f"{name}({one})", f"concat({one}, {other})", f"concat(1, {other})", f"({one} <> {other})",
            f"({other} + 1)",
            f"upper(mood_of({one}))", f"(before)[1] <> {other}", f"nullif({one}, {other})", f"({one}).is_fine",
        ))  # fmt: skip

    def condition(
        self, depth: int, items: tuple[Item, ...], outer: tuple[Item, ...], ctes: dict[str, tuple[str, ...]]
    ) -> str:
        left = f"{self.column(items, outer)}::text"
        if depth > 0 and self.chance(30):
            source, inner = self.from_clause(depth - 1, (*outer, *items), ctes)
            if self.chance(50):
                return f"{left} IN (SELECT {self.column(inner, (*outer, *items))}::text FROM {source})"
            return f"EXISTS (SELECT FROM {source} WHERE {self.condition(0, inner, (*outer, *items), ctes)})"
        return f"{left} {self.pick(('=', '<>', 'LIKE'))} {self.column(items, outer)}::text"

    # Writes.

    def write(self, depth: int) -> str:
        head, ctes = self.with_clause(depth, (), {})
        table = self.pick(WRITABLE)
        columns = TABLES[table]
        me = Item(table.rpartition(".")[2], columns)
        returning = f" RETURNING {self.target(0, (me,), (), ctes)[0]}" if self.chance(40) else ""
        form = self.below(4)
        if form == 0:
            sql, names = self.query(depth, (), ctes)
            value = f"q.{names[0] if names else 'x'}::text"
            return f"{head}INSERT INTO {table} ({columns[0]}) SELECT {value} FROM ({sql}) q{returning}"
        source, items = self.from_clause(depth, (), ctes)
        every = (me, *(item for item in items if item.alias != me.alias))
        if form == 1:
            return (
                f"{head}UPDATE {table} SET {self.pick(columns)} = {self.scalar(0, every, (), ctes)} FROM {source} "
                f"WHERE {self.condition(depth, every, (), ctes)}{returning}"
            )
        if form == 2:
            return (
                f"{head}DELETE FROM {table} USING {source} WHERE {self.condition(depth, every, (), ctes)}{returning}"
            )
        return (
            f"{head}MERGE INTO {table} USING {source} ON {self.condition(0, every, (), ctes)} "
            f"WHEN MATCHED THEN UPDATE SET {self.pick(columns)} = {self.scalar(0, every, (), ctes)} "
            f"WHEN NOT MATCHED THEN INSERT ({columns[0]}) VALUES ({self.scalar(0, items, (), ctes)}){returning}"
        )


@st.composite
def statements(draw: st.DrawFn) -> str:
    writer = Writer(draw)
    depth = writer.below(4)
    if writer.chance(25):
        return writer.write(min(depth, 2))
    return writer.query(depth, (), {})[0]
