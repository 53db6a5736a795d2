//! Decides which pages of a listing to request next, and when the listing ends. Pure.

use std::collections::HashSet;

use crate::cloud::{EngineListing, MAX_PAGE_SIZE};
use crate::job::DataEngineId;

/// Upper limit for the count that a page reports: as many engines as a plan may have.
const MAX_ENGINES: u32 = 100_000;

/// Pages of one listing that are requested concurrently. The count may be too high, and then more would be wasted.
const PAGES_AT_ONCE: u32 = 8;

/// The progress of the listing of one engine kind in one region.
#[derive(Debug)]
pub(in crate::run) struct Listing {
    /// Offset of the next page.
    next: u32,
    /// The highest count that a page has reported, at most `MAX_ENGINES`; 1 before the first page.
    total: u32,
    /// Pages that were requested and have not arrived.
    in_flight: u32,
    /// Every engine that pages have shown.
    seen: HashSet<DataEngineId>,
    /// The highest count that a page has reported, without a limit.
    counted: Option<u32>,
    /// True once a page showed no new engine, so that no later page is requested.
    ended: bool,
}

impl Default for Listing {
    /// The first page is always requested.
    fn default() -> Self {
        Self { next: 0, total: 1, in_flight: 0, seen: HashSet::new(), counted: None, ended: false }
    }
}

impl Listing {
    /// Offset of the next page to request now, if any.
    pub(in crate::run) fn next_page(&mut self) -> Option<u32> {
        let wanted = !self.ended && self.next < self.total && self.in_flight < PAGES_AT_ONCE;
        wanted.then(|| {
            self.in_flight += 1;
            let offset = self.next;
            self.next += MAX_PAGE_SIZE;
            offset
        })
    }

    /// Adds a page. Each page may report more engines; a page without a new engine is the end, whatever the count is.
    pub(in crate::run) fn add(&mut self, page: &EngineListing) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let before = self.seen.len();
        self.seen.extend(page.engines.iter().map(|engine| engine.data_engine_id.clone()));
        self.ended |= self.seen.len() == before;
        self.counted = self.counted.max(Some(page.total));
        self.total = self.total.max(page.total.min(MAX_ENGINES));
    }

    /// True if the pages showed as many engines as the service counts. A listing can omit engines, and the count shows it.
    pub(in crate::run) fn is_complete(&self) -> bool {
        self.counted.is_some_and(|counted| self.seen.len() >= counted as usize)
    }

    /// Requests no more pages, because one could not be read.
    pub(in crate::run) fn stop(&mut self) {
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

    /// Offsets of the pages that are requested if each response arrives at once.
    fn requested_pages(respond: impl Fn(u32) -> EngineListing) -> Vec<u32> {
        let (mut listing, mut requested, mut waiting) = (Listing::default(), Vec::new(), Vec::new());
        loop {
            waiting.extend(std::iter::from_fn(|| listing.next_page()));
            if waiting.is_empty() {
                return requested;
            }
            let offset = waiting.remove(0);
            requested.push(offset);
            listing.add(&respond(offset));
        }
    }

    #[test]
    fn every_page_of_a_correct_listing_is_requested_once() {
        let correct = |count: u32| {
            requested_pages(move |offset| page(offset.min(count)..(offset + MAX_PAGE_SIZE).min(count), count))
                .len()
        };
        assert_eq!([correct(0), correct(1), correct(100), correct(101), correct(1_234)], [1, 1, 1, 2, 13]);
    }

    #[test]
    fn a_count_that_is_too_high_costs_at_most_ten_pages() {
        let requested =
            requested_pages(|offset| page(offset.min(150)..(offset + MAX_PAGE_SIZE).min(150), u32::MAX));
        assert!(requested.len() <= 10, "{requested:?}");
    }

    #[test]
    fn a_repeated_page_ends_the_listing() {
        let requested = requested_pages(|_| page(0..100, u32::MAX));
        assert!(requested.len() <= 10, "{requested:?}");
    }

    #[test]
    fn a_listing_without_end_stops_at_a_hundred_thousand_engines() {
        let requested = requested_pages(|offset| page(offset..offset + MAX_PAGE_SIZE, u32::MAX));
        assert_eq!(requested.len(), 1_000);
    }
}
