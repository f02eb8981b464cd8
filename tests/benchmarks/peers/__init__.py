"""The same work done by this package and by others, in turns, in one run: ``python tests/benchmarks/peers [group ...]``."""
