"""Write: the bytes of each mail that we send."""
