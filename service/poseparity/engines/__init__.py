"""What estimates poses, behind one small interface: crops of a video in, the persons of each frame out."""
