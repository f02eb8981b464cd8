"""Words that people give to images, saved beside the data."""
