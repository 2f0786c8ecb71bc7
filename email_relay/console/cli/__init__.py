"""The parts of ``relayqueue``."""
