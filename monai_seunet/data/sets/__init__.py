"""Preparation of public data sets from their downloads, and of users' own folders."""
