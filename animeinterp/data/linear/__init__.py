"""The linear set: composed shots whose true middle frame is exact."""
