"""Who is calling: shoppers and guests by JWT, other systems of the house by API key."""
