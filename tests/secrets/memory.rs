//! What is looked for in another process's memory, and where it is found.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// The number of little-endian bytes that is looked for at every address.
const WORD: usize = 8;

/// Digits of these many bits are looked for, too: kernels compute with some of them.
const RADIXES: std::ops::RangeInclusive<usize> = 48..=56;

/// Digits below this are no evidence.
const EVIDENCE: u64 = 1 << 40;

/// Parts of secrets, by their eight bytes.
#[derive(Default)]
pub(crate) struct Needles {
    parts: HashMap<u64, String>,
    /// Which values of [`Self::slot`] there are: most of memory needs no look at the map.
    slots: Vec<bool>,
}

impl Needles {
    /// Looks for `secret`, most significant byte first: its limbs in both orders of bytes, and its digits as
    /// integers and as doubles.
    pub(crate) fn number(&mut self, name: &str, secret: &[u8]) {
        self.bytes(name, secret);
        let mut little = secret.to_vec();
        little.reverse();
        self.bytes(&format!("limbs of {name}"), &little);
        for radix in RADIXES {
            for (i, digit) in digits(&little, radix).into_iter().enumerate().filter(|(_, d)| *d >= EVIDENCE) {
                self.part(digit, format!("digit {i} of {radix} bits of {name}"));
                self.part(
                    (digit as f64).to_bits(),
                    format!("digit {i} of {radix} bits, a double, of {name}"),
                );
            }
        }
    }

    /// Looks for every aligned eight bytes of `secret`.
    pub(crate) fn bytes(&mut self, name: &str, secret: &[u8]) {
        for (i, part) in secret.as_chunks::<WORD>().0.iter().enumerate() {
            self.part(u64::from_le_bytes(*part), format!("part {i} of {name}"));
        }
    }

    fn part(&mut self, value: u64, label: String) {
        self.slots.resize(1 << 16, false);
        self.slots[Self::slot(value)] = true;
        self.parts.insert(value, label);
    }

    fn slot(value: u64) -> usize {
        (value.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize
    }

    fn find(&self, value: u64) -> Option<&str> {
        if !self.slots[Self::slot(value)] {
            return None;
        }
        self.parts.get(&value).map(String::as_str)
    }
}

/// The digits of `radix` bits of a little-endian number.
fn digits(little: &[u8], radix: usize) -> Vec<u64> {
    let bit = |i: usize| u64::from(little.get(i / 8).map_or(0, |byte| byte >> (i % 8) & 1));
    let count = (8 * little.len()).div_ceil(radix);
    (0..count).map(|i| (0..radix).fold(0, |digit, j| digit | bit(radix * i + j) << j)).collect()
}

/// All that a process can write, read from outside.
pub(crate) struct Memory {
    process: u32,
    file: File,
}

/// A mapping: where, and what.
struct Region {
    start: u64,
    end: u64,
    name: String,
}

impl Memory {
    pub(crate) fn of(process: u32) -> Self {
        let file = File::open(format!("/proc/{process}/mem")).expect("a child's memory may be read");
        Self { process, file }
    }

    fn regions(&self) -> Vec<Region> {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.process)).expect("its mappings");
        let writable =
            maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|p| p.starts_with("rw")));
        let region = |line: &str| {
            let (range, rest) = line.split_once(' ').expect("a range");
            let (start, end) = range.split_once('-').expect("a range");
            let [start, end] = [start, end].map(|hex| u64::from_str_radix(hex, 16).expect("hexadecimal"));
            Region { start, end, name: rest.split_whitespace().nth(4).unwrap_or("mapped").to_owned() }
        };
        writable.map(region).collect()
    }

    /// Gives `visit` all writable memory, a piece at a time, with the address and the name of each. Pieces
    /// overlap by `overlap` bytes, so that nothing lies between two of them.
    fn read(&self, overlap: usize, mut visit: impl FnMut(&Region, u64, &[u8])) {
        let mut piece = vec![0; 1 << 20];
        for region in self.regions() {
            let mut at = region.start;
            while at < region.end {
                let len = piece.len().min((region.end - at) as usize);
                let read = self.file.read_at(&mut piece[..len], at).unwrap_or(0);
                if read == 0 {
                    break;
                }
                visit(&region, at, &piece[..read]);
                at += if at + read as u64 == region.end { read } else { read - overlap } as u64;
            }
        }
    }

    /// Every place where a part of a secret is.
    pub(crate) fn search(&self, needles: &Needles) -> Vec<String> {
        let mut found = BTreeMap::new();
        self.read(WORD - 1, |region, at, piece| {
            for (i, window) in piece.windows(WORD).enumerate() {
                let value = u64::from_le_bytes(window.try_into().expect("eight bytes"));
                if let Some(label) = needles.find(value) {
                    let place =
                        format!("{:x} ({}+{:x})", at + i as u64, region.name, at + i as u64 - region.start);
                    found.insert(at + i as u64, format!("{label} at {place}"));
                }
            }
        });
        found.into_values().collect()
    }

    /// The names of the secrets of which a part is somewhere.
    pub(crate) fn search_labels(&self, needles: &Needles) -> BTreeSet<String> {
        let name = |place: &String| {
            let (label, _) = place.split_once(" at ").expect("a place");
            label.split_once(" of ").map_or(label, |(_, name)| name).to_owned()
        };
        self.search(needles).iter().map(name).collect()
    }

    /// The places of `len` bytes, at multiples of eight, that `is_secret` recognizes. It is asked about what
    /// looks random only: about nothing with two equal words, with a word that is small, or one that is an
    /// address.
    pub(crate) fn recognize(&self, len: usize, mut is_secret: impl FnMut(&[u8]) -> bool) -> Vec<String> {
        let mut found = BTreeMap::new();
        self.read(len - WORD, |region, at, piece| {
            for (i, window) in piece.windows(len).enumerate().step_by(WORD) {
                if looks_random(window) && is_secret(window) {
                    found.insert(at + i as u64, format!("a secret at {:x} ({})", at + i as u64, region.name));
                }
            }
        });
        found.into_values().collect()
    }
}

fn looks_random(window: &[u8]) -> bool {
    let words: Vec<u64> = window.as_chunks::<WORD>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let is_usual = |word: &u64| word >> 48 == 0 || word >> 48 == 0xffff || word << 16 == 0;
    let has_zeros = |word: &u64| word.to_le_bytes().iter().filter(|byte| **byte == 0).count() > 2;
    !words.iter().any(|word| is_usual(word) || has_zeros(word))
        && words.windows(2).all(|pair| pair[0] != pair[1])
}

/// The first places, for a message.
pub(crate) fn shortened(found: &[String]) -> String {
    let rest = found.len().saturating_sub(40);
    let shown = found.iter().take(40).cloned().collect::<Vec<_>>().join("\n  ");
    format!("{} places:\n  {shown}{}", found.len(), if rest > 0 { "\n  …" } else { "" })
}
