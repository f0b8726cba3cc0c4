"""What is particular to each meeting platform: addresses, selectors, adapter, page script."""
