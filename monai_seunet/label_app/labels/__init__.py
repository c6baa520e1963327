"""Labels of annotators: files, names, the data store."""
