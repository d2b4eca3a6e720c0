"""The providers: who judges a pair, and at what price."""
