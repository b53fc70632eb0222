//! A stateful stand-in for Stripe that shares no code with the client it tests
