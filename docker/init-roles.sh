#!/bin/sh
# Runs once inside the new server, after the sample data: the roles that the proxy logs in with.
set -eu
{
    cat <<'SQL'
\set database `echo "$POSTGRES_DB"`
\set password `cat /secrets/server/agent-password`
\set writer_password `cat /secrets/server/writer-password`
SQL
    cat /roles.sql
} | psql -X -q -v ON_ERROR_STOP=1 -U "${POSTGRES_USER:-postgres}" -d "$POSTGRES_DB"
