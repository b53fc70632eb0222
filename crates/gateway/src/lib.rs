//! Every call to Stripe: intents, limits, lanes, retries, breaker
