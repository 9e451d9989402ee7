"""Routes: what the service answers at which path. Each file is one group of endpoints."""
