"""Attributions by Captum, and how they are checked."""
