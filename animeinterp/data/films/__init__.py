"""Training and test triplets out of films."""
