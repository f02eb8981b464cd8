"""Results as Markdown tables and sentences."""
