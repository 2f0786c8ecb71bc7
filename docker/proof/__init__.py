"""The recipe of the image, followed without a container engine: ``python -m docker.proof``."""
