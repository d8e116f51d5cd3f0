"""Faces in a photo: where they are, and the square crop the networks were trained on."""
