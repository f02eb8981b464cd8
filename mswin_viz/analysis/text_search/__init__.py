"""Texts that rank a gallery, and how well captions find whom they describe."""
