"""The server of the tests of names serves those of reading its catalog as well."""

from __future__ import annotations

from tests.sql.conftest import names_dsn

__all__ = ["names_dsn"]
