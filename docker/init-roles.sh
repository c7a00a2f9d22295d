#!/bin/sh
# Runs once in the new server, after the sample data: creates the roles with which the proxy logs in.
set -eu
{
    cat <<'SQL'
\set database `echo "$POSTGRES_DB"`
\set password `cat /secrets/server/agent-password`
\set writer_password `cat /secrets/server/writer-password`
SQL
    cat /roles.sql
} | psql -X -q -v ON_ERROR_STOP=1 -U "${POSTGRES_USER:-postgres}" -d "$POSTGRES_DB"
