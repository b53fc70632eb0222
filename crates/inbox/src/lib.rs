//! Webhooks in: verified, stored, acknowledged, processed once
