"""Widgets read models and emit what a person wants; none of them knows the worker or the operations."""
