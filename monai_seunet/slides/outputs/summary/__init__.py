"""The page of a slide."""
