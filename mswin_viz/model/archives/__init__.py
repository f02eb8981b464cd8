"""Weight archives read as data, without running code."""
