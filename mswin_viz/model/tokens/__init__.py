"""Tokens of images, and what retrieval reads of them."""
