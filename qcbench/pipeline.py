"""The table of contents: one short function a stage, in the data's order."""
