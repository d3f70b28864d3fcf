"""Read files from untrusted sources, and write files completely or not at all."""
