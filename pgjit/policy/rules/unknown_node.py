"""Syntax that is not known.

Every node and every field of the syntax tree must be on a list. Unknown syntax is refused, whatever it may mean. The
list for reading has all that a SELECT of PostgreSQL 18 can use, SQL/JSON included. The lists for statements that
write or define have the rest.

Why: a rule can only judge syntax that it knows, and PostgreSQL gains syntax with every version.

Instead: write the statement with plain SELECT syntax and function calls.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import STATEMENT, Violation
from pgjit.policy.kinds import UNREAD, WRITING
from pgjit.policy.match import find_permission_for_kind
from pgjit.policy.passages import Passages
from pgjit.policy.policy import Preset, StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Statement

__all__ = ["DEFINING_NODES", "READING_FIELDS", "READING_NODES", "RULE", "WRITING_NODES"]

READING_NODES = frozenset(
    """
    A_ArrayExpr A_Const A_Expr A_Indices A_Indirection A_Star Boolean BooleanTest BoolExpr CaseExpr CaseWhen
    ClosePortalStmt CoalesceExpr CollateClause ColumnDef ColumnRef CommonTableExpr CopyStmt DeallocateStmt
    DeclareCursorStmt DefElem DiscardStmt ExecuteStmt ExplainStmt FetchStmt Float FuncCall GroupingFunc
    GroupingSet Integer JoinExpr JsonArgument JsonArrayAgg JsonArrayConstructor JsonArrayQueryConstructor
    JsonFuncExpr JsonIsPredicate JsonKeyValue JsonObjectAgg JsonObjectConstructor JsonParseExpr JsonScalarExpr
    JsonSerializeExpr JsonTable JsonTableColumn JsonValueExpr List MinMaxExpr NamedArgExpr NullTest ParamRef
    PrepareStmt RangeFunction RangeSubselect RangeTableFunc RangeTableFuncCol RangeTableSample RangeVar
    ResTarget RowExpr SelectStmt SortBy SQLValueFunction String SubLink TransactionStmt TypeCast TypeName
    UnlistenStmt VariableSetStmt VariableShowStmt WindowDef XmlExpr XmlSerialize
""".split()
)

READING_FIELDS = frozenset(
    """
    absent_on_null agg_distinct agg_filter agg_order agg_star agg_within_group alias aliascolnames aliasname all
    arg arg_location argnumber args argtypes arrayBounds attlist boolop booltesttype boolval bsval btype
    catalogname chain coerce coldefexpr coldeflist colexpr collClause collname colname colnames coltype
    column_name columns conditionname constructor content context_item ctematerialized ctename ctequery ctes
    cycle_clause cycle_col_list cycle_mark_column cycle_mark_default cycle_mark_value cycle_path_column
    defaction defname defresult direction distinctClause docexpr elements encoding endOffset expr exprs fields
    for_ordinality format format_type formatted_expr frameOptions fromClause func_variadic funcformat funcname
    functions fval groupClause groupDistinct havingClause howMany indent indirection inh is_local is_not_null
    is_rowsfrom is_slice isall ismove isNatural isnull item_type items ival join_using_alias jointype
    jumble_args key kind larg lateral lexpr lidx limitCount limitOffset limitOption list_end list_start location
    method name name_location named_args names namespaces node nulltesttype number on_empty on_error op operName
    options orderClause ordinality output over params partitionClause passing pathspec portalname quals query
    quotes rarg raw_expr recursive refname relation relname relpersistence repeatable result returning rexpr
    rexpr_list_end rexpr_list_start row_format rowexpr savepoint_name schemaname search_breadth_first
    search_clause search_col_list search_seq_column sortby_dir sortby_nulls sortClause startOffset string
    subLinkType subquery subselect sval target targetList testexpr typemod typeName typmod typmods uidx unique
    unique_keys useOp usingClause val value valuesLists whereClause windowClause withClause wrapper xmloption
""".split()
)

WRITING_NODES = frozenset(
    """
    CurrentOfExpr DeleteStmt IndexElem InsertStmt LockingClause MergeStmt MergeSupportFunc MergeWhenClause
    MultiAssignRef ReturningOption SetToDefault UpdateStmt
""".split()
)

_WRITING_FIELDS = frozenset(
    """
    action colno cols commandType condition conname cursor_name exprs indexElems infer is_from joinCondition
    lockedRels lockingClause matchKind mergeWhenClauses msftype ncolumns nulls_ordering onConflictClause option
    ordering override returningClause selectStmt source sourceRelation strength values waitPolicy
""".split()
)


DEFINING_NODES = frozenset(
    """
    ATAlterConstraint AlterSeqStmt AlterTableCmd AlterTableStmt CallStmt CheckPointStmt ClusterStmt CommentStmt
    Constraint ConstraintsSetStmt CreateSeqStmt CreateStmt CreateTableAsStmt DropStmt IndexElem IndexStmt ListenStmt
    LockStmt NotifyStmt PartitionCmd PartitionElem RefreshMatViewStmt ReindexStmt RenameStmt TableLikeClause
    TruncateStmt VacuumRelation VacuumStmt ViewStmt
""".split()
)

_DEFINING_FIELDS = frozenset(
    """
    accessMethod access_method aliases alterDeferrability behavior bound cmds colNames collation comment compression
    concurrent conditionname conname constraints contype def deferrable deferred exclusions fk_attrs fk_del_action
    fk_del_set_cols fk_matchtype fk_upd_action funccall generated_kind generated_when idxname if_not_exists including
    indexIncludingParams indexParams indexname inhRelations initially_valid into is_default is_enforced is_no_inherit
    is_vacuumcmd keys listdatums lowerdatums missing_ok mode modulus newname nowait nulls_not_distinct nulls_ordering
    object objects objtype onCommit oncommit opclass opclassopts ordering partParams partbound partspec payload
    payload_location pk_attrs pktable raw_default raw_expr rel relationType relations rels remainder removeType
    renameType replace restart_seqs sequence skipData skip_validation storage_name strategy subname subtype tableElts
    unique upperdatums va_cols values view where_clause withCheckOption
""".split()
)
_OF_OTHERS = WRITING_NODES | DEFINING_NODES
_FIELDS_OF_OTHERS = _WRITING_FIELDS | _DEFINING_FIELDS
"""Syntax of the kinds beyond the presets that a policy may allow. `ddl-clause` judges its values."""


def _check(
    statement: Statement, terms: StatementTerms, _referenced: ReferencedObjects | None, _passages: Passages | None
) -> Iterator[Violation]:
    beyond = statement.kind not in WRITING and find_permission_for_kind(terms, statement.kind) is not None
    if beyond and statement.kind in UNREAD:
        return  # allowed as a whole: `pgjit policy check` warns of it
    unknown_nodes, unknown_fields = statement.nodes - READING_NODES, statement.fields - READING_FIELDS
    if beyond:
        unknown_nodes, unknown_fields = unknown_nodes - DEFINING_NODES, unknown_fields - _DEFINING_FIELDS
    if terms.access is Preset.READ_WRITE:
        unknown_nodes, unknown_fields = unknown_nodes - WRITING_NODES, unknown_fields - _WRITING_FIELDS
    if unknown_nodes or unknown_fields:
        names = ", ".join(sorted(unknown_nodes) or sorted(unknown_fields))
        elsewhere = unknown_nodes <= _OF_OTHERS if unknown_nodes else unknown_fields <= _FIELDS_OF_OTHERS
        yield Violation(
            rule="unknown-node",
            message="statement uses syntax that is not allowed under this policy",
            detail=f"It belongs to statements that write or define, which the policy does not allow: {names}."
            if elsewhere
            else f"pgjit does not know this syntax, and refuses syntax that it does not know: {names}.",
            hint="Write it with plain SELECT syntax and function calls.",
            position=statement.position + 1,
            statement=statement.index,
            objects=STATEMENT,
        )


RULE = Rule("unknown-node", __doc__, _check)
