"""Object stores behind one Protocol."""
