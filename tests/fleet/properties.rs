//! Properties of every parser that reads foreign text: no input makes it panic, and what it accepts is sound.
//!
//! `PROPTEST_CASES` says how many inputs each property tries; 256 unless it is set.

mod ledgers;
mod mutation;
mod plans;
mod typed;
