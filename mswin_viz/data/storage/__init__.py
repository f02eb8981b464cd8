"""Files that are written, checked and read back."""
