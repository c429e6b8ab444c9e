//! Which of the Cluster's slots a name lies in.

/// How many slots there are.
pub(super) const SLOTS: usize = 16384;

/// The slot of a name: that of the first text in braces, where there is some, else that of all of it.
pub(super) fn slot(name: &[u8]) -> u16 {
    let position = |sign: u8, text: &[u8]| text.iter().position(|&byte| byte == sign);
    let tag = position(b'{', name).and_then(|open| {
        let behind = &name[open + 1..];
        let close = position(b'}', behind).filter(|&close| close > 0)?;
        Some(&behind[..close])
    });
    crc16(tag.unwrap_or(name)) % SLOTS as u16
}

/// CRC-16 as the Cluster has it: the polynomial of XMODEM, from 0 on.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| {
            if crc & 0x8000 == 0 {
                crc << 1
            } else {
                crc << 1 ^ 0x1021
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use larder_core::store::BUCKETS;

    use super::{SLOTS, crc16, slot};

    #[test]
    fn slots_are_those_of_the_cluster() {
        // The check value of the specification, and what a server has said of the others.
        assert_eq!(crc16(b"123456789"), 0x31c3);
        for (name, expected) in [
            (&b"foo"[..], 12182),
            (b"{foo}bar", 12182),
            (b"x{foo}{bar}", 12182),
            (b"foo{}{bar}", 8363),
            (b"foo{{bar}}zap", 4015),
        ] {
            assert_eq!(slot(name), expected, "{}", name.escape_ascii());
        }
    }

    #[test]
    fn buckets_are_spread_over_the_slots() {
        let of = |bucket: u32| usize::from(slot(format!("n{{{bucket:03x}}}").as_bytes()));
        for nodes in [2, 3, 5, 8, 16] {
            let mut shares = vec![0; nodes];
            (0..BUCKETS).for_each(|bucket| shares[of(bucket) * nodes / SLOTS] += 1);
            let fair = BUCKETS as usize / nodes;
            let is_fair = |&share: &usize| share > fair * 3 / 4 && share < fair * 5 / 4;
            assert!(shares.iter().all(is_fair), "{shares:?}");
        }
    }
}
