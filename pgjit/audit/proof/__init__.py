"""Proof that no line of the journal was changed, removed or added behind its back.

This room decides what is signed, how often, and what an auditor can check without trusting the machine of pgjit. The
formats are public ones: RFC 6962 for the tree, C2SP for signed notes, checkpoints, cosignatures and proofs.

- **leaf**: the hash of one line, exactly as it was written, without its newline.
- **tree**: the Merkle tree over all leaves; its root changes if any line does (`tree.py`).
- **checkpoint**: origin, size and root of the tree, signed (`checkpoint.py`). It covers every line before it.
- **origin**: the name of one journal, which is also the name of its key. Each journal has its own.
- **witness**: another party that signs a checkpoint if it extends the last one that it saw.

Start with `tree.py`, `note.py` and `checkpoint.py`, which are pure. `checkpointer.py` signs while the journal is
written: `resume.py` is its start, `growing_tree.py` its tree, `signer.py` its key, `sending.py` and `witness.py` its
receivers, `checkpoint_log.py` and `side_files.py` what it keeps beside the segments. `verification.py` checks a
journal offline: `segment_check.py` reads one segment, `claims.py` decides which checkpoints count, `changed_line.py`
names the line that differs. `proving.py` makes the proof of one line, `inclusion_file.py` is its format.
`proved_journals.py` finds journals and their keys, `journal_state.py` what is signed; `proof_program.py` is a
process that answers for the HTTP API.

A signature proves nothing about the holder of the key: only a checkpoint that was sent elsewhere does. The room reads
lines through `audit/segments/`. It does not know what a line says, except for its sequence number, and it imports
nothing of `proxy` and `server`.
"""
