"""Video files: opening them with OpenCV's own FFmpeg, what their containers declare, and looking through them."""
