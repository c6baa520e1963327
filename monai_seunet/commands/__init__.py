"""What the command line offers: one file for each command, with its options and what it runs."""
