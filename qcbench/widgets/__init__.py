"""What people touch in a notebook or through voila."""
