"""pandas through SQLAlchemy: queries, chunks, tables by name."""

from __future__ import annotations

import pandas as pd
import place
import sqlalchemy

engine = sqlalchemy.create_engine(place.url("postgresql+psycopg"))
query = "SELECT id, state::text, placed, note FROM app.orders ORDER BY id LIMIT 50"
with engine.connect() as connection:
    place.attempt("query", pd.read_sql_query, sqlalchemy.text(query), connection, index_col="id")
    chunks = pd.read_sql_query(sqlalchemy.text(query), connection, chunksize=20)
    place.attempt("chunks", lambda: [chunk.shape for chunk in chunks])
    wanted = sqlalchemy.text("SELECT count(*) AS n FROM app.orders WHERE id = ANY (:ids)")
    place.attempt("parameters", pd.read_sql_query, wanted, connection, params={"ids": [1, 2, 3]})
    place.attempt("table", pd.read_sql_table("products", connection, schema="app").dtypes.to_dict)
    place.attempt("view", lambda: pd.read_sql_table("revenue", connection, schema="app").shape)
    place.attempt("types", pd.read_sql_query, sqlalchemy.text(
        "SELECT 1.5::numeric AS n, ARRAY[1, 2] AS a, '{\"x\": 1}'::jsonb AS j, '1 day'::interval AS i, true AS b"
    ), connection)  # fmt: skip
