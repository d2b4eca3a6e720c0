"""Who may judge: from settings to providers, their limits and the routing between them."""
