"""Kinds of statements are PostgreSQL's command tags, by what the statement is about."""

from __future__ import annotations

from pgjit.policy.kinds import KINDS
from pgjit.sql.parse import read_message
from tests.run.rows import table

TAGS = """
ALTER VIEW v RENAME COLUMN a TO b | alter-view
ALTER TABLE t RENAME CONSTRAINT a TO b | alter-table
ALTER TYPE t RENAME ATTRIBUTE a TO b | alter-type
ALTER TYPE t RENAME VALUE 'a' TO 'b' | alter-type
ALTER TYPE t ADD VALUE 'a' | alter-type
ALTER INDEX i RENAME TO j | alter-index
ALTER MATERIALIZED VIEW m SET (fillfactor = 50) | alter-materialized-view
ALTER DOMAIN d RENAME CONSTRAINT a TO b | alter-domain
ALTER USER a RENAME TO b | alter-role
ALTER ROLE a SET work_mem = 1 | alter-role
ALTER DATABASE d SET work_mem = 1 | alter-database
ALTER FUNCTION f() STABLE | alter-function
ALTER PROCEDURE f() OWNER TO x | alter-procedure
ALTER AGGREGATE a(int) SET SCHEMA s | alter-aggregate
ALTER LARGE OBJECT 1 OWNER TO x | alter-large-object
ALTER TRIGGER a ON b RENAME TO c | alter-trigger
ALTER TABLE ALL IN TABLESPACE x SET TABLESPACE y | alter-table
ALTER FOREIGN TABLE f OPTIONS (a 'b') | alter-foreign-table
CREATE TABLE t (a int) | create-table
CREATE TABLE t AS SELECT 1 | create-table-as
CREATE MATERIALIZED VIEW m AS SELECT 1 | create-materialized-view
CREATE AGGREGATE a(int) (sfunc = f, stype = int) | create-aggregate
CREATE TEXT SEARCH DICTIONARY d (template = simple) | create-text-search-dictionary
CREATE TYPE t AS (a int) | create-type
CREATE TYPE t AS ENUM ('a') | create-type
CREATE USER x | create-role
CREATE PROCEDURE p() LANGUAGE sql AS '' | create-procedure
CREATE FUNCTION p() RETURNS int LANGUAGE sql AS '' | create-function
DROP MATERIALIZED VIEW m | drop-materialized-view
DROP TRIGGER t ON x | drop-trigger
DROP CAST (int AS text) | drop-cast
DROP OWNED BY x | drop-owned
DROP USER MAPPING FOR x SERVER y | drop-user-mapping
GRANT a TO b | grant-role
REVOKE a FROM b | revoke-role
GRANT SELECT ON t TO b | grant
REVOKE ALL ON t FROM b | revoke
VACUUM t | vacuum
ANALYZE t | analyze
SET CONSTRAINTS ALL DEFERRED | set-constraints
SECURITY LABEL ON TABLE t IS 'x' | security-label
COPY t FROM STDIN | copy-in
COPY t TO STDOUT | copy-out
"""


@table("line", TAGS.strip().splitlines())
def test_a_statement_is_of_the_kind_of_its_tag(line: str) -> None:
    sql, kind = line.split(" | ")
    (statement,) = read_message(sql).statements

    assert statement.kind == kind
    assert kind in KINDS
