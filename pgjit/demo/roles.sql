-- What the proxy logs in with. The rights of these roles are the wall behind the proxy: whatever it were to
-- let through, the database refuses. Runs in the database, as its owner.

REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;

-- Functions that anyone may call as PostgreSQL comes, and that write, reach out or hold locks beyond a
-- transaction: they work inside a read-only one as well.
DO $$
DECLARE
    found regprocedure;
BEGIN
    FOR found IN
        SELECT oid FROM pg_proc
        WHERE pronamespace = 'pg_catalog'::regnamespace
          AND (proname ~ '^pg_(try_)?advisory_' AND proname <> 'pg_advisory_unlock_all'
               OR proname ~ '^lo_(creat|create|from_bytea|import|open|put|unlink|truncate|truncate64)$'
               OR proname IN ('lowrite', 'pg_logical_emit_message', 'pg_notify', 'pg_export_snapshot'))
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', found);
    END LOOP;
END
$$;

CREATE ROLE pgjit_agent LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT
    CONNECTION LIMIT 50 PASSWORD :'password';
GRANT CONNECT ON DATABASE :"database" TO pgjit_agent;
GRANT USAGE ON SCHEMA public TO pgjit_agent;
GRANT SELECT ON customers, products, orders, order_lines, payments, notes, order_totals, monthly_revenue TO pgjit_agent;
ALTER ROLE pgjit_agent SET default_transaction_read_only = on;

CREATE ROLE pgjit_writer LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT
    CONNECTION LIMIT 20 PASSWORD :'writer_password';
GRANT CONNECT ON DATABASE :"database" TO pgjit_writer;
GRANT USAGE ON SCHEMA public TO pgjit_writer;
GRANT SELECT ON customers, products, orders, order_lines, payments, notes, order_totals, monthly_revenue TO pgjit_writer;
GRANT INSERT, UPDATE, DELETE ON notes TO pgjit_writer;
