"""A folder of features: what it holds, how it is written, and how it is read."""
