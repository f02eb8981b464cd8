"""The retrieval view."""
