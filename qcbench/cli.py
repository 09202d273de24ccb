"""Arguments in, pipeline called, summary out: the only module that prints and exits."""
