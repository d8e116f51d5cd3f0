"""Optimisation after the feed-forward encoder: what may still be moved so that the head fits its photo."""
