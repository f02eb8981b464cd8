"""The attribution explorer."""
