#!/bin/sh
# Runs once in the store's server: the role of the nodes, and the database that it owns.
set -eu
psql -X -q -v ON_ERROR_STOP=1 -U "${POSTGRES_USER:-postgres}" <<'SQL'
\set password `cat /secrets/server/store-password`
CREATE ROLE pgjit_store LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'password';
CREATE DATABASE pgjit OWNER pgjit_store;
REVOKE ALL ON DATABASE pgjit FROM PUBLIC;
SQL
