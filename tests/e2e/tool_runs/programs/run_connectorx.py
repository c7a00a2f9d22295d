"""connectorx in each of its protocols, in parts, and its metadata."""

from __future__ import annotations

import connectorx
import place

query = "SELECT id, user_id, placed, note FROM app.orders ORDER BY id LIMIT 30"
for protocol in ("binary", "csv", "cursor", "simple"):
    place.attempt(protocol, lambda protocol=protocol: connectorx.read_sql(
        place.native(), query, protocol=protocol, return_type="arrow"
    ).to_pylist())  # fmt: skip
place.attempt("parts", lambda: connectorx.read_sql(
    place.native(), "SELECT id, user_id FROM app.orders", partition_on="id", partition_num=4, return_type="arrow"
).sort_by("id").to_pylist()[:20])  # fmt: skip
place.attempt("several", lambda: connectorx.read_sql(
    place.native(), ["SELECT 1 AS a", "SELECT 2 AS a"], return_type="arrow"
).sort_by("a").to_pylist())  # fmt: skip
place.attempt("meta", lambda: connectorx.get_meta(place.native(), query).to_dict())
