"""Audio and video of a WebRTC page as encoded frames, and the files made of them. No selectors."""
