"""What is generated in srserve_client, and from what."""
