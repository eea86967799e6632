"""A repeated POST is answered from the first one's memory instead of being done again."""
