"""Requests of clients, the network that answers, and the answers."""
