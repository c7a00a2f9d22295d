-- A login role that has everything that it should not have, in every way that it can be given.
-- Runs in a database of its own, as a superuser. Names are such as have to be quoted, on purpose.

CREATE ROLE "Bad Agent" LOGIN CREATEROLE CREATEDB REPLICATION BYPASSRLS PASSWORD 'throw-away';
CREATE ROLE "Group ""of"" Writers" NOLOGIN;
CREATE ROLE inner_owner NOLOGIN;
CREATE ROLE granter NOLOGIN;
CREATE ROLE maker NOLOGIN;
GRANT inner_owner TO "Group ""of"" Writers";
GRANT "Group ""of"" Writers" TO "Bad Agent";
GRANT maker TO "Bad Agent" WITH ADMIN OPTION;
GRANT pg_read_all_data, pg_signal_backend, pg_monitor, pg_execute_server_program TO "Bad Agent";

GRANT CREATE, TEMPORARY ON DATABASE clinic TO PUBLIC;
GRANT CREATE ON SCHEMA public TO PUBLIC;
CREATE SCHEMA "Odd Schema";
GRANT USAGE, CREATE ON SCHEMA "Odd Schema" TO "Bad Agent" WITH GRANT OPTION;

CREATE TABLE public.patients (id int PRIMARY KEY, name text, secret text);
INSERT INTO public.patients VALUES (1, 'one', 's');
CREATE TABLE "Odd Schema"."a table" ("a column" int, other int);
CREATE SEQUENCE public.numbers;
GRANT INSERT, DELETE, TRUNCATE, TRIGGER, REFERENCES ON public.patients TO "Bad Agent";
GRANT SELECT, UPDATE ON public.patients TO PUBLIC;
GRANT UPDATE ("a column") ON "Odd Schema"."a table" TO "Bad Agent";
GRANT INSERT ON "Odd Schema"."a table" TO "Group ""of"" Writers";
GRANT USAGE, UPDATE ON SEQUENCE public.numbers TO "Bad Agent";
GRANT USAGE ON SCHEMA public TO granter;
GRANT DELETE ON "Odd Schema"."a table" TO granter WITH GRANT OPTION;
GRANT USAGE ON SCHEMA "Odd Schema" TO granter;
SET ROLE granter;
GRANT DELETE ON "Odd Schema"."a table" TO "Bad Agent";
RESET ROLE;
CREATE TABLE public.own (a int);
ALTER TABLE public.own OWNER TO "Bad Agent";
CREATE TABLE public.of_the_group (a int);
ALTER TABLE public.of_the_group OWNER TO inner_owner;
ALTER DEFAULT PRIVILEGES FOR ROLE maker IN SCHEMA public GRANT DELETE ON TABLES TO "Bad Agent";
GRANT SELECT ON pg_catalog.pg_authid TO "Bad Agent";

CREATE FUNCTION public.by_right(integer, "Odd Schema"."a table") RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
CREATE PROCEDURE public.proceed(INOUT a int) LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN COMMIT; END';
CREATE FUNCTION public.concat(int, int) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''mine''';
CREATE FUNCTION public.writes() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE FUNCTION public.computes() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
CREATE FUNCTION public.add(int, text) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE OPERATOR public.+ (LEFTARG = int, RIGHTARG = text, FUNCTION = public.add);
CREATE TYPE public.pair AS (x int);
CREATE FUNCTION public.to_pair(int) RETURNS public.pair LANGUAGE sql IMMUTABLE AS 'SELECT ROW($1)::public.pair';
CREATE CAST (int AS public.pair) WITH FUNCTION public.to_pair(int);
CREATE FUNCTION public.good(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE DOMAIN public.checked AS int CHECK (public.good(VALUE));
CREATE AGGREGATE public.total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO "Bad Agent";
GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text) TO PUBLIC;

CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER "far away" FOREIGN DATA WRAPPER nothing;
GRANT USAGE ON FOREIGN SERVER "far away" TO "Bad Agent";
GRANT USAGE ON FOREIGN DATA WRAPPER nothing TO "Bad Agent";
CREATE USER MAPPING FOR "Bad Agent" SERVER "far away";
CREATE USER MAPPING FOR PUBLIC SERVER "far away";
CREATE FOREIGN TABLE public.remote (a int) SERVER "far away";
GRANT SELECT, INSERT ON public.remote TO "Bad Agent";

SELECT lo_create(4242);
GRANT SELECT, UPDATE ON LARGE OBJECT 4242 TO "Bad Agent";

CREATE TABLE public.tenants (id int, tenant text);
ALTER TABLE public.tenants ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_tenant ON public.tenants USING (tenant = current_setting('app.tenant'));
GRANT SELECT ON public.tenants TO "Bad Agent";
CREATE VIEW public.every_tenant AS SELECT * FROM public.tenants;
GRANT SELECT ON public.every_tenant TO "Bad Agent";

CREATE FUNCTION public.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER watch ON ddl_command_start EXECUTE FUNCTION public.on_ddl();
ALTER ROLE "Bad Agent" SET role = 'inner_owner';
