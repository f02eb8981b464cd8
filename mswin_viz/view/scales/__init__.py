"""The scale explorer."""
