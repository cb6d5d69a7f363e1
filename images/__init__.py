"""The Docker images: how each is made, and the program that makes them (`images/build`)."""
