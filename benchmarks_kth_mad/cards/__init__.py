"""A card for every attribution class: what it says, what it costs, where it wins and loses."""
