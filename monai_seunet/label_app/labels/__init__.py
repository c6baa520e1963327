"""Labels of annotators: their files, names and data store."""
