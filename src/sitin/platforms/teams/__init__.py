"""What is particular to Microsoft Teams."""
