"""The commands, and the only place that wires the rooms together. Nobody imports it."""
