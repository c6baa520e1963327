"""Training on labels of annotators, and strategies that choose the next image."""
