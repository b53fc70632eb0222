//! Whose address a request comes from, and how often an address may fail to prove who it is.

use http::HeaderMap;
use kit::Time;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

/// How long failures are remembered.
const WINDOW: Duration = Duration::from_secs(60);
/// Failures an address may have within a window.
pub(crate) const MOST_FAILURES: u32 = 20;
/// Beyond so many addresses the window starts anew: an attack from everywhere must not fill the memory.
const MOST_ADDRESSES: usize = 10_000;

/// The client's address: the connection's, or what the outermost trusted proxy said in `X-Forwarded-For`.
///
/// Each proxy appends the address it was called from, so with `trusted_proxies` of them the entry that many from the
/// right, the connection's own address being the last, is one that no stranger could write.
pub fn client_address(headers: &HeaderMap, peer: Option<IpAddr>, trusted_proxies: usize) -> IpAddr {
    let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    if trusted_proxies == 0 {
        return peer;
    }
    let said: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .collect();
    match said.len().checked_sub(trusted_proxies) {
        Some(position) => said[position].parse().unwrap_or(peer),
        // Fewer entries than proxies: the request came by a shorter way, and the first entry is the best there is.
        None => said.first().and_then(|entry| entry.parse().ok()).unwrap_or(peer),
    }
}

/// Failures of the present window, by address.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    window_began: Time,
    counts: HashMap<IpAddr, u32>,
}

impl Failures {
    /// Whether an address may try.
    pub(crate) fn allows(&mut self, address: IpAddr, now: Time) -> bool {
        self.turn_over(now);
        self.counts.get(&network(address)).is_none_or(|count| *count < MOST_FAILURES)
    }

    /// Counts a failure; answers how many the address has in this window.
    pub(crate) fn count(&mut self, address: IpAddr, now: Time) -> u32 {
        self.turn_over(now);
        let count = self.counts.entry(network(address)).or_default();
        *count = count.saturating_add(1);
        *count
    }

    fn turn_over(&mut self, now: Time) {
        if now.since(self.window_began) >= WINDOW || self.counts.len() >= MOST_ADDRESSES {
            self.counts.clear();
            self.window_began = now;
        }
    }
}

/// One customer of a provider usually has a whole /64 of version 6.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => IpAddr::V4(mapped),
            None => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !(u128::from(u64::MAX)))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_trusted_proxies_said_is_believed() {
        let check = |forwarded: &[&'static str], trusted, expected: &str| {
            let headers = forwarded
                .iter()
                .map(|line| (http::HeaderName::from_static("x-forwarded-for"), line.parse().unwrap()))
                .collect();
            let address = client_address(&headers, Some("10.0.0.9".parse().unwrap()), trusted);
            assert_eq!(address.to_string(), expected, "{forwarded:?} {trusted}");
        };
        check(&[], 0, "10.0.0.9");
        check(&["6.6.6.6"], 0, "10.0.0.9");
        check(&["203.0.113.7"], 1, "203.0.113.7");
        check(&["6.6.6.6, 203.0.113.7"], 1, "203.0.113.7");
        check(&["6.6.6.6, 203.0.113.7, 10.0.0.2"], 2, "203.0.113.7");
        check(&["6.6.6.6, 203.0.113.7", "10.0.0.2"], 2, "203.0.113.7");
        check(&["203.0.113.7"], 2, "203.0.113.7");
        check(&["nonsense"], 1, "10.0.0.9");
        check(&[], 1, "10.0.0.9");
        check(&["2001:db8::1"], 1, "2001:db8::1");
    }

    #[test]
    fn an_address_that_fails_too_often_waits_for_the_next_window() {
        let mut failures = Failures::default();
        let (now, later) = (Time::from_seconds(1_000), Time::from_seconds(1_060));
        let (here, neighbour, elsewhere) = ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1");
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for number in 1..=MOST_FAILURES {
            assert!(failures.allows(address(here), now));
            assert_eq!(failures.count(address(here), now), number);
        }
        assert!(!failures.allows(address(here), now));
        assert!(!failures.allows(address(neighbour), now), "the same network");
        assert!(failures.allows(address(elsewhere), now));
        assert!(failures.allows(address(here), later));
    }
}
