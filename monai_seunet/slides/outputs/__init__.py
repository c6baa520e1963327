"""What is written of a finished slide."""
