"""Questions with their values written out, as the server reads them."""

from __future__ import annotations

import pytest

from pgjit.doctor.check import written_out


@pytest.mark.parametrize(
    ("sql", "roles", "schemas", "expected"),
    [
        ("SELECT 1 WHERE a ~ 'b$'", [0], ["x"], "SELECT 1 WHERE a ~ 'b$'"),
        ("a = ANY ($1::oid[])", [0, 20000], [], "a = ANY ('{0,20000}'::oid[])"),
        ("a = ANY ($2::text[])", [], ["public", "it's"], "a = ANY (ARRAY['public', 'it''s']::text[])"),
        ("a = ANY ($2::text[])", [], [], "a = ANY (ARRAY[]::text[])"),
    ],
)
def test_values_are_literals(sql: str, roles: list[int], schemas: list[str], expected: str) -> None:
    assert written_out(sql, roles, schemas) == expected
