"""The service's calls as methods, and how they are sent.

Made by `python -m generate` from srserve_client/aio/__init__.py; changes by hand are lost.
"""
