"""The checks, in the order in which their findings are told. A new one takes a row here."""

from __future__ import annotations

from typing import Any

from pgjit.doctor.check import Check
from pgjit.doctor.checks import containers, functions, relations, secrets, session

__all__ = ["CHECKS"]

CHECKS: tuple[Check[Any], ...] = (
    relations.OWNED,
    containers.CONTAINERS,
    containers.PARAMETERS,
    relations.RELATIONS,
    relations.CATALOGS,
    relations.LARGE_OBJECTS,
    relations.DEFAULTS,
    secrets.SECRETS,
    functions.FUNCTIONS,
    functions.BUILTIN,
    session.SESSION,
    session.SETTINGS,
    session.AUTHENTICATION,
    session.SIBLINGS,
    session.MAPPINGS,
    session.EVENT_TRIGGERS,
    session.ROW_SECURITY,
    session.VIEWS,
)
