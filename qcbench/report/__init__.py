"""From tables to what people look at."""
