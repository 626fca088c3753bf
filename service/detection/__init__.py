"""From tiles to detections, through whichever engine is configured."""
