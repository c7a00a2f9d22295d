"""pgcli: what it asks for completions, and its backslash commands, by its own executor."""

from __future__ import annotations

import place
from pgcli.pgexecute import PGExecute

given = {"sslmode": place.SSLMODE, **({"sslrootcert": place.ROOT} if place.ROOT else {})}
executor = PGExecute(place.DATABASE, place.USER, place.PASSWORD, place.HOST, place.PORT, **given)
for name in ("search_path", "schemata", "tables", "views", "table_columns", "view_columns", "foreignkeys",
             "functions", "datatypes", "casing"):  # fmt: skip
    call = getattr(executor, name)
    place.attempt(name, lambda call=call: sorted(map(str, call())))
for text in ("\\dt app.*", "\\d app.orders", "\\dn", "\\df app.*", "\\dT app.*", "\\di app.*", "\\dx", "\\l",
             "SELECT count(*) FROM app.orders"):  # fmt: skip
    found = list(executor.run(text))
    print(text, [([*map(str, rows)] if text != "\\l" and rows else None, status) for _, rows, _, status, *_ in found])
