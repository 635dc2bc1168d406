//! The partition of a new conversation.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Gives new conversations their partitions: so many in a row get the same one, and the next ones get the next one.
///
/// Commits to one partition that wait for each other share a transaction. So conversations that one process schedules at
/// about the same time cost few transactions, and each partition still gets its share of them. An idempotency key or a
/// name decides itself on the partition.
#[derive(Debug)]
pub(super) struct Placement(AtomicUsize);

impl Placement {
    /// So many conversations get the same partition in a row. A transaction has room for 33 conversations of three rows.
    const IN_A_ROW: usize = 32;
    const PARTITIONS: usize = 16;

    /// Begins at a random place, so that processes that start together do not fill the same partitions together.
    pub(super) const fn new(random: [u8; 2]) -> Self {
        Self(AtomicUsize::new(u16::from_be_bytes(random) as usize))
    }

    /// The partition of the next conversation, 0 to 15.
    pub(super) fn next(&self) -> u8 {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        u8::try_from(number / Self::IN_A_ROW % Self::PARTITIONS).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_gets_its_share_in_one_piece() {
        let placement = Placement::new([0xab, 0xcd]);
        let first = placement.next();
        let rest_of_first = std::iter::repeat_with(|| placement.next()).take_while(|next| *next == first).count();
        assert!(rest_of_first < Placement::IN_A_ROW, "the first piece has {rest_of_first} more");
        // One of the second piece was taken to see the end of the first.
        let second = (first + 1) % 16;
        for _ in 1..Placement::IN_A_ROW {
            assert_eq!(placement.next(), second);
        }
        for piece in 2..40 {
            for _ in 0..Placement::IN_A_ROW {
                assert_eq!(placement.next(), (first + piece) % 16);
            }
        }
    }

    #[test]
    fn processes_begin_at_different_partitions_and_the_count_may_wrap() {
        assert_ne!(Placement::new([0, 0]).next(), Placement::new([0, 0x20]).next());
        let at_the_end = Placement(AtomicUsize::new(usize::MAX));
        assert_eq!([at_the_end.next(), at_the_end.next()], [15, 0]);
    }
}
