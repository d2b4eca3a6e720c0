"""What may be spent, and what was: from settings and from the accountant's topic."""
