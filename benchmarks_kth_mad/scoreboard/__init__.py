"""Measured tables of one machine, kept in a folder: pictures, and goals with their verdicts."""
