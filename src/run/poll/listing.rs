//! How far one kind of engine in one region has been listed, and where the listing ends. Pure.

use std::collections::HashSet;

use crate::cloud::{EngineListing, MAX_PAGE_SIZE};
use crate::job::DataEngineId;

/// Engines beyond which a listing's own count is not believed: as many as a plan may have.
const MOST_ENGINES: u32 = 100_000;

/// Pages of one listing that are asked for at once. A count may be wrong, and more would be asked for in vain.
const PAGES_AT_ONCE: u32 = 8;

/// One listing on its way.
#[derive(Debug)]
pub(in crate::run) struct Listing {
    /// Where the next page begins.
    next: u32,
    /// How many engines there are, as far as pages have said.
    total: u32,
    /// Pages that were asked for and have not come.
    under_way: u32,
    /// Every engine so far.
    seen: HashSet<DataEngineId>,
    /// The highest count that a page has told, however high.
    counted: Option<u32>,
    /// A page showed nothing new, so nothing comes after it.
    ended: bool,
}

impl Default for Listing {
    /// Before the first page, whose existence nobody has to tell.
    fn default() -> Self {
        Self { next: 0, total: 1, under_way: 0, seen: HashSet::new(), counted: None, ended: false }
    }
}

impl Listing {
    /// Where the next page begins that is to be asked for now, if any.
    pub(in crate::run) fn next_page(&mut self) -> Option<u32> {
        let wanted = !self.ended && self.next < self.total && self.under_way < PAGES_AT_ONCE;
        wanted.then(|| {
            self.under_way += 1;
            let offset = self.next;
            self.next += MAX_PAGE_SIZE;
            offset
        })
    }

    /// Learns from a page. Every one may say that there are more engines; one that shows nothing new is the end,
    /// whatever the count says.
    pub(in crate::run) fn take(&mut self, page: &EngineListing) {
        self.under_way = self.under_way.saturating_sub(1);
        let before = self.seen.len();
        self.seen.extend(page.engines.iter().map(|engine| engine.data_engine_id.clone()));
        self.ended |= self.seen.len() == before;
        self.counted = self.counted.max(Some(page.total));
        self.total = self.total.max(page.total.min(MOST_ENGINES));
    }

    /// True where the pages showed as many engines as the service counts. A listing can leave engines out, and its count
    /// tells.
    pub(in crate::run) fn is_complete(&self) -> bool {
        self.counted.is_some_and(|counted| self.seen.len() >= counted as usize)
    }

    /// Asks for no more, because a page could not be read.
    pub(in crate::run) fn give_up(&mut self) {
        self.ended = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::{EngineKind, EngineRecord};

    fn page(engines: std::ops::Range<u32>, total: u32) -> EngineListing {
        let record = |number: u32| EngineRecord {
            data_engine_id: DataEngineId::new(format!("DataEngine-{number}")),
            name: None,
            state: None,
            image_version_id: None,
            image_version_name: None,
            child_image_version_id: None,
            engine_type_detail: None,
            kind: Some(EngineKind::ALL[0]),
        };
        EngineListing { engines: engines.map(record).collect(), total }
    }

    /// Pages that are asked for when each of them is answered at once.
    fn pages_of(answer: impl Fn(u32) -> EngineListing) -> Vec<u32> {
        let (mut listing, mut asked, mut waiting) = (Listing::default(), Vec::new(), Vec::new());
        loop {
            waiting.extend(std::iter::from_fn(|| listing.next_page()));
            if waiting.is_empty() {
                return asked;
            }
            let offset = waiting.remove(0);
            asked.push(offset);
            listing.take(&answer(offset));
        }
    }

    #[test]
    fn every_page_of_an_honest_listing_is_asked_for_once() {
        let honest = |count: u32| {
            pages_of(move |offset| page(offset.min(count)..(offset + MAX_PAGE_SIZE).min(count), count)).len()
        };
        assert_eq!([honest(0), honest(1), honest(100), honest(101), honest(1_234)], [1, 1, 1, 2, 13]);
    }

    #[test]
    fn a_count_that_promises_too_much_costs_a_few_pages() {
        let asked = pages_of(|offset| page(offset.min(150)..(offset + MAX_PAGE_SIZE).min(150), u32::MAX));
        assert!(asked.len() <= 10, "{asked:?}");
    }

    #[test]
    fn pages_that_repeat_are_the_end() {
        let asked = pages_of(|_| page(0..100, u32::MAX));
        assert!(asked.len() <= 10, "{asked:?}");
    }

    #[test]
    fn a_listing_without_end_is_given_up() {
        let asked = pages_of(|offset| page(offset..offset + MAX_PAGE_SIZE, u32::MAX));
        assert_eq!(asked.len(), 1_000);
    }
}
