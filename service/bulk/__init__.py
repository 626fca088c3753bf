"""Many pictures at once, without HTTP in front: files, whole trees, folders that keep filling."""
