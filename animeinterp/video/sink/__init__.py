"""From frames to a finished film: encoders, segments, other streams."""
