"""Retrieval, neighbours, statistics."""
