"""Reading of TIFF and its dialects: the choice of the scan, its levels, its pixels and their size."""
