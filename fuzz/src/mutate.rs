//! Changes inputs at random, but the same way in every run.

/// Pieces that mean something in one of the formats.
const PIECES: &[&str] = &[
    " ",
    "\n",
    "\r\n",
    "\r",
    "\t",
    ";",
    "'",
    "\"",
    "`",
    "[",
    "]",
    "(",
    ")",
    ",",
    ".",
    ":",
    "#",
    "--",
    "/*",
    "*/",
    "/*!",
    "$$",
    "$a$",
    "\\",
    "E'",
    "N'",
    "é",
    "漢",
    "\u{feff}",
    "\u{a0}",
    "\0",
    "\nGO\n",
    "\ngo 3\n",
    "GO",
    "BEGIN ",
    "END ",
    "CASE ",
    "IF ",
    "ATOMIC ",
    "TRAN ",
    "COMMIT ",
    "ROLLBACK ",
    "SAVE ",
    "START ",
    "CREATE ",
    "TRIGGER ",
    "FUNCTION ",
    "PROCEDURE ",
    "AS ",
    "\nUSE db\n",
    "PRAGMA ",
    "VACUUM ",
    "SELECT 1",
    "\nDELIMITER //\n",
    "\nDELIMITER ;\n",
    "//",
    "\n\\i f\n",
    "#BuildDescription#",
    "#BuildFileName#",
    "<",
    "</",
    "/>",
    ">",
    "&",
    "&amp;",
    "&#1;",
    "&#32;",
    "&x;",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?x?>",
    "<!DOCTYPE a>",
    "xmlns=\"u\"",
    " x:y='1'",
    "<Script FileName='b.sql'/>",
    "<ServerData>",
    "<Overrides/>",
    "{",
    "}",
    "null",
    "true",
    "1e9",
    "\\u0000",
    "\u{fffe}",
    "\u{1}",
    "../",
    "C:\\",
    "PK",
];

/// A source of numbers that look random.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Equal seeds give equal numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.0 % end).unwrap_or_default()
    }
}

/// One of `seeds` with a few changes, among them parts of the others.
pub fn changed(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let empty = Vec::new();
    let pick = |random: &mut Random| seeds.get(random.below(seeds.len())).unwrap_or(&empty);
    let mut bytes = pick(random).clone();
    for _ in 0..=random.below(5) {
        let at = random.below(bytes.len() + 1);
        match random.below(7) {
            0 => bytes.truncate(at),
            1 => {
                let end = (at + 1 + random.below(20)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
            2 => {
                let end = (at + 1 + random.below(40)).min(bytes.len());
                let copy = bytes.get(at..end).unwrap_or_default().to_vec();
                let place = random.below(bytes.len() + 1);
                bytes.splice(place..place, copy);
            }
            3 => {
                let other = pick(random);
                let from = random.below(other.len() + 1);
                let end = (from + random.below(60)).min(other.len());
                bytes.splice(at..at, other.get(from..end).unwrap_or_default().to_vec());
            }
            4 => {
                let value = u8::try_from(random.below(256)).unwrap_or_default();
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            _ => {
                let piece = PIECES.get(random.below(PIECES.len())).unwrap_or(&"");
                bytes.splice(at..at, piece.bytes());
            }
        }
    }
    bytes
}
