from .write import export_network

__all__ = ["export_network"]
