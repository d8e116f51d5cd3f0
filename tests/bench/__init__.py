"""``make bench``: the library's rows and the window's in one table and one file."""
