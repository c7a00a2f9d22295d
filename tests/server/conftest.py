"""The server of the name tests serves the tests that read its catalog, too."""

from __future__ import annotations

from tests.sql.conftest import names_dsn

__all__ = ["names_dsn"]
