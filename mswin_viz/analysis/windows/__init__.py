"""Windows of tokens, and their activations."""
