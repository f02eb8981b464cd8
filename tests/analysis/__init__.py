"""Tests of the layer `analysis`: closed formulas against plain loops, torch and published examples."""
