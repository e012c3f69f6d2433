"""What a command will take, said before it is run: passes, bytes and, from a measured rate, hours."""
