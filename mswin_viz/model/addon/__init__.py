"""The modules that are added to CLIP."""
