"""Every node that the parser knows is judged, or refused in words: a parser that knows more is noticed here."""

from __future__ import annotations

import inspect

import pglast.ast

from pgjit.policy.kinds import KINDS, WRITING
from pgjit.policy.rules import unknown_node
from pgjit.sql.kind import kind_of

# Made by analysis and planning: no tree of a text holds them.
ANALYSED = frozenset(
    """
    Aggref AlternativeSubPlan ArrayCoerceExpr ArrayExpr CallContext CaseTestExpr CoerceToDomain CoerceToDomainValue
    CoerceViaIO CollateExpr ConvertRowtypeExpr Expr FieldSelect FieldStore FromExpr FuncExpr InferenceElem
    InlineCodeBlock JsonConstructorExpr JsonExpr MergeAction Node OnConflictExpr OpExpr PLAssignStmt Param Query
    RTEPermissionInfo RangeTblEntry RangeTblFunction RangeTblRef RawStmt RelabelType ReturningExpr RowCompareExpr
    RowMarkClause ScalarArrayOpExpr SetOperationStmt SortGroupClause SubPlan SubscriptingRef TableFunc
    TableSampleClause TargetEntry ValUnion Var WindowClause WindowFunc WindowFuncRunCondition WithCheckOption
""".split()
)

# The field that they stand in has their type: the tree has them without their name, so their fields are judged.
IN_FIELDS = frozenset(
    """
    Alias BitString CTECycleClause CTESearchClause InferClause IntoClause JsonAggConstructor JsonBehavior JsonFormat
    JsonOutput JsonReturning JsonTablePathSpec OnConflictClause PartitionBoundSpec PartitionSpec ReturningClause
    WithClause
""".split()
)

# Parts of statements that are allowed whole, or refused by their kind.
OF_OTHER_KINDS = frozenset(
    """
    AccessPriv CreateOpClassItem FunctionParameter ObjectWithArgs PartitionRangeDatum PublicationObjSpec
    PublicationTable ReturnStmt RoleSpec StatsElem TriggerTransition
""".split()
)

# Fields of nodes that a SELECT may hold, which are filled by analysis or mean something in other statements alone.
NOT_READ = frozenset(
    """
    agglevelsup argisrow arg_names compression constraints cooked_default cterecursive cterefcount ctecolcollations
    ctecolnames ctecoltypes ctecoltypmods cycle_mark_collation cycle_mark_neop cycle_mark_type cycle_mark_typmod
    defnamespace fdwoptions filename generated gid identity identitySequence inhcount intoClause is_from
    is_from_type is_program lockingClause pct_type raw_default refs rtindex setof storage storage_name subLinkId
""".split()
)


def _nodes() -> dict[str, type]:
    every = vars(pglast.ast).items()
    return {name: one for name, one in every if inspect.isclass(one) and issubclass(one, pglast.ast.Node)}


def _listed() -> dict[str, frozenset[str]]:
    return {
        "of SELECT": unknown_node.READING_NODES - {"List"},
        "of statements that write": unknown_node.WRITING_NODES,
        "of statements that define": unknown_node.DEFINING_NODES - unknown_node.WRITING_NODES,
        "analysed": ANALYSED,
        "in fields": IN_FIELDS,
        "of other kinds": OF_OTHER_KINDS,
    }


def test_each_node_of_the_parser_is_on_one_list_or_is_a_statement_with_a_kind_that_is_refused() -> None:
    listed = _listed()
    found = {name: [place for place, names in listed.items() if name in names] for name in _nodes()}
    assert {name: places for name, places in found.items() if len(places) > 1} == {}
    new = [name for name, places in found.items() if not places and not name.endswith("Stmt")]
    assert new == [], "the parser knows new syntax: decide what it may do"


def test_the_kind_of_each_other_statement_has_a_word_that_policies_know() -> None:
    fields = {"DefineStmt": {"kind": "OBJECT_TYPE"}, "GrantStmt": {}, "GrantRoleStmt": {}, "RenameStmt": {}}
    listed = frozenset[str]().union(*_listed().values())
    for name in _nodes():
        if name.endswith("Stmt") and name not in listed:
            objects = dict.fromkeys(("objtype", "objectType", "renameType", "removeType"), "OBJECT_FUNCTION")
            kind = kind_of(name, {**objects, **fields.get(name, {})})
            assert kind in set(KINDS) - WRITING, name


def test_no_list_has_a_node_that_the_parser_does_not_know() -> None:
    assert frozenset[str]().union(*_listed().values()) <= set(_nodes())


def test_each_field_of_what_a_select_may_hold_is_judged_or_known_not_to_be_there() -> None:
    nodes = _nodes()
    held = sorted((unknown_node.READING_NODES - {"List"}) | (IN_FIELDS & {name for name in IN_FIELDS if _read(name)}))
    new = {
        (name, field)
        for name in held
        for field in getattr(nodes[name], "__slots__", ())
        if field not in unknown_node.READING_FIELDS | NOT_READ
    }
    assert new == set()


def _read(name: str) -> bool:
    """Whether a SELECT may hold it."""
    return not name.startswith(("Infer", "Into", "OnConflict", "Partition", "Returning"))
