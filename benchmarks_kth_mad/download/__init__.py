"""The real set from its own server: archives transferred, checked and unpacked."""
