"""Tables and figures, made from the numbers of an evaluation and in one style."""
