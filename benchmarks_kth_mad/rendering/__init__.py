"""People and places that are drawn: sets in the real ones' file layouts, and what is known of them."""
