"""What U-Nets of this package are made of: blocks, stages, and the skeleton that checks and runs them."""
