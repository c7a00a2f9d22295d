"""The reference of the configuration file, from its own models."""

from __future__ import annotations

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from pgjit.config import ConfigFile, ConnectionSection, SecretSection

__all__ = ["reference"]


def reference() -> str:
    """The text of docs/config.md."""
    parts = [
        "# The configuration file\n",
        "One YAML file, read whole at start. Every fault is listed with its place, and nothing starts on a fault:",
        "`pgjit check --config pgjit.yaml` only looks. Relative paths start at the file's own folder.\n",
    ]
    for name, field in ConfigFile.model_fields.items():
        if name == "connections":
            parts.append(_section("connections.NAME", ConnectionSection))
            parts.append(_section("connections.NAME.password", SecretSection))
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            parts.append(_section(name, field.annotation))
        else:
            parts.append(f"## `{name}`\n\n{field.description}.\n")
    return "\n".join(parts)


def _section(name: str, model: type[BaseModel]) -> str:
    rows = [f"## `{name}`\n", f"{(model.__doc__ or '').strip()}\n", "| key | default | meaning |", "|---|---|---|"]
    for key, field in model.model_fields.items():
        default = "required" if field.default is PydanticUndefined else _default(field.default)
        rows.append(f"| `{key}` | {default} | {field.description} |")
    return "\n".join([*rows, ""])


def _default(value: object) -> str:
    return "none" if value is None else f"`{str(value).lower() if isinstance(value, bool) else value}`"
