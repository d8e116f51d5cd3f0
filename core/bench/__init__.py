"""How fast the program is, fast twin beside slow twin; not needed for use."""
