//! Background jobs: multi-step I/O over a small file trait, so that the simulator runs them as well.
