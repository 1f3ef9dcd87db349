//! How many places each address has taken, so that one client cannot take them all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Places taken, by address; addresses without any are not kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Guests(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One place.
#[derive(Debug)]
pub(super) struct Guest {
    guests: Guests,
    address: IpAddr,
}

impl Guests {
    /// Gives one more place, unless the address has as many as it may.
    pub(super) fn admit(&self, address: IpAddr, most: usize) -> Option<Guest> {
        let address = household(address);
        let mut counts = self.counts();
        let open = counts.entry(address).or_default();
        if *open >= most {
            return None;
        }
        *open += 1;
        Some(Guest { guests: self.clone(), address })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut counts = self.guests.counts();
        if let Some(open) = counts.get_mut(&self.address) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// One client may have a whole /64 of IPv6 to itself; an IPv4 address counts as such however it is written.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_and_gets_its_places_back() {
        let (guests, here, there) = (Guests::default(), "10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let first = guests.admit(here, 2).unwrap();
        let _second = guests.admit("::ffff:10.0.0.1".parse().unwrap(), 2).unwrap();
        assert!(guests.admit(here, 2).is_none());
        drop(guests.admit(there, 2).unwrap());
        drop(first);
        let _third = guests.admit(here, 2).unwrap();
        assert_eq!(guests.counts().len(), 1, "who has nothing open is forgotten");
    }

    #[test]
    fn a_network_of_one_client_counts_as_one() {
        let guests = Guests::default();
        let _one = guests.admit("2001:db8::1".parse().unwrap(), 1).unwrap();
        assert!(guests.admit("2001:db8::ffff:1".parse().unwrap(), 1).is_none());
        assert!(guests.admit("2001:db8:0:1::1".parse().unwrap(), 1).is_some());
    }
}
