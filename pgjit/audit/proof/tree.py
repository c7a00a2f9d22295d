"""The Merkle tree over the journal's lines (RFC 6962, section 2.1, with SHA-256): hashes, roots and proofs.

A leaf is a line without its newline. The tree of the lines `[start, end)` is kept as a list of perfect subtrees, the
largest that fit: `[0, 7)` is three subtrees, of 4, 2 and 1 leaves. Such lists are joined by their ends. So segments
are hashed apart from each other, and a tree of millions of lines grows with at most 64 hashes in memory.

Pure. Does not know where lines or hashes are stored.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple

__all__ = [
    "EMPTY_ROOT",
    "HASH_BYTES",
    "Subtree",
    "consistency_holds",
    "consistency_proof",
    "inclusion_holds",
    "inclusion_proof",
    "join",
    "leaf_hash",
    "node_hash",
    "root",
    "subtrees_of",
]

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(line: bytes) -> bytes:
    """`line` without its newline."""
    return sha256(b"\x00" + line).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Subtree(NamedTuple):
    """A perfect subtree of `2 ** level` leaves; `start` is the index of its first leaf, a multiple of that number."""

    start: int
    level: int
    digest: bytes

    @property
    def end(self) -> int:
        return self.start + (1 << self.level)


def subtrees_of(start: int, leaf_hashes: Sequence[bytes]) -> list[Subtree]:
    """The subtrees over consecutive leaves of which the first has the index `start`."""
    rising: list[Subtree] = []
    falling: list[Subtree] = []
    level, position, digests = 0, start, list(leaf_hashes)
    while digests:
        if position & 1:  # the right half of a subtree that begins before `start`
            rising.append(Subtree(position << level, level, digests.pop(0)))
            position += 1
        if len(digests) & 1:
            falling.append(Subtree((position + len(digests) - 1) << level, level, digests.pop()))
        pairs = iter(digests)
        digests = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
        level, position = level + 1, position >> 1
    falling.reverse()
    return rising + falling


def join(left: Iterable[Subtree], right: Iterable[Subtree]) -> list[Subtree]:
    """The subtrees over the leaves of both. Raises ValueError if `right` does not begin where `left` ends."""
    joined = list(left)
    for subtree in right:
        if joined and joined[-1].end != subtree.start:
            raise ValueError(f"leaf {joined[-1].end} is followed by leaf {subtree.start}")
        joined.append(subtree)
        while len(joined) > 1 and _are_siblings(joined[-2], joined[-1]):
            last, first = joined.pop(), joined.pop()
            joined.append(Subtree(first.start, first.level + 1, node_hash(first.digest, last.digest)))
    return joined


def root(subtrees: Sequence[Subtree]) -> bytes:
    """The root of the tree over the leaves of `subtrees`, which begin at 0 or at a multiple of their size."""
    if not subtrees:
        return EMPTY_ROOT
    digest = subtrees[-1].digest
    for subtree in reversed(subtrees[:-1]):
        digest = node_hash(subtree.digest, digest)
    return digest


def inclusion_proof(index: int, size: int, subtrees: Sequence[Subtree]) -> list[bytes]:
    """Proves the leaf `index` in the tree of `size` leaves. `subtrees`: those of `[0, size)`, in order.

    They need not be the largest: the leaf itself, and what is beside its path, have to be apart. Raises ValueError
    where they are not.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size} leaves")
    return _digests(_inclusion_ranges(index, 0, size), subtrees)


def consistency_proof(old: int, size: int, subtrees: Sequence[Subtree]) -> list[bytes]:
    """Proves that the tree of `size` leaves begins with that of `old` leaves. Raises ValueError as above."""
    if not 0 <= old <= size:
        raise ValueError(f"a tree of {size} leaves does not contain one of {old}")
    if old in (0, size):
        return []
    return _digests(_consistency_ranges(old, 0, size, whole=True), subtrees)


def inclusion_holds(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes) -> bool:
    """Whether `proof` leads from the hash `leaf` at `index` to the root `expected` (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, last, digest = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            digest = node_hash(sibling, digest)
            node, last = _past_promotions(node, last)
        else:
            digest = node_hash(digest, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and digest == expected


def consistency_holds(old: int, size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the tree of `new_root` begins with that of `old_root` (RFC 9162, 2.1.4.2)."""
    if not 0 <= old <= size:
        return False
    if old == size:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    node, last = old - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    of_old = of_new = path[0]
    for digest in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            of_old, of_new = node_hash(digest, of_old), node_hash(digest, of_new)
            node, last = _past_promotions(node, last)
        else:
            of_new = node_hash(of_new, digest)
        node, last = node >> 1, last >> 1
    return last == 0 and of_old == old_root and of_new == new_root


def _are_siblings(left: Subtree, right: Subtree) -> bool:
    return left.level == right.level and left.start >> left.level & 1 == 0


def _past_promotions(node: int, last: int) -> tuple[int, int]:
    """A last node without a sibling is promoted unchanged: go up to where it has one."""
    while node != 0 and node & 1 == 0:
        node, last = node >> 1, last >> 1
    return node, last


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def _inclusion_ranges(index: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The leaves `[start, end)` under each node beside the path of `index`, the leaf's sibling first."""
    if end - start == 1:
        return
    middle = start + _split(end - start)
    if index < middle:
        yield from _inclusion_ranges(index, start, middle)
        yield middle, end
    else:
        yield from _inclusion_ranges(index, middle, end)
        yield start, middle


def _consistency_ranges(old: int, start: int, end: int, *, whole: bool) -> Iterator[tuple[int, int]]:
    """`whole`: the old tree is known to the verifier as a subtree of its own."""
    if old == end:
        if not whole:
            yield start, end
        return
    middle = start + _split(end - start)
    if old <= middle:
        yield from _consistency_ranges(old, start, middle, whole=whole)
        yield middle, end
    else:
        yield from _consistency_ranges(old, middle, end, whole=False)
        yield start, middle


def _digests(ranges: Iterable[tuple[int, int]], subtrees: Sequence[Subtree]) -> list[bytes]:
    starts = [subtree.start for subtree in subtrees]
    digests = []
    for start, end in ranges:
        part = subtrees[bisect_left(starts, start) : bisect_left(starts, end)]
        if not part or part[0].start != start or part[-1].end != end:
            raise ValueError(f"the hashes of the lines {start} to {end} are not known by themselves")
        digests.append(root(join([], part)))
    return digests
