"""What a configuration document may be at all, and where its faults are."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from pgjit.document import MAX_BYTES, Document, _composed, _PlainLoader
from pgjit.errors import InvalidFile


class _Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    port: int = 5432


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    inner: _Inner = _Inner()
    many: list[_Inner] = []


def _read(folder: Path, content: str | bytes) -> Document:
    path = folder / "file.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Document.read(path)


def _faults(folder: Path, content: str | bytes) -> list[str]:
    document = _read(folder, content)
    assert document.model(_Shape) is None
    return [fault.removeprefix(f"{document.path}:") for fault in document.faults]


def test_a_good_document_becomes_its_model(tmp_path: Path) -> None:
    text = "# a comment\nname: x\ninner:\n  port: 1\nmany:\n  - port: 2\n  - {}\n"
    document = _read(tmp_path, text)

    assert document.model(_Shape) == _Shape(name="x", inner=_Inner(port=1), many=[_Inner(port=2), _Inner()])
    assert document.faults == []
    assert document.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert document.place(("inner", "port")) == f"{document.path}:4:3"
    assert document.place(("inner", "port", "deeper")) == f"{document.path}:4:3"
    document.check("the file")


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        ("", ["1:1: is empty"]),
        ("# nothing\n", ["1:1: is empty"]),
        ("~", ["1:1: must be a mapping of keys"]),
        ("just text", ["1:1: must be a mapping of keys"]),
        ("- a\n", ["1:1: must be a mapping of keys"]),
        ("name: x\nname: y\n", ["2:1: key `name` is given twice"]),
        ("name: x\ninner:\n  port: 1\n  port: 2\n", ["4:3: key `port` is given twice"]),
        ("name: x\ninner: &a\n  port: 1\n", ["2:8: anchors and aliases are not accepted"]),
        ("name: x\ninner: *a\n", ["2:8: anchors and aliases are not accepted"]),
        ("name: x\ninner:\n  <<: {port: 1}\n", ["3:3: a key must be plain text"]),
        ("name: x\n? [a]\n: 1\n", ["2:3: a key must be plain text"]),
        ("name: !!python/name:os.system ''\n",
         ["1:7: value of type 'tag:yaml.org,2002:python/name:os.system' is not accepted"]),
        ("name: x\nnaem: y\n", ["2:1: `naem` is not a known key; did you mean `name`?"]),
        ("name: x\ninner:\n  prot: 1\n", ["3:3: `inner.prot` is not a known key; did you mean `port`?"]),
        ("name: x\nmany:\n  - port: 1\n  - zzz: 1\n", ["4:5: `many.1.zzz` is not a known key"]),
        ("name: x\ninner: 3\n", ["2:1: `inner` must be a mapping of keys"]),
        ("name: x\nmany:\n  - port: high\n",
         ["3:5: `many.0.port` must be a valid integer, unable to parse string as an integer"]),
        ("inner: {}\n", ["1:1: `name` is missing"]),
        (b"name: \xff\n", ["1:1: is not UTF-8 (byte 6)"]),
        (b"name: \x01\n", ["1:1: is not YAML that can be read"]),
        ("a: " + "[" * 5000, ["1:1: is not YAML that can be read"]),
    ],
)  # fmt: skip
def test_a_fault_has_its_place(tmp_path: Path, content: str | bytes, faults: list[str]) -> None:
    assert _faults(tmp_path, content) == faults


@pytest.mark.parametrize("content", ["name: [x\n", "name: x\n bad: y\n", "name: x\n---\nname: y\n", "name: 'x\n"])
def test_what_is_not_one_yaml_document_is_told_with_its_line(tmp_path: Path, content: str) -> None:
    (fault,) = _faults(tmp_path, content)

    line, column, _ = fault.split(":", 2)
    assert int(line) >= 1
    assert int(column) >= 1


def test_nesting_has_an_end(tmp_path: Path) -> None:
    assert "1:" in _faults(tmp_path, "name: " + "[" * 50 + "]" * 50)[0]


def test_size_has_an_end(tmp_path: Path) -> None:
    assert _faults(tmp_path, "name: x\n#" + "x" * MAX_BYTES) == [f"1:1: is larger than {MAX_BYTES} bytes"]


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    document = Document.read(tmp_path / "none.yaml")

    assert document.model(_Shape) is None
    assert document.faults == [f"{tmp_path}/none.yaml:1:1: cannot be read: No such file or directory"]


def test_a_fault_of_meaning_is_told_beside_those_of_form(tmp_path: Path) -> None:
    document = _read(tmp_path, "name: x\ninner:\n  port: 1\n")
    document.fault(("inner", "port"), "is taken")
    document.fault((), "is odd")

    assert document.faults == [f"{document.path}:3:3: `inner.port` is taken", f"{document.path}:1:1: is odd"]
    assert document.model(_Shape) is None
    with pytest.raises(InvalidFile) as invalid:
        document.check("the file")
    assert invalid.value.faults == document.faults
    assert str(invalid.value) == "the file has 2 faults"


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        ("many:\n  - a\n\t- b\n", ["3:1: found character '\\t' that cannot start any token"]),
        ("name: x\n\ttoo\n", ["2:1: found character '\\t' that cannot start any token"]),
        ("many: [{port: 1}\nname: x\n", ["2:1: expected ',' or ']', but got '<scalar>'"]),
        ("name: x\n port: 1\n", ["2:6: mapping values are not allowed here"]),
    ],
)
def test_what_is_no_yaml_is_named_by_what_was_found(tmp_path: Path, content: str, faults: list[str]) -> None:
    assert _faults(tmp_path, content) == faults


_PIECES = st.sampled_from([
    "a", "b: ", "é", "😀", "- ", "\n", "  ", "\n  ", "\n    ", "\n- ", "\n? ", ": ", "[", "]", "{", "}", ", ",
    "name: x\n", "'", '"', "\\n", "# c", "|\n ", "> \n", "|-\n   ", "---\n", "...\n", "!!str ", "!x ", "*a", "&a ",
    "<<: ", "~", "0x1f", "1:30", "true", "2024-01-01", "%", "@", "`", "\r\n", "\t", "\u2028", "\x85", "\ufeff",
])  # fmt: skip


def _written(node: yaml.Node | None) -> object:
    """What a node is, and its place; an empty value may stand anywhere behind its key."""
    match node:
        case yaml.ScalarNode(tag=tag, value=""):
            return tag
        case yaml.Node(tag=tag, value=value, start_mark=mark):
            return tag, (mark.line, mark.column), _inside(value)
    return None


def _inside(value: object) -> object:
    if isinstance(value, list | tuple):
        return [_inside(each) for each in value]
    return _written(value) if isinstance(value, yaml.Node) else value


@given(pieces=st.lists(_PIECES, max_size=9))
def test_a_document_is_read_as_the_parser_of_pyyaml_reads_it(pieces: list[str]) -> None:
    text = "".join(pieces)
    try:
        expected = _written(yaml.compose(text, Loader=_PlainLoader))
    except yaml.YAMLError as fault:
        with pytest.raises(type(fault)):
            _composed(text)
    else:
        assert _written(_composed(text)) == expected
