"""polars by connectorx and by ADBC."""

from __future__ import annotations

import place
import polars as pl

query = "SELECT id, user_id, placed, note FROM app.orders ORDER BY id LIMIT 50"
for engine in ("connectorx", "adbc"):
    place.attempt(engine, lambda engine=engine: pl.read_database_uri(query, place.native(), engine=engine).to_dicts())
place.attempt("parts", lambda: pl.read_database_uri(
    "SELECT id, user_id FROM app.orders", place.native(), partition_on="id", partition_num=3
).sort("id").to_dicts()[:20])  # fmt: skip
