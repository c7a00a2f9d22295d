"""Which names a server of another encoding reads as the parser does."""

from __future__ import annotations

import dataclasses

import pytest

from pgjit.sql.catalog import Catalog
from pgjit.sql.encodings import is_certain
from pgjit.sql.parse import read_message
from pgjit.sql.resolve.resolve import resolve


@pytest.mark.parametrize(
    ("name", "encoding", "certain"),
    [
        ("É" * 31, "UTF8", True),
        ("größe", "LATIN1", True),
        ("Größe", "LATIN1", True),
        ("GRÖSSE", "LATIN1", False),  # folded, where the locale has such letters
        ("é" * 29, "LATIN1", True),
        ("é" * 30, "LATIN1", False),  # it may have been cut
        ("a" * 59, "LATIN1", True),
        ("a" * 62, "LATIN1", False),
        ("Ａ名前", "EUC_JP", True),
        ("名" * 20, "EUC_JP", False),
        ("é", "SQL_ASCII", False),
        ("É", "KOI8R", False),
    ],
)
def test_a_name_is_certain_where_nothing_folds_or_cuts_it(name: str, encoding: str, certain: bool) -> None:
    assert is_certain(name, encoding) is certain


@pytest.mark.parametrize(
    ("sql", "doubted"),
    [
        ("SELECT 'É', 1 AS a", False),
        ("SELECT 1 AS \"É\"", True),
        ("SELECT 1 AS U&\"\\00c9\"", True),
        ("SELECT 1 AS U&\"!00c9\" UESCAPE '!'", True),
        (f"SELECT 1 AS {'a' * 62}é", True),
        (f"SELECT 1 AS {'a' * 63}", False),  # all of it is ASCII: cut as everywhere
        ("WITH \"É\" AS (SELECT 1) SELECT 1", True),
        ("SELECT 1 -- É", False),
    ],
)  # fmt: skip
def test_names_and_not_constants_are_doubted(sql: str, doubted: bool, catalog: Catalog) -> None:
    (statement,) = read_message(sql).statements
    other = dataclasses.replace(catalog, encoding="LATIN1")
    assert ("encoding" in {fault.kind for fault in resolve(statement, other).faults}) is doubted
    assert not resolve(statement, catalog).faults


def test_a_catalog_keeps_its_encoding(catalog: Catalog) -> None:
    other = dataclasses.replace(catalog, encoding="EUC_JP")
    assert Catalog.from_json(other.to_json()).encoding == "EUC_JP"
    assert catalog.encoding == "UTF8"
    assert other.version != catalog.version
