"""Training and test data: ATD-12K's layout, films, synthetic scenes, vector animation and training crops."""
