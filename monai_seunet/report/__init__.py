"""Reports, tables and figures of evaluations."""
