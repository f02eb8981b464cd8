"""Checkpoints: what is in them, and the tower and add-on they make."""
