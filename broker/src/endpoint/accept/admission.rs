//! How many may be connected: the one place where connections of the clients' port are counted.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use ahash::HashMap;
use parking_lot::Mutex;

use crate::{config::Limits, metrics::Rejection};

/// The part of all handshakes that one address may have, where addresses are counted: one in so many.
const SHARE: usize = 8;

/// Counts connections from their first byte on, and clients, against the limits. Zero is no limit.
pub struct Admission {
    connections: usize,
    per_address: usize,
    handshakes: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    connections: usize,
    handshakes: usize,
    /// Only where there is a limit for it; an address is in it as long as something of it is counted.
    addresses: HashMap<IpAddr, OfAddress>,
}

#[derive(Default)]
struct OfAddress {
    connections: usize,
    handshakes: usize,
}

/// A connection that has not sent the head of a request yet; it counts until this is dropped.
pub struct Handshake {
    admission: Arc<Admission>,
    address: Option<IpAddr>,
}

/// A client's place; it is taken until this is dropped.
pub struct Place {
    admission: Arc<Admission>,
    address: Option<IpAddr>,
}

impl Admission {
    /// Nobody is here yet.
    pub fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            connections: limits.connections,
            per_address: limits.connections_per_address,
            handshakes: limits.handshakes,
            held: Mutex::default(),
        })
    }

    /// A connection has come. When there are too many that have not said anything yet it is refused: those that
    /// are there were first, and have their time to go on.
    pub fn begin(self: &Arc<Self>) -> Result<Handshake, Rejection> {
        let mut held = self.held.lock();
        if is_reached(self.handshakes, held.handshakes) {
            return Err(Rejection::HandshakeLimit);
        }
        held.handshakes += 1;
        Ok(Handshake { admission: self.clone(), address: None })
    }

    /// A client has come from this address.
    pub fn connect(self: &Arc<Self>, from: IpAddr) -> Result<Place, Rejection> {
        let mut held = self.held.lock();
        if is_reached(self.connections, held.connections) {
            return Err(Rejection::ConnectionLimit);
        }
        let address = self.counted(from);
        if let Some(address) = address {
            let of_address = held.addresses.entry(address).or_default();
            if is_reached(self.per_address, of_address.connections) {
                return Err(Rejection::AddressLimit);
            }
            of_address.connections += 1;
        }
        held.connections += 1;
        Ok(Place { admission: self.clone(), address })
    }

    /// What the address is counted as, if addresses are counted. Who has one of IPv6 has at least 2⁶⁴ of them.
    fn counted(&self, address: IpAddr) -> Option<IpAddr> {
        (self.per_address > 0).then(|| match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        })
    }
}

fn is_reached(limit: usize, count: usize) -> bool {
    limit > 0 && count >= limit
}

impl Held {
    /// Something of the address is not counted any more.
    fn forget(&mut self, address: Option<IpAddr>, less: impl FnOnce(&mut OfAddress)) {
        let Some(address) = address else { return };
        let Some(of_address) = self.addresses.get_mut(&address) else { return };
        less(of_address);
        if of_address.connections == 0 && of_address.handshakes == 0 {
            self.addresses.remove(&address);
        }
    }
}

impl Handshake {
    /// It is known now where it comes from. Where addresses are counted, one alone must not take all: it may have its
    /// share of these, or as many as it may have clients.
    pub fn comes_from(&mut self, from: IpAddr) -> Result<(), Rejection> {
        let Some(address) = self.admission.counted(from) else { return Ok(()) };
        let mut held = self.admission.held.lock();
        let of_address = held.addresses.entry(address).or_default();
        let share = (self.admission.handshakes / SHARE).max(self.admission.per_address);
        if self.admission.handshakes > 0 && of_address.handshakes >= share {
            return Err(Rejection::AddressLimit);
        }
        of_address.handshakes += 1;
        self.address = Some(address);
        Ok(())
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut held = self.admission.held.lock();
        held.handshakes -= 1;
        held.forget(self.address, |of_address| of_address.handshakes -= 1);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.admission.held.lock();
        held.connections -= 1;
        held.forget(self.address, |of_address| of_address.connections -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(connections: usize, per_address: usize, handshakes: usize) -> Arc<Admission> {
        Admission::new(&Limits {
            connections,
            connections_per_address: per_address,
            handshakes,
            ..Limits::default()
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_newest_is_refused_and_a_place_can_be_taken_again() {
        let admission = admission(2, 0, 0);
        let first = admission.connect(ip("192.0.2.1")).unwrap();
        let _second = admission.connect(ip("192.0.2.1")).unwrap();
        assert_eq!(admission.connect(ip("192.0.2.2")).err(), Some(Rejection::ConnectionLimit));
        drop(first);
        assert!(admission.connect(ip("192.0.2.2")).is_ok());
    }

    #[test]
    fn an_address_of_ipv6_is_its_network() {
        let admission = admission(0, 1, 0);
        let _first = admission.connect(ip("2001:db8::1")).unwrap();
        assert_eq!(admission.connect(ip("2001:db8::ffff:1")).err(), Some(Rejection::AddressLimit));
        assert!(admission.connect(ip("2001:db8:0:1::1")).is_ok());
        let _fourth = admission.connect(ip("192.0.2.1")).unwrap();
        assert_eq!(admission.connect(ip("::ffff:192.0.2.1")).err(), Some(Rejection::AddressLimit));
        assert!(admission.connect(ip("192.0.2.2")).is_ok());
    }

    #[test]
    fn handshakes_are_bounded_together_and_by_address() {
        for (per_address, share) in [(1, 4), (4, 4), (10, 10)] {
            let admission = admission(0, per_address, 32);
            let mut begun: Vec<_> = (0..32).map(|_| admission.begin().unwrap()).collect();
            assert_eq!(admission.begin().err(), Some(Rejection::HandshakeLimit));
            for handshake in &mut begun[..share] {
                assert_eq!(handshake.comes_from(ip("192.0.2.1")), Ok(()));
            }
            assert_eq!(begun[share].comes_from(ip("192.0.2.1")), Err(Rejection::AddressLimit));
            assert_eq!(begun[share].comes_from(ip("192.0.2.2")), Ok(()));
            // Clients of the address are counted for themselves.
            let _place = admission.connect(ip("192.0.2.1")).unwrap();
            begun.remove(0);
            assert_eq!(admission.begin().unwrap().comes_from(ip("192.0.2.1")), Ok(()));
        }
    }

    #[test]
    fn without_a_limit_by_address_one_may_have_all() {
        let admission = admission(0, 0, 32);
        for handshake in &mut (0..32).map(|_| admission.begin().unwrap()).collect::<Vec<_>>() {
            assert_eq!(handshake.comes_from(ip("192.0.2.1")), Ok(()));
        }
    }

    #[test]
    fn nothing_is_left_of_those_who_went() {
        let admission = admission(1, 1, 1);
        for _ in 0..3 {
            let mut handshake = admission.begin().unwrap();
            handshake.comes_from(ip("2001:db8::1")).unwrap();
            let place = admission.connect(ip("2001:db8::1")).unwrap();
            drop(handshake);
            assert!(admission.connect(ip("2001:db8::1")).is_err());
            drop(place);
        }
        let held = admission.held.lock();
        assert_eq!((held.connections, held.handshakes, held.addresses.len()), (0, 0, 0));
    }

    #[test]
    fn zero_is_no_limit() {
        let admission = admission(0, 0, 0);
        let _begun: Vec<_> = (0..1000).map(|_| admission.begin().unwrap()).collect();
        let _places: Vec<_> = (0..1000).map(|_| admission.connect(ip("192.0.2.1")).unwrap()).collect();
    }
}
