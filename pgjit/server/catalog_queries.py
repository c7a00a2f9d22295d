"""The SQL queries that read a server's catalog.

The connection's search path is pg_catalog alone, so format_type and pg_get_viewdef write the schema of every object
outside pg_catalog.
"""

from __future__ import annotations

__all__ = ["CHANGE_STAMP", "QUERIES", "SERVER_FACTS"]

SERVER_FACTS = """
    SELECT current_database() AS database, current_user AS role,
           current_setting('server_version_num')::integer AS version,
           current_setting('server_encoding') AS encoding,
           current_setting('is_superuser')::boolean AS superuser
"""

CHANGE_STAMP = """
    SELECT count(*), sum(xmin::text::bigint), sum(oid::bigint) FROM pg_class UNION ALL
    SELECT count(*), sum(xmin::text::bigint), sum(oid::bigint) FROM pg_proc UNION ALL
    SELECT count(*), sum(xmin::text::bigint), sum(oid::bigint) FROM pg_rewrite UNION ALL
    SELECT count(*), sum(xmin::text::bigint), sum(oid::bigint) FROM pg_type UNION ALL
    SELECT count(*), sum(xmin::text::bigint), sum(oid::bigint) FROM pg_operator UNION ALL
    SELECT count(*), sum(xmin::text::bigint), sum(oid::bigint) FROM pg_cast UNION ALL
    SELECT count(*), sum(xmin::text::bigint), sum(oid::bigint) FROM pg_namespace UNION ALL
    SELECT count(*), sum(xmin::text::bigint), sum(oid::bigint) FROM pg_constraint UNION ALL
    SELECT count(*), sum(xmin::text::bigint), sum(oid::bigint) FROM pg_extension UNION ALL
    SELECT count(*), sum(xmin::text::bigint), sum(attrelid::bigint) FROM pg_attribute UNION ALL
    SELECT count(*), sum(xmin::text::bigint), sum(inhparent::bigint) FROM pg_inherits UNION ALL
    SELECT count(*), sum(xmin::text::bigint), sum(objid::bigint) FROM pg_depend
"""
"""Counts and sums over the catalog: a change of the catalog changes them, except by a rare coincidence."""

QUERIES = {
    "relations": """
        SELECT c.oid, n.nspname, c.relname, c.relkind::text AS kind, pg_get_userbyid(c.relowner) AS owner,
               c.oid < 16384 AS builtin,
               CASE WHEN c.relkind IN ('v', 'm') AND c.oid >= 16384 THEN pg_get_viewdef(c.oid) END AS query
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c') AND n.nspname !~ '^pg_(toast|temp)'
        ORDER BY n.nspname, c.relname""",
    "columns": """
        SELECT a.attrelid, array_agg(a.attname::text ORDER BY a.attnum) AS names,
               array_agg(a.attnum::int ORDER BY a.attnum) AS numbers,
               array_agg(CASE WHEN c.oid >= 16384 THEN format_type(a.atttypid, NULL) ELSE '' END
                         ORDER BY a.attnum) AS types,
               array_agg(a.attnotnull ORDER BY a.attnum) AS filled
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
              AND n.nspname !~ '^pg_(toast|temp)'
        GROUP BY a.attrelid""",
    "generated": """
        SELECT a.attrelid, a.attname, array_agg(DISTINCT b.attname::text ORDER BY b.attname::text) AS sources
        FROM pg_attribute a JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
        JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid
             AND d.refobjsubid NOT IN (0, a.attnum)
             AND (d.classid = 'pg_class'::regclass AND d.objid = a.attrelid AND d.objsubid = a.attnum
                  OR d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid)
        JOIN pg_attribute b ON b.attrelid = d.refobjid AND b.attnum = d.refobjsubid
        WHERE a.attgenerated <> '' AND NOT a.attisdropped
        GROUP BY a.attrelid, a.attname""",
    "quotes": """
        SELECT 'pg_attribute.attmissingval' AS place, a.attrelid AS oid, a.attname
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE a.atthasmissing AND NOT a.attisdropped AND c.oid >= 16384
        UNION ALL
        SELECT 'pg_class.relpartbound', a.attrelid, a.attname
        FROM pg_partitioned_table p JOIN pg_attribute a ON a.attrelid = p.partrelid
        JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = p.partrelid AND d.objsubid = a.attnum
             AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p.partrelid AND d.refobjsubid = 0
        WHERE EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = p.partrelid)""",
    "reads": """
        SELECT DISTINCT r.ev_class, d.refobjid, a.attname
        FROM pg_rewrite r
        JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
             AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
        LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid AND d.refobjsubid <> 0
        WHERE r.ev_type = '1' AND r.ev_class >= 16384
        ORDER BY 1, 2, 3""",
    "calls": """
        SELECT DISTINCT r.ev_class, n.nspname, p.proname
        FROM pg_rewrite r
        JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
        LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
        JOIN pg_proc p ON p.oid = CASE WHEN d.refclassid = 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode::oid END
        JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE r.ev_type = '1' AND r.ev_class >= 16384
        ORDER BY 1, 2, 3""",
    "view_types": """
        SELECT DISTINCT r.ev_class, format_type(d.refobjid, NULL) AS type
        FROM pg_rewrite r
        JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
             AND d.refclassid = 'pg_type'::regclass
        WHERE r.ev_type = '1' AND r.ev_class >= 16384 AND d.refobjid >= 16384
        ORDER BY 1, 2""",
    "rules": """
        SELECT DISTINCT ev_class, ev_type::text AS event FROM pg_rewrite WHERE ev_type <> '1'
        ORDER BY 1, 2""",
    "parents": "SELECT inhrelid, inhparent FROM pg_inherits ORDER BY inhrelid, inhseqno",
    "functions": """
        SELECT n.nspname, p.proname, p.prokind::text AS kind, p.provolatile::text AS volatility, p.prosecdef,
               l.lanname, p.pronargdefaults, p.provariadic <> 0 AS variadic,
               format_type(p.prorettype, NULL) AS returns,
               ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS u (t, i) ORDER BY i)
                   AS arguments,
               ARRAY(SELECT DISTINCT format_type(t, NULL) FROM unnest(p.proallargtypes) AS t ORDER BY 1) AS outputs,
               p.oid < 16384 AS builtin, e.extname,
               p.proconfig IS NULL AND (p.proacl IS NULL OR EXISTS (
                   SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE'
               )) AS open
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
        LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
        LEFT JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
        WHERE n.nspname !~ '^pg_(toast|temp)'
        ORDER BY n.nspname, p.proname, p.oid""",
    "operators": """
        SELECT n.nspname, o.oprname, CASE WHEN o.oprleft <> 0 THEN format_type(o.oprleft, NULL) END AS "left",
               format_type(o.oprright, NULL) AS "right", f.nspname AS function_schema, p.proname,
               format_type(o.oprresult, NULL) AS returns, o.oid < 16384 AS builtin, e.extname
        FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
        LEFT JOIN pg_depend d ON d.classid = 'pg_operator'::regclass AND d.objid = o.oid AND d.deptype = 'e'
        LEFT JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
        LEFT JOIN pg_proc p ON p.oid = o.oprcode LEFT JOIN pg_namespace f ON f.oid = p.pronamespace
        WHERE n.nspname !~ '^pg_(toast|temp)'
        ORDER BY n.nspname, o.oprname, o.oid""",
    "types": """
        SELECT t.oid, t.typarray, n.nspname, t.typname, t.typtype::text AS kind,
               CASE WHEN t.oid >= 16384 THEN format_type(coalesce(
                   nullif(t.typbasetype, 0), (SELECT r.rngsubtype FROM pg_range r
                   WHERE r.rngtypid = t.oid OR (to_jsonb(r) ->> 'rngmultitypid')::oid = t.oid)
               ), NULL) END AS base, e.extname
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
        LEFT JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
        LEFT JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
        WHERE n.nspname !~ '^pg_(toast|temp)' AND (c.oid IS NULL OR c.relkind = 'c')
              AND t.oid NOT IN (SELECT e.typarray FROM pg_type e WHERE e.typarray <> 0)
        ORDER BY n.nspname, t.typname""",
    "checks": """
        SELECT DISTINCT k.contypid, n.nspname, p.proname
        FROM pg_constraint k
        JOIN pg_depend d ON d.classid = 'pg_constraint'::regclass AND d.objid = k.oid
        LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
        JOIN pg_proc p ON p.oid = CASE WHEN d.refclassid = 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode::oid END
        JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE k.contypid <> 0
        ORDER BY 1, 2, 3""",
    "check_types": """
        SELECT DISTINCT k.contypid, format_type(d.refobjid, NULL) AS type
        FROM pg_constraint k
        JOIN pg_depend d ON d.classid = 'pg_constraint'::regclass AND d.objid = k.oid
             AND d.refclassid = 'pg_type'::regclass AND d.refobjid <> k.contypid
        WHERE k.contypid <> 0 AND d.refobjid >= 16384
        ORDER BY 1, 2""",
    "casts": """
        SELECT sn.nspname AS source_schema, s.typname AS source, tn.nspname AS target_schema, t.typname AS target,
               f.nspname AS function_schema, p.proname, c.castcontext::text AS context
        FROM pg_cast c
        JOIN pg_type s ON s.oid = c.castsource JOIN pg_namespace sn ON sn.oid = s.typnamespace
        JOIN pg_type t ON t.oid = c.casttarget JOIN pg_namespace tn ON tn.oid = t.typnamespace
        LEFT JOIN pg_proc p ON p.oid = c.castfunc LEFT JOIN pg_namespace f ON f.oid = p.pronamespace
        WHERE p.oid >= 16384 OR (c.castcontext = 'i' AND t.oid >= 16384)
        ORDER BY 1, 2, 3, 4""",
    "extensions": "SELECT extname, extversion FROM pg_extension ORDER BY extname",
}
