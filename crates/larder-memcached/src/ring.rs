//! Which server has a name: consistent hashing, as ketama does it.
//!
//! Each server marks 160 points for each of its weight on a ring of 2^32, where the digests of its
//! text followed by `-0`, `-1`, … fall. A route belongs to the server of the next point, so a server
//! that comes or goes moves only the routes that it gets or had.

use xxhash_rust::xxh3::xxh3_64;

/// Points of a server of weight 1.
const POINTS: u32 = 160;

/// A server as the ring knows it: its text and its weight.
pub(crate) type Member = (String, u32);

#[derive(Debug)]
pub(crate) struct Ring {
    /// Where each point lies and whose it is, in their order.
    points: Vec<(u32, usize)>,
    /// A route into each server.
    homes: Vec<u32>,
    division: Vec<u8>,
}

impl Ring {
    /// A ring of these servers, which differ in their texts; at least one.
    pub(crate) fn new(members: &[Member]) -> Self {
        let mut points = Vec::new();
        for (server, (text, weight)) in members.iter().enumerate() {
            let numbers = 0..POINTS * weight;
            points.extend(numbers.map(|number| (point(text, number), server)));
        }
        // Where two servers have one point, the order of their texts decides in every process.
        points.sort_unstable_by_key(|&(point, server)| (point, &members[server].0));
        points.dedup_by_key(|(point, _)| *point);
        let home = |server| {
            let mut own = points.iter().filter(|(_, owner)| *owner == server);
            own.next().map_or(0, |(point, _)| *point)
        };
        let mut texts: Vec<&Member> = members.iter().collect();
        texts.sort_unstable();
        let text: String = texts
            .iter()
            .map(|(text, weight)| format!("{text}*{weight}\n"))
            .collect();
        Self {
            homes: (0..members.len()).map(home).collect(),
            division: format!("{:016x}", xxh3_64(text.as_bytes())).into_bytes(),
            points,
        }
    }

    /// The server that a route leads to.
    pub(crate) fn server(&self, route: u32) -> usize {
        if self.homes.len() == 1 {
            return 0;
        }
        let next = self.points.partition_point(|(point, _)| *point < route);
        // Behind the last point the ring begins anew.
        let next = self.points.get(next).or(self.points.first());
        next.map_or(0, |(_, server)| *server)
    }

    /// A route into each server.
    pub(crate) fn homes(&self) -> &[u32] {
        &self.homes
    }

    /// A name for this list of servers, in whatever order it is.
    pub(crate) fn division(&self) -> &[u8] {
        &self.division
    }
}

fn point(text: &str, number: u32) -> u32 {
    (xxh3_64(format!("{text}-{number}").as_bytes()) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::{Member, Ring};

    fn members(names: &[(&str, u32)]) -> Vec<Member> {
        let members = names.iter();
        members
            .map(|&(name, weight)| (name.into(), weight))
            .collect()
    }

    /// How many of evenly spread routes lead to each server.
    fn shares(ring: &Ring) -> Vec<usize> {
        let mut shares = vec![0; ring.homes().len()];
        (0..100_000).for_each(|step: u32| shares[ring.server(step * 42_949)] += 1);
        shares
    }

    #[test]
    fn weights_are_shares() {
        let ring = Ring::new(&members(&[("a:1", 1), ("b:1", 3), ("c:1", 1)]));
        let shares = shares(&ring);
        for (share, expected) in shares.iter().zip([20_000, 60_000, 20_000]) {
            assert!(share.abs_diff(expected) < expected / 3, "{shares:?}");
        }
    }

    #[test]
    fn homes_are_at_home() {
        let ring = Ring::new(&members(&[("a:1", 1), ("b:1", 2), ("/s", 1)]));
        for (server, home) in ring.homes().iter().enumerate() {
            assert_eq!(ring.server(*home), server);
        }
        assert_eq!(ring.server(u32::MAX), ring.server(0), "the ring is closed");
    }

    #[test]
    fn a_new_server_takes_and_moves_nothing_else() {
        let old = Ring::new(&members(&[("a:1", 1), ("b:1", 1)]));
        let new = Ring::new(&members(&[("a:1", 1), ("b:1", 1), ("c:1", 1)]));
        for step in 0..100_000 {
            let route = step * 42_949;
            assert!([old.server(route), 2].contains(&new.server(route)));
        }
        assert_ne!(old.division(), new.division());
    }

    #[test]
    fn the_order_of_the_list_is_nothing() {
        let one = members(&[("a:1", 1), ("b:1", 2), ("c:1", 1)]);
        let mut two = one.clone();
        two.reverse();
        let (ring, turned) = (Ring::new(&one), Ring::new(&two));
        assert_eq!(ring.division(), turned.division());
        for step in 0..10_000 {
            let route = step * 429_496;
            assert_eq!(one[ring.server(route)], two[turned.server(route)]);
        }
        let heavier = Ring::new(&members(&[("a:1", 2), ("b:1", 2), ("c:1", 1)]));
        assert_ne!(ring.division(), heavier.division());
    }
}
