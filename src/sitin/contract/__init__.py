"""The messages and Protocols at the edges between rooms. Frozen models, no behaviour."""
