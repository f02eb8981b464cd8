"""Training of add-ons and heads on frozen tokens."""
