"""What draws structures: stage, section, fluoroscopy, labels, gauges, layout, theme."""
