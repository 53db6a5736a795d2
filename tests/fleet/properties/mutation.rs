//! Valid texts with something done to them.

use proptest::prelude::*;

/// One change of a text.
#[derive(Clone, Debug)]
enum Change {
    Set(usize, u8),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Copy(usize, usize, usize),
}

impl Change {
    /// Places are taken from the text as it is, whatever its length.
    fn make(&self, bytes: &mut Vec<u8>) {
        let place = |at: usize| at % (bytes.len() + 1);
        match self {
            Self::Set(at, byte) => {
                let at = place(*at);
                if let Some(old) = bytes.get_mut(at) {
                    *old = *byte;
                }
            }
            Self::Insert(at, token) => {
                let at = place(*at);
                bytes.splice(at..at, token.iter().copied());
            }
            Self::Remove(at, length) => {
                let at = place(*at);
                let end = (at + length).min(bytes.len());
                bytes.drain(at..end);
            }
            Self::Copy(from, length, to) => {
                let (from, to) = (place(*from), place(*to));
                let copied = bytes[from..(from + length).min(bytes.len())].to_vec();
                bytes.splice(to..to, copied);
            }
        }
    }
}

fn change(tokens: &'static [&'static str]) -> impl Strategy<Value = Change> {
    let place = any::<usize>;
    prop_oneof![
        (place(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (place(), prop::sample::select(tokens)).prop_map(|(at, token)| Change::Insert(at, token.into())),
        (place(), prop::collection::vec(any::<u8>(), 1..4)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (place(), 1usize..40).prop_map(|(at, length)| Change::Remove(at, length)),
        (place(), 1usize..80, place()).prop_map(|(from, length, to)| Change::Copy(from, length, to)),
    ]
}

/// One of these texts with up to six changes, which may be pieces of its own language.
pub fn mutated(
    valid: &'static [&'static str],
    tokens: &'static [&'static str],
) -> impl Strategy<Value = Vec<u8>> {
    (prop::sample::select(valid), prop::collection::vec(change(tokens), 0..6)).prop_map(|(text, changes)| {
        let mut bytes = text.as_bytes().to_vec();
        for change in changes {
            change.make(&mut bytes);
        }
        bytes
    })
}

/// Any bytes, or pieces of a language in any order.
pub fn noise(tokens: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::collection::vec(prop::sample::select(tokens), 0..30);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        pieces.prop_map(|pieces| pieces.concat().into_bytes())
    ]
}
