//! Which addresses may connect.

use std::{net::IpAddr, str::FromStr};

use ipnet::IpNet;

/// A network, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network(IpNet);

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(|network| Self(network.trunc())).map_err(|_| NoNetwork)
    }
}

/// Neither an address nor a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither an address nor a network such as 10.0.0.0/8")]
pub(crate) struct NoNetwork;

/// The addresses that may connect: all, or those of some networks.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllowList(Vec<Network>);

impl AllowList {
    /// From settings that were checked; an empty list admits everybody.
    pub(crate) fn new(networks: &[String]) -> Result<Self, NoNetwork> {
        networks.iter().map(|network| network.parse()).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn admits(&self, address: IpAddr) -> bool {
        // A socket that takes both families shows IPv4 peers as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2).
        let address = address.to_canonical();
        self.0.is_empty() || self.0.iter().any(|network| network.0.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_looked_for_in_every_network_of_its_family() {
        let texts = ["10.1.0.0/16", "192.0.2.7", "2001:db8::/32", "10.9.8.7/8"].map(str::to_owned);
        let list = AllowList::new(&texts[..3]).unwrap();
        let admits = |list: &AllowList, text: &str| list.admits(text.parse().unwrap());
        for inside in ["10.1.2.3", "192.0.2.7", "2001:db8::1", "::ffff:10.1.2.3"] {
            assert!(admits(&list, inside), "{inside}");
        }
        for outside in ["10.2.0.1", "192.0.2.8", "2001:db9::1", "::1", "::ffff:10.2.0.1"] {
            assert!(!admits(&list, outside), "{outside}");
        }
        assert!(
            admits(&AllowList::new(&texts[3..]).unwrap(), "10.200.0.1"),
            "bits behind the prefix do not count"
        );
        assert!(admits(&AllowList::default(), "203.0.113.9"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0", "localhost", "::/129", "10.0.0.0/8/8"] {
            assert_eq!(text.parse::<Network>(), Err(NoNetwork), "{text}");
        }
    }
}
