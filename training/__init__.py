"""Renders exact, labelled clips of an articulated figure and trains the demo bundle's three networks on them."""
