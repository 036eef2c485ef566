"""What is run by hand while Tenantry is developed; nothing of it is installed."""
