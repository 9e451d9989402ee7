"""The service's calls as methods, and how they are sent."""
