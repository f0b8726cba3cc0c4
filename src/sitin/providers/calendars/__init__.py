"""Calendar platforms behind one Protocol."""
