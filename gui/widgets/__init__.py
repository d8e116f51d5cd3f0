"""Widgets read models and emit intent; they reach neither the engine thread nor the operations."""
