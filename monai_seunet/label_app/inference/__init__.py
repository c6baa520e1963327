"""Inference on request: checked requests, the network and the answers."""
