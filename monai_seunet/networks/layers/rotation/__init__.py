"""Convolutions of the groups p4 and p4m, and what goes with them."""
