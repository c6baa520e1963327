"""HTML summary of a slide."""
