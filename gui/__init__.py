"""The window: one front end on ``core``. It never imports PyTorch at start, and never outside the engine thread."""
