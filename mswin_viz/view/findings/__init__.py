"""Lists of what may be wrong with a data set, with pictures."""
