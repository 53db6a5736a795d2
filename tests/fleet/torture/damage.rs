//! The ways to damage a ledger, and the expected result of each.

use super::oracle::{Oracle, ReadOutcome};

/// How a byte is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flip {
    Xor(u8),
    Into(u8),
}

impl Flip {
    const ALL: [Self; 6] = [
        Self::Xor(0x20),
        Self::Xor(0x01),
        Self::Xor(0x80),
        Self::Into(b'\n'),
        Self::Into(b'9'),
        Self::Into(b'"'),
    ];

    fn of(self, byte: u8) -> u8 {
        match self {
            Self::Xor(bits) => byte ^ bits,
            Self::Into(other) => other,
        }
    }
}

/// One damage. Lines are counted from one.
#[derive(Clone, Debug)]
pub enum Damage {
    /// Everything from a byte on is removed.
    Cut(usize),
    /// One byte is changed.
    Flip(usize, Flip),
    /// A line is removed.
    Drop(usize),
    /// A line is repeated.
    Repeat(usize),
    /// Two lines are exchanged.
    Swap(usize, usize),
    /// A range of lines is repeated.
    RepeatAll(usize, usize),
    /// A line of another ledger is inserted before a line.
    Insert(usize, Vec<u8>),
    /// A line is replaced by a line of another ledger.
    Replace(usize, Vec<u8>),
}

/// The kinds that are counted separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Cut,
    Flip,
    Drop,
    Repeat,
    Swap,
    Splice,
}

impl Kind {
    pub const ALL: [Self; 6] = [Self::Cut, Self::Flip, Self::Drop, Self::Repeat, Self::Swap, Self::Splice];

    pub fn name(self) -> &'static str {
        match self {
            Self::Cut => "cuts",
            Self::Flip => "changed bytes",
            Self::Drop => "lines dropped",
            Self::Repeat => "lines or runs repeated",
            Self::Swap => "pairs of lines swapped",
            Self::Splice => "lines of another ledger",
        }
    }
}

impl Damage {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Cut(_) => Kind::Cut,
            Self::Flip(..) => Kind::Flip,
            Self::Drop(_) => Kind::Drop,
            Self::Repeat(_) | Self::RepeatAll(..) => Kind::Repeat,
            Self::Swap(..) => Kind::Swap,
            Self::Insert(..) | Self::Replace(..) => Kind::Splice,
        }
    }

    /// The ledger with this damage.
    pub fn apply(&self, oracle: &Oracle) -> Vec<u8> {
        let whole = oracle.bytes();
        let lines = |from: usize, to: usize| &whole[oracle.start_of(from)..oracle.start_of(to + 1)];
        let last = oracle.lines();
        match self {
            Self::Cut(at) => whole[..*at].to_vec(),
            Self::Flip(at, flip) => {
                let mut bytes = whole.to_vec();
                bytes[*at] = flip.of(bytes[*at]);
                bytes
            }
            Self::Drop(line) => [lines(1, line - 1), lines(line + 1, last)].concat(),
            Self::Repeat(line) => [lines(1, *line), lines(*line, last)].concat(),
            Self::Swap(first, second) => [
                lines(1, first - 1),
                oracle.line(*second),
                lines(first + 1, second - 1),
                oracle.line(*first),
                lines(second + 1, last),
            ]
            .concat(),
            Self::RepeatAll(from, to) => [lines(1, *to), lines(*from, last)].concat(),
            Self::Insert(line, other) => [lines(1, line - 1), other, lines(*line, last)].concat(),
            Self::Replace(line, other) => [lines(1, line - 1), other, lines(line + 1, last)].concat(),
        }
    }

    /// The expected result: the number of lines before the damage, or the first line that is refused.
    pub fn expected(&self, oracle: &Oracle) -> ReadOutcome {
        let last = oracle.lines();
        let refused = |line: usize| ReadOutcome::Refused(line as u64);
        match self {
            Self::Cut(at) => ReadOutcome::Resumed(oracle.whole_before(*at)),
            Self::Flip(at, flip) => {
                let (line, byte) = (oracle.line_at(*at), flip.of(oracle.bytes()[*at]));
                if *at + 1 == oracle.bytes().len() {
                    // without its LF the last line is torn and is removed, which changes no other line
                    return ReadOutcome::Resumed(last - 1);
                }
                let is_newer =
                    byte == b'9' && oracle.bytes()[..*at].ends_with(b"\"schema\":\"dlc-fleet.ledger/");
                if is_newer { ReadOutcome::Newer(line as u64) } else { refused(line) }
            }
            // a removed last line cannot be detected
            Self::Drop(line) if *line == last => ReadOutcome::Resumed(last - 1),
            Self::Repeat(line) | Self::RepeatAll(_, line) => refused(line + 1),
            // the first line of another ledger is valid as a first line
            Self::Insert(1, _) | Self::Replace(1, _) => refused(2),
            Self::Drop(line) | Self::Swap(line, _) | Self::Insert(line, _) | Self::Replace(line, _) => {
                refused(*line)
            }
        }
    }
}

/// Every damage, or a sample with every byte of the most critical lines.
pub fn all(oracle: &Oracle, other: &Oracle, whole: bool) -> Vec<Damage> {
    let last = oracle.lines();
    let mut damages = Vec::new();
    for at in 0..=oracle.bytes().len() {
        if whole || is_sampled(oracle, at) {
            damages.push(Damage::Cut(at));
            // in the sample, two halves of the changes alternate
            let turns =
                flips(oracle, at).enumerate().filter(|(turn, _)| whole || (turn + at).is_multiple_of(2));
            damages.extend(turns.map(|(_, flip)| flip));
        }
    }
    let step = if whole { 1 } else { 12 };
    let sampled = |line: &usize| line.is_multiple_of(step) || last - line < 2;
    damages.extend((1..=last).filter(sampled).flat_map(|line| [Damage::Drop(line), Damage::Repeat(line)]));
    damages.extend((1..last).filter(sampled).map(|line| Damage::Swap(line, line + 1)));
    let distant = (1..last).filter(sampled).flat_map(|line| [2, 7, 50, 120].map(|away| (line, line + away)));
    damages.extend(distant.filter(|(_, line)| *line <= last).map(|(one, two)| Damage::Swap(one, two)));
    damages.extend(oracle.runs().into_iter().map(|(from, to)| Damage::RepeatAll(from, to)));
    damages.push(Damage::RepeatAll(1, last));
    damages.extend((1..=last).filter(sampled).flat_map(|line| {
        let foreign = other.line(line).to_vec();
        [Damage::Insert(line, foreign.clone()), Damage::Replace(line, foreign)]
    }));
    damages
}

/// The changes of one byte that change its value.
fn flips(oracle: &Oracle, at: usize) -> impl Iterator<Item = Damage> {
    let byte = oracle.bytes().get(at).copied();
    let changes = move |flip: &Flip| byte.is_some_and(|byte| flip.of(byte) != byte);
    Flip::ALL.into_iter().filter(changes).map(move |flip| Damage::Flip(at, flip))
}

/// Every byte of the first line and of the last two, and some of the others.
fn is_sampled(oracle: &Oracle, at: usize) -> bool {
    let last = oracle.lines();
    let line = oracle.line_at(at);
    [1, last - 1, last].contains(&line) || line > last || at.is_multiple_of(1499)
}
