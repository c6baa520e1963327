"""Reports, tables and figures of evaluations over scales."""
