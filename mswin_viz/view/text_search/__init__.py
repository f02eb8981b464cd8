"""The view of what a text finds."""
