"""Volumes -> image quality metrics (IQMs), by the names of MRIQC (Esteban et al., PLoS ONE 2017)."""
