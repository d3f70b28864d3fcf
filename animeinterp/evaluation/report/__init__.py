"""The report of an evaluation as one HTML page: tables, bars, scatter plots, the worst and the best drawings."""
