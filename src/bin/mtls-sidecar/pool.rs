//! Buffers that a thread's connections share: a connection that has nothing to carry holds none.

use std::cell::RefCell;

/// Bytes of a buffer: four TLS records, so that one write to a socket carries several.
pub(crate) const SIZE: usize = 64 * 1024;

/// The most buffers that a thread keeps for later.
const KEPT: usize = 64;

thread_local! {
    static FREE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes in order of arrival, in a buffer that is there only while there are any.
#[derive(Debug, Default)]
pub(crate) struct Bytes {
    buffer: Option<Box<[u8]>>,
    start: usize,
    end: usize,
}

impl Bytes {
    /// What has not been taken.
    pub(crate) fn filled(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], |buffer| &buffer[self.start..self.end])
    }

    /// Room behind it; empty when the buffer's end is reached.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        let buffer = self.buffer.get_or_insert_with(|| {
            FREE.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; SIZE].into_boxed_slice())
        });
        &mut buffer[self.end..]
    }

    pub(crate) fn is_full(&self) -> bool {
        self.end == SIZE
    }

    /// Adds the first `n` bytes of the room.
    pub(crate) fn add(&mut self, n: usize) {
        self.end += n;
        assert!(self.end <= SIZE, "a reader filled more than it was given");
    }

    /// Takes `n` bytes away.
    pub(crate) fn take(&mut self, n: usize) {
        self.start += n;
        assert!(self.start <= self.end, "a writer took more than it was given");
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Gives an empty buffer back.
    pub(crate) fn release(&mut self) {
        if self.start == self.end
            && let Some(buffer) = self.buffer.take()
        {
            (self.start, self.end) = (0, 0);
            FREE.with_borrow_mut(|free| {
                if free.len() < KEPT {
                    free.push(buffer);
                }
            });
        }
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        (self.start, self.end) = (0, 0);
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in_and_buffers_are_used_again() {
        let mut bytes = Bytes::default();
        bytes.room()[..5].copy_from_slice(b"hello");
        let address = bytes.filled().as_ptr();
        bytes.add(5);
        bytes.take(2);
        assert_eq!(bytes.filled(), b"llo");
        bytes.release();
        assert_eq!(bytes.filled(), b"llo", "what is not taken is kept");
        bytes.take(3);
        bytes.release();
        assert_eq!(bytes.filled(), b"");
        let mut other = Bytes::default();
        assert_eq!(other.room().len(), SIZE);
        assert_eq!(other.filled().as_ptr(), address);
        other.add(SIZE);
        assert!(other.is_full());
    }
}
