"""How fast the shop is, what a purchase costs, and what the database alone could do."""
