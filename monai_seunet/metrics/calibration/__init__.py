"""Whether probabilities are shares."""
