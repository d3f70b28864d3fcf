"""What the network learns from and is judged by: synthetic scenes, vector animation, ATD-12K."""
