//! Which addresses may be talked to. What is not known to be public is not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::OutboundError;

/// How far a request may reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses only.
    #[default]
    Public,
    /// Private networks and this machine too, for issuers marked internal. Metadata services and other link-local
    /// addresses stay out of reach.
    Private,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Public,
    Private,
    Never,
}

impl Reach {
    /// Says no to an address that is out of reach.
    pub(super) fn check(self, address: IpAddr) -> Result<(), OutboundError> {
        match (kind(address), self) {
            (Kind::Public, _) | (Kind::Private, Self::Private) => Ok(()),
            (Kind::Private, Self::Public) => Err(OutboundError::Private(address)),
            (Kind::Never, _) => Err(OutboundError::Forbidden(address)),
        }
    }
}

fn kind(address: IpAddr) -> Kind {
    match address {
        IpAddr::V4(address) => kind_v4(address),
        IpAddr::V6(address) => kind_v6(address),
    }
}

fn kind_v4(address: Ipv4Addr) -> Kind {
    match address.octets() {
        // This network, link-local with the clouds' metadata services, multicast, reserved and broadcast; Alibaba's
        // metadata service inside the carriers' range; protocol assignments with Oracle's old one, documentation, the
        // old 6to4 relay.
        [0 | 224..=255, ..]
        | [169, 254, ..]
        | [100, 100, 100, 200]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Kind::Never,
        // This machine, private networks, carriers' networks, benchmarks.
        [10 | 127, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [198, 18 | 19, ..] => Kind::Private,
        _ => Kind::Public,
    }
}

fn kind_v6(address: Ipv6Addr) -> Kind {
    /// The metadata service of AWS, inside the private range.
    const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    if address == METADATA {
        return Kind::Never;
    }
    match address.segments() {
        // An IPv4 address in another coat: mapped, translated (NAT64), tunnelled (6to4).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            kind_v4(Ipv4Addr::new(a, b, c, d))
        }
        [0, 0, 0, 0, 0, 0, 0, 1] | [0xfc00..=0xfdff, ..] => Kind::Private,
        // What is unicast, but for Teredo and other protocol assignments, and documentation.
        [0x2000 | 0x2003..=0x3ffe, ..] | [0x2001, 0x200..=0xdb7 | 0xdb9..=0xffff, ..] | [0x3fff, 0x1000..=0xffff, ..] => {
            Kind::Public
        }
        _ => Kind::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(text: &str) -> &'static str {
        match kind(text.parse().unwrap()) {
            Kind::Public => "public",
            Kind::Private => "private",
            Kind::Never => "never",
        }
    }

    #[test]
    fn tells_public_from_private_and_forbidden_addresses() {
        for public in ["1.1.1.1", "140.82.112.3", "172.15.0.1", "172.32.0.1", "100.63.0.1", "2606:4700::1", "::ffff:8.8.8.8"] {
            assert_eq!(kind_of(public), "public", "{public}");
        }
        let private = [
            "127.0.0.1",
            "127.8.9.1",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "::1",
            "fc00::1",
            "fd12:3456::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
        ];
        for private in private {
            assert_eq!(kind_of(private), "private", "{private}");
        }
        let never = [
            "0.0.0.0",
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "192.0.0.192",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "::",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "fd00:ec2::254",
            "2001:db8::1",
            "2001::1",
            "::ffff:169.254.169.254",
            "::ffff:0.0.0.0",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "::7f00:1",
            "100::1",
        ];
        for never in never {
            assert_eq!(kind_of(never), "never", "{never}");
        }
    }

    #[test]
    fn private_reach_does_not_open_the_metadata_services() {
        assert!(Reach::Private.check("10.1.2.3".parse().unwrap()).is_ok());
        assert!(Reach::Public.check("10.1.2.3".parse().unwrap()).is_err());
        assert!(Reach::Private.check("169.254.169.254".parse().unwrap()).is_err());
        assert!(Reach::Private.check("fd00:ec2::254".parse().unwrap()).is_err());
    }
}
