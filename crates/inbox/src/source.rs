//! Who may knock: an optional list of networks, right behind a named number of trusted proxies (INB-3).
//!
//! Off by default, because the signature decides. Stripe publishes its addresses and changes them with seven days'
//! notice (FACTS section 9), so a list that is switched on has to be kept up to date.

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// Each proxy appends the address it was called from; a comma stands between them.
static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Networks that may deliver. Empty means any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowlist(Vec<IpNet>);

/// A word of the list that is neither an address nor a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an address like 203.0.113.7 nor a network like 203.0.113.0/24")]
pub struct BadNetwork(String);

impl Allowlist {
    /// Reads addresses and networks, each a word as in `203.0.113.7` or `203.0.113.0/24`.
    pub fn parse<Word: AsRef<str>>(words: impl IntoIterator<Item = Word>) -> Result<Allowlist, BadNetwork> {
        let mut networks = Vec::new();
        for word in words {
            let word = word.as_ref().trim();
            let network = word.parse::<IpNet>().or_else(|_| word.parse::<IpAddr>().map(IpNet::from));
            networks.push(network.map_err(|_| BadNetwork(word.chars().take(64).collect()))?);
        }
        Ok(Allowlist(networks))
    }

    /// Whether any address may deliver.
    pub fn is_open(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this address may deliver. An unknown address may only if all may.
    pub fn allows(&self, address: Option<IpAddr>) -> bool {
        self.is_open() || address.is_some_and(|address| self.0.iter().any(|network| network.contains(&address)))
    }
}

/// Where a request came from, with `trusted_proxies` between its sender and us; `None` if that cannot be told.
///
/// Only what trusted proxies wrote is believed: the last of them is the peer itself, and each wrote one address at the
/// end of the list. Whatever stands before those the sender may have made up.
pub fn sender(peer: Option<SocketAddr>, headers: &HeaderMap, trusted_proxies: usize) -> Option<IpAddr> {
    let Some(position_from_end) = trusted_proxies.checked_sub(1) else {
        return peer.map(|peer| peer.ip().to_canonical());
    };
    let lists = headers.get_all(&FORWARDED_FOR).iter().collect::<Vec<_>>();
    let addresses = lists.iter().rev().flat_map(|list| list.as_bytes().rsplit(|byte| *byte == b','));
    let address = addresses.into_iter().nth(position_from_end)?;
    address_of(std::str::from_utf8(address).ok()?.trim())
}

/// `203.0.113.7`, `203.0.113.7:4711`, `2001:db8::7`, `[2001:db8::7]`, `[2001:db8::7]:4711`.
fn address_of(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|it| it.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_sender_is_who_the_trusted_proxies_say() {
        let check = |lists: &[&'static str], trusted_proxies: usize, expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            for list in lists {
                headers.append(&FORWARDED_FOR, HeaderValue::from_static(list));
            }
            let peer = "10.0.0.9:50000".parse().ok();
            let found = sender(peer, &headers, trusted_proxies).map(|it| it.to_string());
            assert_eq!(found.as_deref(), expected, "{lists:?} behind {trusted_proxies}");
        };
        check(&[], 0, Some("10.0.0.9"));
        check(&["3.18.12.63"], 0, Some("10.0.0.9"));
        check(&["3.18.12.63"], 1, Some("3.18.12.63"));
        check(&["3.18.12.63, 198.51.100.4"], 1, Some("198.51.100.4"));
        check(&["3.18.12.63, 198.51.100.4"], 2, Some("3.18.12.63"));
        check(&["6.6.6.6, 3.18.12.63, 198.51.100.4"], 2, Some("3.18.12.63"));
        check(&["6.6.6.6", "3.18.12.63", "198.51.100.4"], 2, Some("3.18.12.63"));
        check(&["198.51.100.4"], 2, None);
        check(&[], 1, None);
        check(&["unknown"], 1, None);
        check(&["3.18.12.63:4711"], 1, Some("3.18.12.63"));
        check(&["[2001:db8::7]:4711"], 1, Some("2001:db8::7"));
        check(&["[2001:db8::7]"], 1, Some("2001:db8::7"));
        check(&["2001:db8::7"], 1, Some("2001:db8::7"));
        check(&["::ffff:3.18.12.63"], 1, Some("3.18.12.63"));
    }

    #[test]
    fn the_list_holds_addresses_and_networks() {
        let list = Allowlist::parse(["3.18.12.63", " 198.51.100.0/24 ", "2001:db8::/32"]).unwrap();
        let check = |address: &str, allowed| assert_eq!(list.allows(address.parse().ok()), allowed, "{address}");
        check("3.18.12.63", true);
        check("3.18.12.64", false);
        check("198.51.100.200", true);
        check("198.51.101.1", false);
        check("2001:db8::1", true);
        check("::1", false);
        check("nobody", false);
        let open = Allowlist::default();
        assert!(open.is_open() && open.allows(None));
        let error = Allowlist::parse(["example.com"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`example.com` is neither an address like 203.0.113.7 nor a network like 203.0.113.0/24"
        );
    }
}
