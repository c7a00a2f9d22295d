"""Which executions a call is about: the filter of `audit/executions`, and of a search that was saved.

Decides names and bounds. What each filter means is decided by `audit/reading/execution_list.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from pgjit.api.bodies import Name
from pgjit.api.cursor import LIMIT, MOST

__all__ = ["MOST_CSV_ROWS", "CsvQuery", "ExecutionPageQuery", "FilterBody"]

MOST_CSV_ROWS: Final = 50_000
Text = Annotated[str | None, Field(min_length=1, max_length=512)]


class FilterBody(BaseModel):
    """`identity`: object id, `tid/oid` or display name. `object`: a relation or function. `since`: a moment, or `2h`.

    A member that is not known is refused: an auditor who misspells a filter must not take everything for an answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    identity: Text = None
    group: Text = None
    policy: Name | None = None
    connection: Name | None = None
    window: Text = None
    session: Text = None
    object: Text = None
    decision: Literal["allow", "deny"] | None = None
    kind: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    ended: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    rule: Text = None
    sqlstate: Text = None
    since: Text = None
    until: Text = None
    text: Text = None
    after_end: bool = False
    catalog: bool = False

    @property
    def chosen(self) -> dict[str, Any]:
        """What is narrowed, by the names of `ExecutionFilter`."""
        names = FilterBody.model_fields
        values = {name: value for name in names if (value := getattr(self, name)) is not None}
        return {"touches" if name == "object" else name: value for name, value in values.items()}


class ExecutionPageQuery(FilterBody):
    """`characters`: texts are cut to so many, and other values that are longer are left out."""

    cursor: Annotated[str | None, Field(max_length=512)] = None
    limit: Annotated[int, Field(ge=1, le=MOST)] = LIMIT
    characters: Annotated[int | None, Field(ge=20, le=100_000)] = None


class CsvQuery(FilterBody):
    limit: Annotated[int, Field(ge=1, le=MOST_CSV_ROWS)] = 10_000
