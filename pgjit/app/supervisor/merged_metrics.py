"""Merges the metrics of several processes into one page of Prometheus's text format. Pure.

Decides that each family is described once, and that each series has the label `worker`. `target_info` describes the
service: it is taken once, without the label.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["merged"]

_DESCRIPTION = re.compile(r"# (?:HELP|TYPE|UNIT) (\S+)")
_SAMPLE = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})?( [-+.\w]+(?: \d+)?)\Z", re.ASCII)
_ONCE = "target_info"


def merged(pages: Mapping[str, str]) -> str:
    """`pages` by the value of the label. Lines that are no sample and describe none are left out."""
    descriptions: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for worker, page in pages.items():
        family, seen = "", set(descriptions)  # families that another process described
        for line in page.splitlines():
            if (described := _DESCRIPTION.match(line)) is not None:
                family = described[1]
                samples.setdefault(family, [])
                if family not in seen:
                    descriptions.setdefault(family, []).append(line)
            elif (sample := _SAMPLE.match(line)) is not None:
                if not sample[1].startswith(family) or not family:
                    family = sample[1]
                _add(samples.setdefault(family, []), sample, line, worker)
    lines = [line for family, found in samples.items() for line in (*descriptions.get(family, ()), *found)]
    return "".join(f"{line}\n" for line in lines)


def _add(found: list[str], sample: re.Match[str], line: str, worker: str) -> None:
    if sample[1] == _ONCE:
        if not found:
            found.append(line)
        return
    labels = f'worker="{worker}"' + (f",{sample[2]}" if sample[2] else "")
    found.append(f"{sample[1]}{{{labels}}}{sample[3]}")
