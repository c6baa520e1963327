"""Blocks and stages of U-Nets, and the skeleton that checks and runs them."""
