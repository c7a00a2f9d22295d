"""The value of one rule under `rules`: `true`, `false`, or a mapping of options. Each rule adds its own."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

__all__ = ["RuleOptions"]


class RuleOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(default=True, strict=True, description="Whether the rule is applied.")

    @model_validator(mode="before")
    @classmethod
    def _switch(cls, value: object) -> object:
        if isinstance(value, bool):
            return {"enabled": value}
        if not isinstance(value, dict):
            raise ValueError("must be true, false or a mapping of the rule's options")  # noqa: TRY004 - a fault
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        own: dict[str, Any] = handler.resolve_ref_schema(handler(schema))
        return {"anyOf": [{"type": "boolean"}, dict(own)], "description": own.get("description", "")}
