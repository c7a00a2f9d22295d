"""`pgjit policy explain`: prints what a policy decides on a statement, or on each statement of a file, and why."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from pgjit.cli.policies import STATEMENT_BYTES, AsJson, CatalogFile, Folder, StatementBytes, one, read, read_catalog
from pgjit.cli.status import Status
from pgjit.cli.wrong_usage import WrongUsage

if TYPE_CHECKING:
    from pgjit.judging.judge import Judgement

    Judge = Callable[[bytes], Judgement]

__all__ = ["policy_explain"]


def policy_explain(
    sql: Annotated[
        str | None, typer.Argument(help="The statement, as the text of one message. `-` or none: standard input.")
    ] = None,
    policies: Folder = Path("policies"),
    policy: Annotated[str | None, typer.Option(help="The policy. Not needed if the folder has only one.")] = None,
    file: Annotated[Path | None, typer.Option(help="A file with the statement.")] = None,
    batch: Annotated[
        Path | None,
        typer.Option(
            help="A file of JSON lines, each with `id` and `sql`; `-`: standard input. One JSON line is written "
            "for each, with `id`, `decision`, `rule` and `message`."
        ),
    ] = None,
    catalog: CatalogFile = None,
    statement_bytes: StatementBytes = STATEMENT_BYTES,
    terms: Annotated[
        bool, typer.Option("--terms", help="No statement: how the policy grants access, and all that it allows.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Explain what a policy decides on a statement. The code that judges sessions decides.

    Prints the decision, every violation with its position, and for each object that the statement touches the line of
    the policy that allowed it. The exit code is 0 if it is allowed, 1 if it is denied; with --batch it is 0.
    """
    given = [
        name
        for name, value in (("SQL", sql), ("--file", file), ("--batch", batch), ("--terms", terms or None))
        if value is not None
    ]
    if len(given) > 1:
        raise WrongUsage(f"give one of {' and '.join(given)}")
    if batch is not None and as_json:
        raise WrongUsage("--batch answers in JSON lines: leave --json out")
    from rich.console import Console

    from pgjit.cli.explanation import show_explanation
    from pgjit.judging.explanation import explain
    from pgjit.judging.judge import assess
    from pgjit.policy.passages import Passages

    chosen = one(read(policies), policy)
    if terms:
        from pgjit.cli.policy_terms import print_terms

        print_terms(chosen, as_json=as_json)
        return Status.OK
    known = read_catalog(catalog)

    def judge(text: bytes) -> Judgement:
        return assess(chosen, text, statement_bytes, known)

    if batch is not None:
        _answer(batch, judge)
        return Status.OK
    passages = Passages()
    judgement = assess(chosen, _text(sql, file), statement_bytes, known, passages=passages)
    explanation = explain(chosen, judgement, known, passages)
    if as_json:
        print(json.dumps(explanation.document(), indent=2, ensure_ascii=False))
    else:
        show_explanation(explanation, Console(highlight=False))
    return Status.OK if judgement.allowed else Status.FAILED


def _text(sql: str | None, file: Path | None) -> bytes:
    if file is not None:
        return file.read_bytes()
    if sql is not None and sql != "-":
        return sql.encode("utf-8", "surrogateescape")
    return sys.stdin.buffer.read()


def _answer(batch: Path, judge: Judge) -> None:
    if str(batch) == "-":
        _write(_answers(sys.stdin.buffer, judge))
    else:
        with batch.open("rb") as lines:
            _write(_answers(lines, judge))


def _write(answers: Iterator[dict[str, object]]) -> None:
    import orjson

    for answer in answers:
        sys.stdout.write(orjson.dumps(answer, default=str).decode() + "\n")
    sys.stdout.flush()


def _answers(lines: BinaryIO, judge: Judge) -> Iterator[dict[str, object]]:
    for number, line in enumerate(lines, 1):
        content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if content.strip():
            yield _line(content, number, judge)


def _line(line: bytes, number: int, judge: Judge) -> dict[str, object]:
    """The answer to one line. What cannot be read is denied like everything that cannot be judged."""
    import orjson

    try:
        read = orjson.loads(line)
    except orjson.JSONDecodeError as fault:
        return _denied(None, "bad-line", f"line {number} is not JSON: {fault}")
    if not isinstance(read, dict):
        return _denied(None, "bad-line", f"line {number} is not an object with `id` and `sql`")
    name, sql = read.get("id"), read.get("sql")
    if not isinstance(sql, str):
        problem = "has no `sql`" if "sql" not in read else "has a `sql` that is not text"
        return _denied(name, "bad-line", f"line {number} {problem}: there is nothing to judge")
    judgement = judge(sql.encode("utf-8", "surrogatepass"))
    if judgement.allowed:
        return {"id": name, "decision": "allow", "rule": None, "message": None}
    first = judgement.violations[0]
    return _denied(name, first.rule, first.message)


def _denied(name: object, rule: str, message: str) -> dict[str, object]:
    return {"id": name, "decision": "deny", "rule": rule, "message": message}
