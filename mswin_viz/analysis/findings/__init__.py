"""What may be wrong with a data set: wrong identities, near-duplicates, leaks between splits, outliers."""
