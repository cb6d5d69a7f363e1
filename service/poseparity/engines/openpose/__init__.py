"""OpenPose's COCO layout: the network's input, the network, and the decoding of its output."""
