"""Exact shares of a score, and what removing or shuffling windows does."""
