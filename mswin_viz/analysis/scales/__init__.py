"""What the scale explorer shows."""
