//! Reading around damage.
//!
//! When the engine meets a damaged block, its iterator cannot go on, and may have dropped a row before the block. So
//! the place is bounded from both sides by trying other bounds, and the reading goes on behind it.

use std::iter::repeat;

use super::engine::{End, Engine, Value, printable};
use crate::store::StoreError;

/// The rows that can be read from a range of keys.
pub(super) struct Readable<'a> {
    engine: &'a Engine,
    to: &'a [u8],
    limit: usize,
    pub(super) rows: Vec<(fjall::Slice, Value)>,
    /// The places that cannot be read.
    pub(super) unreadable: Vec<String>,
}

impl<'a> Readable<'a> {
    /// Each try finds one bit of a bound. No key is longer than 128 bytes.
    const TRIES: usize = 1024;

    /// Reads up to `limit` rows from `from` to `to`.
    pub(super) fn read(engine: &'a Engine, from: &[u8], to: &'a [u8], limit: usize) -> Result<Self, StoreError> {
        let mut readable = Self { engine, to, limit, rows: Vec::new(), unreadable: Vec::new() };
        let mut from = from.to_vec();
        while let Some(next) = readable.read_on(&from)? {
            from = next;
        }
        Ok(readable)
    }

    /// Reads until the end or a damaged place; returns where to go on behind it.
    fn read_on(&mut self, from: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.take(from, self.to) {
            End::Reached => Ok(None),
            End::Failed(error) => Err(StoreError::Unavailable(error.into())),
            End::Damaged { key: Some(key), error } => {
                self.unreadable.push(format!("{} ({error})", printable(&key)));
                Ok(Some(after(&key)))
            }
            End::Damaged { key: None, error } => {
                let before = self.rows.last().map_or_else(|| from.to_vec(), |(key, _)| after(key));
                let (begin, _) =
                    self.edge(&before, |bound| is_readable(&self.engine.read(&before, bound, usize::MAX).end));
                // The last row before the place may have been dropped.
                self.take(&before, &begin);
                let (_, end) = self.edge(&begin, |bound| !is_readable(&self.engine.read(bound, self.to, 1).end));
                let (first, last) = (printable(&begin), printable(&end));
                self.unreadable.push(format!("the rows between {first} and {last} ({error})"));
                Ok((*end < *self.to).then_some(end))
            }
        }
    }

    /// Adds what can be read in this range.
    fn take(&mut self, from: &[u8], to: &[u8]) -> End {
        let stretch = self.engine.read(from, to, self.limit - self.rows.len());
        self.rows.extend(stretch.rows);
        stretch.end
    }

    /// Two bounds next to each other: `holds` is true for the first one and false for the second one. It must be true for
    /// `low` and false for the end of the range.
    fn edge(&self, low: &[u8], holds: impl Fn(&[u8]) -> bool) -> (Vec<u8>, Vec<u8>) {
        let (mut low, mut high) = (low.to_vec(), self.to.to_vec());
        for _ in 0..Self::TRIES {
            let Some(middle) = middle(&low, &high) else { break };
            if holds(&middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        (low, high)
    }
}

const fn is_readable(end: &End) -> bool {
    matches!(end, End::Reached)
}

/// The next key.
fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// A key about in the middle between two. `None` if the first one is not smaller, or differs only by zeros at its end.
fn middle(low: &[u8], high: &[u8]) -> Option<Vec<u8>> {
    let shared = low.iter().zip(high).take_while(|(a, b)| a == b).count();
    let length = low.len().max(high.len()) - shared + 1;
    let digits = |key: &[u8]| key.iter().skip(shared).copied().chain(repeat(0)).take(length).collect::<Vec<u8>>();
    let (low_digits, high_digits) = (digits(low), digits(high));
    // The sum, from its last digit on.
    let (mut carry, mut sum) = (0, Vec::with_capacity(length));
    for (a, b) in low_digits.iter().zip(&high_digits).rev() {
        let digit = u16::from(*a) + u16::from(*b) + carry;
        sum.push(digit % 256);
        carry = digit / 256;
    }
    // Half of it, from its first digit on.
    let (mut rest, mut half) = (carry, low.iter().take(shared).copied().collect::<Vec<u8>>());
    for digit in sum.iter().rev() {
        let digit = rest * 256 + digit;
        half.push(u8::try_from(digit / 2).unwrap_or(u8::MAX));
        rest = digit % 2;
    }
    while half.last() == Some(&0) {
        half.pop();
    }
    (half.as_slice() > low && half.as_slice() < high).then_some(half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_lies_between() {
        for (low, high) in [(&b"a"[..], &b"c"[..]), (b"a", b"b"), (b"", b"\xff\xff"), (b"k1", b"k1~x"), (b"ab", b"b")] {
            let found = middle(low, high).unwrap();
            assert!(low < &found[..] && &found[..] < high, "{low:?} {found:?} {high:?}");
        }
        assert_eq!(middle(b"b", b"a"), None);
        assert_eq!(middle(b"a", b"a"), None);
    }

    #[test]
    fn halving_finds_an_edge() {
        let (mut low, mut high) = (b"c\x00p\x00a".to_vec(), b"c\x00p\x00z".to_vec());
        let edge = b"c\x00p\x00m~alice~0190";
        for _ in 0..Readable::TRIES {
            let Some(middle) = middle(&low, &high) else { break };
            if middle.as_slice() < &edge[..] {
                low = middle;
            } else {
                high = middle;
            }
        }
        assert!(low.as_slice() < &edge[..] && high.starts_with(edge), "{low:?} {high:?}");
    }
}
