"""Jobs: accepted work that outlives the request, and the process. `queue.py` is the front; it knows no pictures."""
