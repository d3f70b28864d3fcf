"""How the program runs on this machine: threads, prefetching, compiled kernels and their cache."""
