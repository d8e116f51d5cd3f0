"""The networks: tensors in, tensors out.

Nothing in this room reads a file (but ``checkpoint``), prints, chooses a device, or knows what a photo, a face or a
mesh is. If a gradient must flow through something, it belongs here.
"""
