//! Connections by API key against the simulator.
