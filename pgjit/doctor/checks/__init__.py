"""The checks of `pgjit doctor`, in the order in which their findings are reported.

Each module decides what one kind of right or setting means for a login role that agents use:

- `login`: attributes of the role, and the roles that it can become. `connection`: TLS, versions, shared logins.
  `control`: whether the login of the control connections works. These three read the subject only, without a query.
- `containers`: rights on schemas, databases, languages, foreign servers, parameters.
- `relations`: rights on tables, sequences and large objects, ownership, default privileges.
- `functions`: functions that the role may execute, also behind operators, casts and domains.
- `secrets`: options and settings in the catalogs that may hold passwords.
- `session`: settings, other sessions, user mappings, event triggers, row-level security.

Words: a *check* is a query with the meaning of its rows (`../check.py`). A *privilege* is one right on one object,
with its grantor and its *grantee*, the role that holds it. A *fix* is SQL for a superuser that takes it back.

Start reading with `secrets.py`, the shortest. To add a check, write a `Check` and add it to `CHECKS`. Its query must
run on every supported version, or name the first one that has its columns (`since`).

A check does not connect, and does not decide what happens when its query fails: `../examine.py` does.
"""

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
