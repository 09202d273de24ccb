"""Arrays in, arrays out: geometry, template, bias field, registration, screenshots, simulation."""
