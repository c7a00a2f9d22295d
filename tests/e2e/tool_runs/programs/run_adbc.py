"""ADBC: results by COPY, metadata, parameters, a refused ingest."""

from __future__ import annotations

import adbc_driver_postgresql.dbapi
import place
import pyarrow as pa

with adbc_driver_postgresql.dbapi.connect(place.url(), autocommit=False) as connection:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, user_id, placed, note FROM app.orders ORDER BY id LIMIT 30")
        place.attempt("arrow", lambda: cursor.fetch_arrow_table().to_pylist())
        cursor.execute("SELECT count(*) FROM app.orders WHERE id < $1", (10,))
        place.attempt("parameters", cursor.fetchall)
    objects = connection.adbc_get_objects(depth="all", db_schema_filter="app").read_all().to_pylist()
    for catalog in objects:
        catalog["catalog_db_schemas"] = sorted(catalog["catalog_db_schemas"] or [], key=str)
    print("objects", sorted(map(str, objects)))
    place.attempt("schema", connection.adbc_get_table_schema, "users", db_schema_filter="app")
    place.attempt("kinds", connection.adbc_get_table_types)
    connection.rollback()
    with connection.cursor() as cursor:
        table = pa.table({"id": [1]})
        place.attempt("ingest", lambda: cursor.adbc_ingest("remarks", table, mode="append") and None)
