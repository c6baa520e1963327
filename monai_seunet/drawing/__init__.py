"""Style, tables, pictures and pages that everything drawn shares."""
