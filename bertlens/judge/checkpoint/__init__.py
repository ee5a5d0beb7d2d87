"""Checkpoint: everything about one checkpoint, put together."""
