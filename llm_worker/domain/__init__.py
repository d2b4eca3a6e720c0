"""What things mean: pure decisions and values, no I/O, no clock, no log."""
