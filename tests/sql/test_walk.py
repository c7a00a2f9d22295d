"""The walk reaches a node under each name that the parser gives it."""

from __future__ import annotations

import pytest
from pglast import ast

from pgjit.sql import walk
from pgjit.sql.parse import read_message

_RECOGNISED_BY_SHAPE = {"TypeName"}  # by its field `names`, under any name


def test_each_field_of_a_handled_type_is_handled() -> None:
    handled = set(walk._HANDLERS)
    slots = {name: getattr(getattr(ast, name), "__slots__", None) for name in dir(ast)}
    fields = {
        (name, field)
        for name, infos in slots.items()
        if isinstance(infos, dict)
        for field, info in infos.items()
        if (kind := info.c_type.rstrip("*")) in handled and kind not in _RECOGNISED_BY_SHAPE
    }
    assert {name for name, _ in fields} >= {"AlterRoleSetStmt", "AlterDatabaseSetStmt", "AlterSystemStmt"}
    assert [each for each in fields if each[1] not in handled] == []


@pytest.mark.parametrize("subject", ["ROLE a", "USER a", "ROLE ALL IN DATABASE b", "DATABASE b", "SYSTEM"])
def test_settings_of_roles_databases_and_the_server_are_settings(subject: str) -> None:
    (statement,) = read_message(f"ALTER {subject} SET pgjit.identity = 'x'").statements
    assert [(each.name, each.value) for each in statement.settings] == [("pgjit.identity", "x")]
