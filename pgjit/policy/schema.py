"""The JSON schema of a policy file. Editors use it to complete keys and to mark faults."""

from __future__ import annotations

from typing import Any

from pgjit.policy.language import PolicyFile

__all__ = ["policy_schema"]


def policy_schema() -> dict[str, Any]:
    schema = PolicyFile.model_json_schema(by_alias=True)
    schema["oneOf"] = [{"required": ["group"]}, {"required": ["role"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "pgjit policy"}
