"""The accountant: from settings to the process that adds up costs."""
