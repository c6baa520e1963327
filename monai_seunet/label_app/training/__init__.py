"""Training from labels of annotators, and what to label next."""
