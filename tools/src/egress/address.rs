//! What an address is, whatever it is written as. Pure: nothing here looks up or connects.
//!
//! **Invariant:** an address of a metadata service, and one that is nobody's, is refused under every grant.
//! **Invariant:** an address that carries another inside (mapped, translated, tunnelled) is judged by the one inside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of the public Internet.
    Public,
    /// Of this machine or a network of one's own; only a grant of exactly this host and port reaches it. The word says
    /// which.
    Private(&'static str),
    /// Refused always. The word says why.
    Never(&'static str),
}

/// Names of metadata services, whose answers hold credentials. A name beneath one counts too.
const METADATA_NAMES: [&str; 7] = [
    "metadata.google.internal",
    "metadata.goog",
    "metadata",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata.azure.internal",
    "metadata.platformequinix.com",
];

/// Whether a name in lower case is that of a metadata service.
pub fn is_metadata_name(host: &str) -> bool {
    METADATA_NAMES
        .iter()
        .any(|name| host.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.')))
}

/// The address that is really meant: a v4 one where it was only mapped into v6.
pub fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// What an address is.
pub fn kind(address: IpAddr) -> Kind {
    match canonical(address) {
        IpAddr::V4(address) => kind_v4(address),
        IpAddr::V6(address) => kind_v6(address),
    }
}

fn kind_v4(address: Ipv4Addr) -> Kind {
    match address.octets() {
        // The link-local addresses at which clouds answer, and those they took elsewhere (Alibaba, Oracle, Azure).
        [169, 254, 169 | 170, _] | [100, 100, 100, 200] | [192, 0, 0, 192] | [168, 63, 129, 16] => {
            Kind::Never("the address of a metadata service")
        }
        [0, ..] => Kind::Never("the unspecified address"),
        [255, 255, 255, 255] => Kind::Never("the broadcast address"),
        [224..=239, ..] => Kind::Never("a multicast address"),
        [127, ..] => Kind::Private("a loopback address"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Kind::Private("a private address"),
        [169, 254, ..] => Kind::Private("a link-local address"),
        [100, 64..=127, ..] => Kind::Private("an address of a carrier's own network"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Kind::Private("an address of documentation"),
        [198, 18 | 19, ..] => Kind::Private("an address of benchmarks"),
        [192, 0, 0, _] | [192, 88, 99, _] | [240..=255, ..] => Kind::Private("a reserved address"),
        _others => Kind::Public,
    }
}

fn kind_v6(address: Ipv6Addr) -> Kind {
    let part = address.segments();
    let inside = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match part {
        [0, 0, 0, 0, 0, 0, 0, 0] => Kind::Never("the unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Kind::Private("a loopback address"),
        // Amazon's two and Google's.
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254 | 0x23] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => {
            Kind::Never("the address of a metadata service")
        }
        [0xff00..=0xffff, ..] => Kind::Never("a multicast address"),
        // v4-compatible, and the older form of v4-mapped for translators.
        [0, 0, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => carried(&[inside(high, low)]),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => carried(&[inside(high, low)]),
        // Whoever runs such a translator chose where in the address the v4 one stands.
        [0x64, 0xff9b, 1, ..] => Kind::Never("an address of a local translator"),
        [0x2002, high, low, ..] => carried(&[inside(high, low)]),
        [0x2001, 0, server_high, server_low, _, _, high, low] => {
            carried(&[inside(server_high, server_low), inside(!high, !low)])
        }
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => carried(&[inside(high, low)]),
        [0xfc00..=0xfdff, ..] => Kind::Private("a private address"),
        [0xfe80..=0xfebf, ..] => Kind::Private("a link-local address"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Kind::Private("an address of documentation"),
        [0x2001, 2, 0, ..] => Kind::Private("an address of benchmarks"),
        [0x2001, 0..=0x1ff, ..] => Kind::Private("a reserved address"),
        [0x2000..=0x3fff, ..] => Kind::Public,
        _others => Kind::Private("a reserved address"),
    }
}

/// What an address is that carries others. Nobody needs a tunnel to a private network under a grant that can name the
/// address itself.
fn carried(inside: &[Ipv4Addr]) -> Kind {
    let all_public = inside.iter().all(|address| kind_v4(*address) == Kind::Public);
    if all_public { Kind::Public } else { Kind::Never("it carries an address that is not public") }
}

/// What a name stands for, judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Addresses that may be connected to, in the order they came in.
    pub allowed: Vec<IpAddr>,
    /// The others, and why.
    pub refused: Vec<(IpAddr, &'static str)>,
}

/// How closely a grant names a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// By exactly this host and port.
    Exactly,
    /// By a pattern that it is beneath.
    Broadly,
}

/// Judges all addresses of one host. A name that is public and private at once is how rebinding looks: its private
/// addresses are refused under an exact grant too.
pub fn judge(addresses: &[IpAddr], named: Named) -> Judged {
    let is_public = |address: &IpAddr| kind(*address) == Kind::Public;
    let some_public = addresses.iter().any(is_public);
    let mut judged = Judged::default();
    for address in addresses.iter().map(|address| canonical(*address)) {
        match (kind(address), named) {
            (Kind::Public, _) => judged.allowed.push(address),
            (Kind::Private(_), Named::Exactly) if !some_public => judged.allowed.push(address),
            (Kind::Private(why) | Kind::Never(why), _) => judged.refused.push((address, why)),
        }
    }
    judged
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Kind, Named, is_metadata_name, judge, kind};

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn what_each_address_is() {
        for text in ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert_eq!(kind(address(text)), Kind::Public, "{text}");
        }
        for text in ["64:ff9b::808:808", "2002:808:808::1", "2001:0:808:808::f7f7:f7f7"] {
            assert_eq!(kind(address(text)), Kind::Public, "{text}");
        }
        for text in [
            "127.0.0.1",
            "127.255.0.9",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.2.1",
            "198.51.100.7",
            "203.0.113.9",
            "198.18.0.1",
            "198.19.255.1",
            "192.0.0.8",
            "240.0.0.1",
            "::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "2001:db8::1",
            "3fff::1",
            "2001:2::1",
            "2001:10::1",
            "100::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "5f00::1",
        ] {
            assert!(matches!(kind(address(text)), Kind::Private(_)), "{text}: {:?}", kind(address(text)));
        }
        for text in [
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
            "0.0.0.0",
            "0.1.2.3",
            "255.255.255.255",
            "224.0.0.1",
            "239.255.255.250",
            "::",
            "ff02::1",
            "::127.0.0.1",
            "::a9fe:a9fe",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::808:808",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::",
            "2001:0:808:808::80ff:fffe",
            "2001:0:7f00:1::f7f7:f7f7",
            "::ffff:0:127.0.0.1",
            "2606:4700::5efe:a00:1",
        ] {
            assert!(matches!(kind(address(text)), Kind::Never(_)), "{text}: {:?}", kind(address(text)));
        }
    }

    #[test]
    fn names_of_metadata_services() {
        for name in ["metadata.google.internal", "x.metadata.google.internal", "metadata", "instance-data"] {
            assert!(is_metadata_name(name), "{name}");
        }
        for name in ["google.com", "mymetadata", "metadata.example.org", "internal"] {
            assert!(!is_metadata_name(name), "{name}");
        }
    }

    #[test]
    fn mixed_sets_lose_what_is_refused() {
        let mixed = ["8.8.8.8", "127.0.0.1", "169.254.169.254"].map(address);
        for named in [Named::Exactly, Named::Broadly] {
            let judged = judge(&mixed, named);
            assert_eq!(judged.allowed, [address("8.8.8.8")]);
            assert_eq!(judged.refused.len(), 2);
        }
        let private = ["::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254"].map(address);
        let exact = judge(&private, Named::Exactly);
        assert_eq!(exact.allowed, ["127.0.0.1", "10.0.0.1"].map(address));
        assert_eq!(exact.refused, [(address("169.254.169.254"), "the address of a metadata service")]);
        assert!(judge(&private, Named::Broadly).allowed.is_empty());
    }
}
