"""Results for spatial omics: AnnData and SpatialData, which need the extra `spatial`."""
