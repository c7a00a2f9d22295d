"""One file per step. A step that was released is never edited: the next change is the next file."""
