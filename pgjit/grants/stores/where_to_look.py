"""What an operator looks at when a PostgreSQL store cannot be used: the hints of `pgjit store`, and of a start.

A client's hint is another one: it can only try again later.
"""

from __future__ import annotations

import ssl

import asyncpg

__all__ = ["look_at_server"]

_LOGIN = (
    "Check the role in `store.url` and `store.password`, and that pg_hba.conf of the server has a line for this "
    "role, database, address and TLS."
)
_TLS = (
    "Check TLS: whether the server has it on, whether `sslrootcert` in `store.url` is the CA of its certificate, and "
    "whether the certificate names the host of the URL."
)
_DATABASE = "Check the database in `store.url`, or create it: CREATE DATABASE ... OWNER the role of the store."
_RIGHTS = "Make the role of `store.url` the owner of the database and of its tables, or grant it the rights."
_ANY = (
    "Check `store.url`: host and port, and that the server runs and is reached from here; role and `store.password`; "
    "the line of pg_hba.conf for them; TLS (`sslmode`, `sslrootcert`)."
)


def look_at_server(error: BaseException) -> str:
    """`error`: of the login to a PostgreSQL store, or of a statement there."""
    cause = getattr(error, "orig", None)  # SQLAlchemy wraps the driver's error
    cause = error if cause is None else cause.__cause__ or cause
    match cause:
        case asyncpg.InvalidAuthorizationSpecificationError():  # a wrong password is one
            return _LOGIN
        case ssl.SSLError():
            return _TLS
        case ConnectionError() if "SSL" in str(cause):  # asyncpg, for a server without TLS
            return _TLS
        case asyncpg.InvalidCatalogNameError():
            return _DATABASE
        case asyncpg.InsufficientPrivilegeError():
            return _RIGHTS
    return _ANY
