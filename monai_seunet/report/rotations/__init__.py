"""Reports, tables and figures of evaluations of turned images."""
