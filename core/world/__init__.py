"""The synthetic world of heads that the embedded model learns from. Needed for training only."""
