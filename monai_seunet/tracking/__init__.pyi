from .client import connect, sqlite_uri
from .evaluation import ReportTrackingHandler, RotationTrackingHandler, training_run
from .split import split_hash
from .training import RunTrackingHandler

__all__ = [
    "ReportTrackingHandler",
    "RotationTrackingHandler",
    "RunTrackingHandler",
    "connect",
    "split_hash",
    "sqlite_uri",
    "training_run",
]
