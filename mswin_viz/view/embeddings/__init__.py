"""The embedding explorer."""
