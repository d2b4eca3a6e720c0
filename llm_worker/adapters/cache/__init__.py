"""Known outcomes in memory; Redis joins here."""
