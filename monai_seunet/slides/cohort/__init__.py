"""Many slides: which ones, where their results go, and on which machines."""
