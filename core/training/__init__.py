"""How the embedded model is trained. Nothing here is needed to use it."""
