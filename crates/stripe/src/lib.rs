//! What is on the wire between Bursar and Stripe: client, forms, shapes, signatures
