"""From the images of a data set to a store of their features."""
