"""Files of images, slides and labels: the one place that says what their samples, sizes and names mean."""
