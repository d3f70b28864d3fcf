"""Which frames are distinct drawings, where shots begin, how the picture pans."""
