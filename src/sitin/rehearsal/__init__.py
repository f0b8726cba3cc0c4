"""Meetings held on this machine: pages that behave like the platforms', over real WebRTC."""
