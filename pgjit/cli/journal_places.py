"""The option `--journal` of `pgjit check` and `pgjit doctor`: tries where the journal and its copies are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgjit.audit.keeping.probing import ProbeResult
    from pgjit.config import Config

__all__ = ["probed_places"]


def probed_places(config: Config) -> list[ProbeResult]:
    """The folder, and the archive if there is one. Blocks for as long as the archive may take."""
    from pgjit.audit.keeping.probing import try_archive, try_folder
    from pgjit.audit.segments.journal_place import origin_at

    section = config.file.journal
    folder = config.path(section.folder)
    results = [try_folder(folder, section.space_warn_bytes)]
    if section.archive is not None:
        try:
            origin = origin_at(folder) or None
        except OSError:
            origin = None  # the folder cannot be read: its own probe reports that
        results.append(try_archive(section.archive, origin))
    return results
