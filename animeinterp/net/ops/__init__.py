"""Operations shared by the networks: splatting, correlation, warping, recurrent units."""
