"""Styles, tables, overlays, figures and HTML pages."""
