"""Image quality metrics and ratings of any scan, kept in one database behind a REST API."""
