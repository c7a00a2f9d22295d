"""What a record has of a statement besides its text: what it touches, and whether it only reads catalogs. Pure.

Decides which objects are named, and how. With a catalog the names are those that the server resolves to. Without one,
under `access: full`, they are as written.
"""

from __future__ import annotations

from collections.abc import Iterable

from pgjit.sql.parse import fingerprint_without_values, signature_of, without_values
from pgjit.sql.referenced import ReferencedFunction, ReferencedObjects, ReferencedRelation
from pgjit.sql.statement import Name, Statement, StatementSummary

__all__ = ["MOST_NAMES", "MOST_NORMALISED", "summary_of"]

MOST_NAMES = 100
"""How many names each list has. A list that was cut ends with `...`."""

MOST_NORMALISED = 2048
"""How many characters of the normalised text are kept."""

_NAMED = ("named", "view")
_DML = frozenset({"select", "insert", "update", "delete", "merge"})
"""Kinds whose fingerprint has no constant in it."""
_SYSTEM = ("pg_catalog", "information_schema")

_STRUCTURE = frozenset(
    """
    pg_aggregate pg_am pg_amop pg_amproc pg_attrdef pg_attribute pg_auth_members pg_available_extension_versions
    pg_available_extensions pg_cast pg_class pg_collation pg_constraint pg_conversion pg_database pg_default_acl
    pg_depend pg_description pg_enum pg_event_trigger pg_extension pg_foreign_data_wrapper pg_foreign_server
    pg_foreign_table pg_group pg_index pg_indexes pg_inherits pg_init_privs pg_language pg_matviews pg_namespace
    pg_opclass pg_operator pg_opfamily pg_parameter_acl pg_partitioned_table pg_policies pg_policy pg_proc
    pg_publication pg_publication_namespace pg_publication_rel pg_publication_tables pg_range pg_rewrite pg_roles
    pg_rules pg_seclabel pg_seclabels pg_sequence pg_sequences pg_shdepend pg_shdescription pg_statistic_ext
    pg_tables pg_tablespace pg_timezone_abbrevs pg_timezone_names pg_transform pg_trigger pg_ts_config
    pg_ts_config_map pg_ts_dict pg_ts_parser pg_ts_template pg_type pg_user pg_views
    """.split()
)
"""Relations of pg_catalog that describe the database. Those with data, passwords or activity are not among them."""

_ABOUT_STRUCTURE = frozenset(
    """
    abs acldefault aclexplode array_agg array_append array_cat array_length array_lower array_position array_positions
    array_remove array_to_string array_upper bool_and bool_or cardinality chr coalesce col_description concat
    concat_ws count current_database current_schema current_schemas current_user format format_type generate_series
    generate_subscripts getdatabaseencoding greatest int4 int8 json_agg json_build_object json_object_agg jsonb_agg
    jsonb_build_object least left length lower max min nullif obj_description oid oidvectortypes
    pg_char_to_encoding pg_client_encoding pg_database_size pg_encoding_to_char pg_function_is_visible
    pg_get_constraintdef pg_get_expr pg_get_function_arg_default pg_get_function_arguments
    pg_get_function_identity_arguments pg_get_function_result pg_get_function_sqlbody pg_get_functiondef
    pg_get_indexdef pg_get_keywords pg_get_partition_constraintdef pg_get_partkeydef pg_get_publication_tables
    pg_get_ruledef pg_get_serial_sequence pg_get_statisticsobjdef pg_get_statisticsobjdef_columns
    pg_get_triggerdef pg_get_userbyid pg_get_viewdef pg_index_column_has_property pg_index_has_property
    pg_indexam_has_property pg_indexes_size pg_is_in_recovery pg_my_temp_schema pg_options_to_table
    pg_partition_ancestors pg_partition_root pg_partition_tree pg_relation_is_publishable pg_relation_is_updatable
    pg_relation_size pg_sequence_parameters pg_size_pretty pg_table_size pg_tablespace_location pg_tablespace_size
    pg_total_relation_size pg_typeof pg_my_temp_schema quote_ident quote_literal quote_nullable regexp_replace
    replace right row_number row_to_json session_user shobj_description split_part starts_with string_agg
    string_to_array strpos substr substring text to_json to_jsonb to_regclass to_regnamespace to_regproc
    to_regprocedure to_regtype translate trim unnest upper version
    """.split()
)
"""Functions of pg_catalog in such queries. None shows data of tables, settings or sessions, and none waits."""


def summary_of(
    statement: Statement, referenced: ReferencedObjects | None, *, masks: bool = False
) -> StatementSummary:
    """`referenced`: its objects, resolved with a catalog; None if they were not. `masks`: a record has no values."""
    fingerprint, normalised = signature_of(statement.text)
    if masks and statement.kind not in _DML:
        fingerprint = fingerprint_without_values(statement.text)
    if normalised is not None:
        normalised = normalised.strip()
        normalised = None if normalised == statement.text else normalised[:MOST_NORMALISED]
    if referenced is None:
        written = {each.parts for each in statement.targets}
        read = [each for each in statement.relations if each.parts not in written]
        reads, writes, calls = _written(read), _written(statement.targets), _written(statement.functions)
        chatter = False
    else:
        reads = _relations(referenced.relations, ("read", "lock"))
        writes = _relations(referenced.relations, ("insert", "update", "delete", "define"))
        calls = _named(_text(each.schema, each.name) for each in referenced.functions if _counts(each))
        chatter = not writes and _is_about_structure(statement, referenced)
    masked = without_values(statement.text) if masks else None
    return StatementSummary(fingerprint, normalised, reads, writes, calls, masked, of_catalog=chatter)


def _relations(relations: Iterable[ReferencedRelation], actions: tuple[str, ...]) -> tuple[str, ...]:
    return _named(
        _text(each.schema, each.name) for each in relations if each.action in actions and each.via in _NAMED
    )


def _counts(function: ReferencedFunction) -> bool:
    """Whether a record names it: the statement does, or it is not PostgreSQL's own."""
    return not function.builtin or not function.through


def _text(schema: str | None, name: str) -> str:
    return f"{schema}.{name}" if schema else name


def _written(names: Iterable[Name]) -> tuple[str, ...]:
    return _named(each.text for each in names)


def _named(names: Iterable[str]) -> tuple[str, ...]:
    """Each once, in order, up to `MOST_NAMES`."""
    unique = tuple(dict.fromkeys(names))
    return unique if len(unique) <= MOST_NAMES else (*unique[:MOST_NAMES], "...")


def _is_about_structure(statement: Statement, referenced: ReferencedObjects) -> bool:
    """Whether it is what psql and drivers ask by themselves: how the database is made, and nothing else."""
    if statement.kind == "show":
        return True
    if statement.kind != "select" or statement.into or statement.locking or referenced.faults:
        return False
    relations, functions = referenced.relations, referenced.functions
    named = [each for each in relations if each.via == "named"]
    return (
        bool(named or functions)
        and all(each.schema == "information_schema" or _is_structure(each) for each in named)
        and all(each.schema in _SYSTEM for each in relations)
        and all(each.through or (each.schema == "pg_catalog" and each.name in _ABOUT_STRUCTURE) for each in functions)
        and all(each.builtin for each in functions)
    )


def _is_structure(relation: ReferencedRelation) -> bool:
    return relation.schema == "pg_catalog" and relation.name in _STRUCTURE
