"""The `reload` section of the configuration: whether pgjit itself looks for changed files."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ReloadSection"]


class ReloadSection(BaseModel):
    """Reading the files again while pgjit runs. SIGHUP and `pgjit reload` do so in any case."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    watch: bool = Field(
        default=False,
        description=(
            "look for changed files, and reload by itself: the configuration, policies, certificates and secrets, "
            "also where a link is set to another folder, as Kubernetes does"
        ),
    )
    every: float = Field(default=5, ge=1, le=3600, description="seconds between two looks at the files")
