"""Joint t-SNE of plain and enhanced features."""
