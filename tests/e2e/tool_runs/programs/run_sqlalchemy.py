"""SQLAlchemy on both of psycopg: reflection of a schema, its types, queries, a read-only transaction."""

from __future__ import annotations

import place
import sqlalchemy
from sqlalchemy import orm

for driver in ("psycopg", "psycopg2"):
    path = {"options": "-c search_path=app,public"}
    engine = sqlalchemy.create_engine(place.url(f"postgresql+{driver}"), connect_args=path)
    inspector = sqlalchemy.inspect(engine)
    for name in inspector.get_table_names(schema="app"):
        print(name, inspector.get_columns(name, schema="app"), inspector.get_indexes(name, schema="app"))
        print(inspector.get_foreign_keys(name, schema="app"), inspector.get_check_constraints(name, schema="app"))
        print(inspector.get_pk_constraint(name, schema="app"), inspector.get_table_comment(name, schema="app"))
    place.attempt("views", inspector.get_view_names, schema="app")
    place.attempt("enums", inspector.get_enums, schema="app")
    place.attempt("sequences", inspector.get_sequence_names, schema="app")
    place.attempt("default", lambda: inspector.default_schema_name)
    metadata = sqlalchemy.MetaData()
    metadata.reflect(engine, schema="app", views=True)
    orders = metadata.tables["app.orders"]
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        place.attempt("rows", lambda: connection.execute(
            sqlalchemy.select(orders.c.id, orders.c.state).order_by(orders.c.id).limit(20)
        ).all())  # fmt: skip
    with engine.connect().execution_options(stream_results=True, max_row_buffer=10) as connection:
        place.attempt("streamed", lambda: sum(1 for _ in connection.execute(sqlalchemy.select(orders))))
    with orm.Session(engine) as session:
        place.attempt("nested", lambda: session.begin_nested() and session.scalar(sqlalchemy.text("SELECT 1")))
    with engine.connect() as connection:
        place.attempt("schema", lambda: connection.exec_driver_sql("SET search_path TO app, public") and "set")
    engine.dispose()
