"""TIFF and its dialects: which of its images is meant, its levels, its pixels and their size."""
