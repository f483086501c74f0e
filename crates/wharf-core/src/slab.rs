//! Buffers of equal size for many streams at a time, given back to the system when they are free.
//!
//! The allocator keeps most of what thousands of small buffers took. These are pieces of slabs, each
//! a mapping of its own, which ends when all of its pieces are free.

use bytes::{Bytes, BytesMut};

use crate::sync::Lock;

/// Bytes of a piece.
pub(crate) const PIECE: usize = 32 << 10;
/// Bytes of a slab: more than any allocator keeps in its heap. Pages are taken when they are used.
const SLAB: usize = 33 << 20;
/// A slab that used no more pieces than this stays for the next stream.
const FEW: usize = 64;

static SLABS: Slabs = Slabs::new();

/// A buffer of `length` bytes, at most [`PIECE`], with any content.
pub(crate) fn piece(length: usize) -> Piece {
    SLABS.take(length)
}

/// Slabs in the order of their numbers. The oldest is used first, so that others become free.
#[derive(Debug)]
struct Slabs(Lock<Vec<Slab>>);

#[derive(Debug)]
struct Slab {
    number: u64,
    /// What was never used.
    rest: BytesMut,
    free: Vec<BytesMut>,
    used: usize,
}

impl Slabs {
    const fn new() -> Self {
        Slabs(Lock::new(Vec::new()))
    }

    fn take(&'static self, length: usize) -> Piece {
        let mut slabs = self.0.lock();
        let found = slabs.iter().position(Slab::has_room);
        let at = found.unwrap_or_else(|| {
            let number = slabs.last().map_or(0, |last| last.number + 1);
            slabs.push(Slab::new(number));
            slabs.len() - 1
        });
        let (number, buffer) = match slabs.get_mut(at) {
            Some(slab) => (slab.number, slab.take()),
            None => (0, BytesMut::zeroed(PIECE)),
        };
        Piece {
            length: length.min(buffer.len()),
            buffer,
            number,
            slabs: self,
        }
    }

    fn give_back(&self, number: u64, buffer: BytesMut) {
        let mut slabs = self.0.lock();
        let Some(at) = slabs.iter().position(|slab| slab.number == number) else {
            return;
        };
        let emptied = slabs.get_mut(at).is_some_and(|slab| {
            slab.free.push(buffer);
            slab.free.len() == slab.used && slab.used > FEW
        });
        if emptied {
            let slab = slabs.remove(at);
            drop(slabs);
            // Unmapping takes a while.
            drop(slab);
        }
    }
}

impl Slab {
    fn new(number: u64) -> Self {
        Slab {
            number,
            rest: BytesMut::zeroed(SLAB),
            free: Vec::new(),
            used: 0,
        }
    }

    fn has_room(&self) -> bool {
        !self.free.is_empty() || self.rest.len() >= PIECE
    }

    fn take(&mut self) -> BytesMut {
        self.free.pop().unwrap_or_else(|| {
            self.used += 1;
            self.rest.split_to(PIECE.min(self.rest.len()))
        })
    }
}

/// A buffer, free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Piece {
    buffer: BytesMut,
    length: usize,
    number: u64,
    slabs: &'static Slabs,
}

impl Piece {
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }
}

impl AsMut<[u8]> for Piece {
    fn as_mut(&mut self) -> &mut [u8] {
        self.buffer.get_mut(..self.length).unwrap_or_default()
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        self.slabs.give_back(self.number, buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_a9_slabs_end_when_their_pieces_are_free() {
        static SLABS: Slabs = Slabs::new();
        let numbers = || -> Vec<u64> { SLABS.0.lock().iter().map(|slab| slab.number).collect() };
        let first = SLABS.take(7).freeze();
        assert_eq!(first.len(), 7);
        let mut pieces: Vec<Bytes> = (0..SLAB / PIECE)
            .map(|_| SLABS.take(PIECE).freeze())
            .collect();
        assert_eq!(numbers(), [0, 1]);
        // A piece that is free is used again.
        pieces.truncate(SLAB / PIECE - 200);
        assert_eq!(SLABS.take(PIECE).number, 0);
        drop(pieces);
        drop(first);
        assert!(numbers().len() <= 1);
    }

    #[test]
    fn pieces_do_not_share_bytes() {
        let mut pieces: Vec<Piece> = (0..10).map(|_| piece(100)).collect();
        for (number, piece) in (0..).zip(&mut pieces) {
            piece.as_mut().fill(number);
        }
        for (number, piece) in (0..).zip(pieces) {
            assert_eq!(piece.freeze(), vec![number; 100]);
        }
    }
}
