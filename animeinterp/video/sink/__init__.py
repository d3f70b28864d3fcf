"""Write films: encoders, segments, muxing of the other streams, animated images, folders of frames."""
