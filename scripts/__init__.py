"""Scripts: run by make and CI."""
