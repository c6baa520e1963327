"""Commands of the command line, one in each file; their functions raise `InputError` for a wrong option."""
