from .client import connect, sqlite_uri
from .evaluation import ReportTrackingHandler, RotationTrackingHandler, training_run
from .training import RunTrackingHandler, split_hash

__all__ = [
    "ReportTrackingHandler",
    "RotationTrackingHandler",
    "RunTrackingHandler",
    "connect",
    "split_hash",
    "sqlite_uri",
    "training_run",
]
