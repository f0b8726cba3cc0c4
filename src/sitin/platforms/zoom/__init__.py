"""What is particular to Zoom."""
