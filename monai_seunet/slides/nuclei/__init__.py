"""From maps of probabilities to single nuclei."""
