"""The cadence of a film: holds and drawings, cuts, frames that a pan alone makes."""
