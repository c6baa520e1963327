"""Layers over the groups p4 and p4m."""
