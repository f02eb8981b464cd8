"""Image files: opening them, and what they are as arrays."""
