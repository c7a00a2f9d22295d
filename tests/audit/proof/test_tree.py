from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.audit.proof.tree import (
    EMPTY_ROOT,
    Subtree,
    consistency_holds,
    consistency_proof,
    inclusion_holds,
    inclusion_proof,
    join,
    leaf_hash,
    root,
    subtrees_of,
)
from tests.audit.proof import vectors
from tests.run.rows import table

MOST = 60
LEAVES = [leaf_hash(str(number).encode()) for number in range(150)]


def mth(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word by word, over the hashes of the leaves."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + mth(leaves[:split]) + mth(leaves[split:])).digest()


def apart(size: int) -> list[Subtree]:
    """Each leaf by itself."""
    return [Subtree(index, 0, LEAVES[index]) for index in range(size)]


ROOTS = [mth(LEAVES[:size]) for size in range(len(LEAVES) + 1)]


def test_published_roots() -> None:
    hashes = list(map(leaf_hash, vectors.LEAVES))
    assert hashes[5].hex() == vectors.LEAF_5
    for size, expected in enumerate(vectors.ROOTS):
        assert root(subtrees_of(0, hashes[:size])).hex() == expected


def test_published_proofs() -> None:
    leaves = [Subtree(index, 0, leaf_hash(leaf)) for index, leaf in enumerate(vectors.LEAVES)]
    roots = list(map(bytes.fromhex, vectors.ROOTS))
    inclusion = inclusion_proof(5, 8, leaves)
    assert tuple(map(bytes.hex, inclusion)) == vectors.INCLUSION_OF_5_IN_8
    assert inclusion_holds(bytes.fromhex(vectors.LEAF_5), 5, 8, inclusion, roots[8])
    for old, size, published in ((3, 7, vectors.CONSISTENCY_3_TO_7), (4, 8, vectors.CONSISTENCY_4_TO_8)):
        proof = consistency_proof(old, size, leaves[:size])
        assert tuple(map(bytes.hex, proof)) == published
        assert consistency_holds(old, size, roots[old], roots[size], proof)


def test_roots_are_those_of_the_definition() -> None:
    assert root([]) == EMPTY_ROOT
    for size in range(MOST):
        assert root(subtrees_of(0, LEAVES[:size])) == ROOTS[size]
        assert root(join([], apart(size))) == ROOTS[size]


@given(st.lists(st.integers(0, 40), max_size=8))
def test_parts_that_are_joined_are_the_tree_of_all(lengths: list[int]) -> None:
    joined: list[Subtree] = []
    start = 0
    for length in lengths:
        part = subtrees_of(start, LEAVES[start : start + length])
        assert all(subtree.start % (1 << subtree.level) == 0 for subtree in part)
        joined = join(joined, part)
        start = min(start + length, len(LEAVES))
    assert joined == subtrees_of(0, LEAVES[:start])
    assert root(joined) == ROOTS[start]


def test_parts_that_do_not_meet_are_not_joined() -> None:
    with pytest.raises(ValueError, match="leaf 4 is followed by leaf 5"):
        join(subtrees_of(0, LEAVES[:4]), subtrees_of(5, LEAVES[5:8]))


def test_every_inclusion_proof_holds_and_no_other() -> None:
    for size in range(1, MOST):
        for index in range(size):
            proof = inclusion_proof(index, size, apart(size))
            leaf = LEAVES[index]
            assert inclusion_holds(leaf, index, size, proof, ROOTS[size])
            assert not inclusion_holds(LEAVES[index + 1], index, size, proof, ROOTS[size])
            assert not inclusion_holds(leaf, index, size, proof, ROOTS[size + 1])
            assert not inclusion_holds(leaf, index, size, [*proof, leaf], ROOTS[size])
            assert not inclusion_holds(leaf, size, size, proof, ROOTS[size])
            assert not inclusion_holds(leaf, -1, size, proof, ROOTS[size])
            assert not inclusion_holds(leaf, index ^ 1, size, proof, ROOTS[size])
            if proof:
                assert not inclusion_holds(leaf, index, size, proof[:-1], ROOTS[size])
                assert not inclusion_holds(leaf, index, size, [LEAVES[-1], *proof[1:]], ROOTS[size])


def test_every_consistency_proof_holds_and_no_other() -> None:
    for size in range(MOST):
        for old in range(size + 1):
            proof = consistency_proof(old, size, apart(size))
            assert consistency_holds(old, size, ROOTS[old], ROOTS[size], proof)
            assert not consistency_holds(old, size, ROOTS[old], ROOTS[size + 1], proof) or old == 0
            assert not consistency_holds(old, size, ROOTS[old + 1], ROOTS[size], proof)
            assert not consistency_holds(old, size, ROOTS[old], ROOTS[size], [*proof, LEAVES[0]])
            assert not consistency_holds(size + 1, size, ROOTS[old], ROOTS[size], proof)
            if proof:
                assert not consistency_holds(old, size, ROOTS[old], ROOTS[size], proof[:-1])
                assert not consistency_holds(old, size, ROOTS[old], ROOTS[size], [LEAVES[-1], *proof[1:]])
                assert not consistency_holds(old, size, ROOTS[old], ROOTS[size], [])


@table("boundaries", [(16, 32, 48), (7, 8, 30, 61), (1, 2, 3), (59,)])
def test_a_proof_of_a_line_needs_the_leaves_of_its_own_segment_only(boundaries: tuple[int, ...]) -> None:
    edges = [0, *boundaries, 77]
    for first, end in pairwise(edges):
        kept: list[Subtree] = []
        for start, stop in pairwise(edges):
            kept += apart(77)[start:stop] if start == first else subtrees_of(start, LEAVES[start:stop])
        for index in range(first, end):
            assert inclusion_proof(index, 77, kept) == inclusion_proof(index, 77, apart(77))
            if index:
                assert consistency_proof(index, 77, kept) == consistency_proof(index, 77, apart(77))


def test_a_proof_from_hashes_that_are_not_kept_is_refused() -> None:
    with pytest.raises(ValueError, match="the hashes of the lines 4 to 5 are not known by themselves"):
        inclusion_proof(5, 8, subtrees_of(0, LEAVES[:8]))


@table("index, size", [(8, 8), (-1, 8), (0, 0)])
def test_a_line_that_is_not_in_the_tree_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="is not in a tree"):
        inclusion_proof(index, size, apart(size))
    with pytest.raises(ValueError, match="does not contain"):
        consistency_proof(size + 1, size, apart(size))
