"""A view as one file that needs neither a kernel nor a network."""
