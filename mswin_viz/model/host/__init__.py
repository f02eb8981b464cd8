"""Re-identification models built around CLIP: tower, parts, checkpoints."""
