"""The linear set: test triplets composed of art, whose middle frame is exact."""
