"""Remember: the schema and, one file for each noun, its statements by name. A transaction is passed in, never opened here."""
