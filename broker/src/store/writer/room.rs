//! How much room roles and connections have left, as the last count said: thousands of live leases are not counted again with every
//! batch, which all other exchanges wait for.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::columns::Leases;

/// How long a count is believed.
const FRESH: Duration = Duration::from_secs(1);
/// One process fills this part of what was free before it counts again. Others do the same meanwhile.
const PART: i64 = 16;
/// Less than this is not remembered: what is nearly full is counted every time, and so is every small quota.
const WORTH: i64 = 64;

/// What has leases and a bound on them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Role(String),
    Connection(String),
}

/// What one process may still make without counting.
#[derive(Debug)]
struct Left {
    most: i64,
    count: i64,
    until: Instant,
}

/// What is known of places.
#[derive(Debug, Default)]
pub(super) struct Room(HashMap<Place, Left>);

/// The leases that a batch wants of one place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    most: i64,
    count: i64,
}

impl Room {
    /// Takes the bounds off those leases that surely have room; what is left has to be counted.
    pub(super) fn spare(&mut self, leases: &mut Leases<'_>, now: Instant) -> HashMap<Place, Wanted> {
        let mut wanted: HashMap<Place, Wanted> = HashMap::new();
        for (place, most) in places(leases) {
            let of_place = wanted.entry(place).or_insert(Wanted { most, count: 0 });
            of_place.most = of_place.most.min(most);
            of_place.count = of_place.count.saturating_add(1);
        }
        wanted.retain(|place, wanted| !self.take(place, wanted, now));
        for (role, most) in leases.role.iter().zip(&mut leases.most) {
            *most = most.filter(|_| wanted.contains_key(&Place::Role((*role).to_owned())));
        }
        for (connection, most) in leases.connection.iter().zip(&mut leases.most_of_connection) {
            let is_wanted = |name: &str| wanted.contains_key(&Place::Connection(name.to_owned()));
            *most = most.filter(|_| connection.is_some_and(is_wanted));
        }
        wanted
    }

    fn take(&mut self, place: &Place, wanted: &Wanted, now: Instant) -> bool {
        let Some(left) = self.0.get_mut(place) else { return false };
        let enough = left.until > now && left.most == wanted.most && left.count >= wanted.count;
        if enough {
            left.count = left.count.saturating_sub(wanted.count);
        }
        enough
    }

    /// `live` were counted before those that the batch wanted were made.
    pub(super) fn counted(&mut self, place: Place, live: i64, wanted: &Wanted, now: Instant) {
        let count = wanted.most.saturating_sub(live).saturating_sub(wanted.count) / PART;
        self.0.retain(|_, left| left.until > now);
        if count >= WORTH {
            self.0.insert(place, Left { most: wanted.most, count, until: now + FRESH });
        } else {
            self.0.remove(&place);
        }
    }
}

fn places<'a>(leases: &'a Leases<'_>) -> impl Iterator<Item = (Place, i64)> + 'a {
    let roles = leases.role.iter().zip(&leases.most);
    let roles = roles.filter_map(|(role, most)| Some((Place::Role((*role).to_owned()), (*most)?)));
    let connections = leases.connection.iter().zip(&leases.most_of_connection);
    let connections = connections.filter_map(|(name, most)| Some((Place::Connection((*name)?.to_owned()), (*most)?)));
    roles.chain(connections)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(count: usize, most: i64) -> Leases<'static> {
        Leases {
            role: vec!["deploy"; count],
            most: vec![Some(most); count],
            connection: vec![None; count],
            most_of_connection: vec![None; count],
            ..Leases::default()
        }
    }

    fn role() -> Place {
        Place::Role("deploy".to_owned())
    }

    #[test]
    fn counts_again_when_its_part_of_the_room_is_used_up_or_a_second_is_over() {
        let (mut room, now) = (Room::default(), Instant::now());
        let mut first = batch(1, 5_000);
        let wanted = room.spare(&mut first, now);
        assert_eq!((wanted.len(), first.most), (1, vec![Some(5_000)]), "nothing is known yet");
        room.counted(role(), 1_000, &wanted[&role()], now);

        // (5000 - 1000 - 1) / 16 = 249
        for _ in 0..3 {
            let mut more = batch(83, 5_000);
            assert!(room.spare(&mut more, now).is_empty());
            assert_eq!(more.most, vec![None; 83]);
        }
        let mut one = batch(1, 5_000);
        assert_eq!(room.spare(&mut one, now).len(), 1, "its part is used up");

        room.counted(role(), 1_249, &Wanted { most: 5_000, count: 1 }, now);
        assert!(room.spare(&mut batch(1, 5_000), now).is_empty());
        assert_eq!(room.spare(&mut batch(1, 5_000), now + FRESH).len(), 1, "the count is old");
    }

    #[test]
    fn counts_whatever_is_small_nearly_full_or_has_another_bound_than_before() {
        let (mut room, now) = (Room::default(), Instant::now());
        for (most, live) in [(20, 0), (1_000, 0), (5_000, 4_200)] {
            room.counted(role(), live, &Wanted { most, count: 1 }, now);
            assert_eq!(room.spare(&mut batch(1, most), now).len(), 1, "{live} of {most}");
        }
        room.counted(role(), 0, &Wanted { most: 5_000, count: 1 }, now);
        assert_eq!(room.spare(&mut batch(1, 3_000), now).len(), 1, "the bound was lowered");
    }
}
