"""A store's rows as the files of other tools."""
