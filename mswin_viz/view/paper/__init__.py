"""Figures for print that no explorer draws: occlusion curves, and the figure of a paper."""
