//! The local copy of Stripe's objects, and the one door by which anything from Stripe comes in
