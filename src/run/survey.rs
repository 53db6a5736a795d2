//! The look at every engine of a plan before anything is sent.

use super::place::Scope;
use super::readback::{INVALID_ACTION, Reader, class_of};
use super::reasons::reading_failed;
use super::sight::FleetView;
use crate::cloud::catalogue::{Class, Reach};
use crate::cloud::{Fault, Fleet, LIST_ENGINES, SHOW_ENGINE};
use crate::job::{DataEngineId, Job};

/// Times that engines which a listing left out are asked for by their ids while it is not known whether they exist. A
/// run reads on after that.
const READS_BY_ID: usize = 6;

/// Engines that are asked for by name before it is looked at how that goes.
const BATCH: usize = 100;

/// Why the fleet cannot be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blind {
    /// An action could not be called.
    Unread {
        /// Which.
        action: &'static str,
        /// Why.
        fault: Fault,
    },
    /// The site shows engines by name alone, and the plan does not name them all.
    Nameless {
        /// Rows without a name.
        rows: usize,
        /// All rows.
        of: usize,
        /// The engine of the first row without a name.
        first: DataEngineId,
    },
}

impl<F: Fleet> Reader<F> {
    /// Looks at the engines of these jobs: in whole listings, or one by one where the site has no listing. A region
    /// that the service does not serve, and an engine that it does not show, are noted in the view; whatever else
    /// cannot be read is an error.
    pub async fn survey(&self, jobs: &[Job]) -> Result<FleetView, Blind> {
        match self.list(jobs).await {
            Ok(view) => Ok(view),
            Err(Fault::Refused(refusal)) if refusal.code == INVALID_ACTION => {
                tracing::info!("there is no {LIST_ENGINES} here, so engines are asked for by name");
                self.ask_for_each(jobs).await
            }
            Err(fault) => Err(Blind::Unread { action: LIST_ENGINES, fault }),
        }
    }

    /// Lists every engine of the regions of these jobs, of all kinds, and asks by id for those that listings leave out.
    async fn list(&self, jobs: &[Job]) -> Result<FleetView, Fault> {
        let scope = Scope::of(jobs, &FleetView::default());
        let mut view = FleetView::default();
        let sweep = Box::pin(self.sweep(&scope, self.rules.max_attempts, &mut view)).await;
        for (place, fault) in sweep.failed {
            match class_of(&fault) {
                Some(Class::Final(Reach::Region)) => {
                    view.refuse_region(place.region(), reading_failed(&fault));
                }
                _ => return Err(fault),
            }
        }
        let (mut left_out, mut attempts) = (sweep.left_out, self.rules.max_attempts);
        for _ in 0..READS_BY_ID {
            for left_out in &mut left_out {
                self.ask_by_id(left_out, attempts, &mut view).await;
                left_out.ids.retain(|id| !view.is_told(&left_out.region, id));
            }
            left_out.retain(|left_out| !left_out.ids.is_empty());
            attempts = 1;
        }
        Ok(view)
    }

    /// Asks for each engine by its name.
    async fn ask_for_each(&self, jobs: &[Job]) -> Result<FleetView, Blind> {
        let mut nameless = jobs.iter().filter(|job| job.data_engine_name.is_none());
        if let Some(first) = nameless.next() {
            let (rows, first) = (nameless.count() + 1, first.key.data_engine_id.clone());
            return Err(Blind::Nameless { rows, of: jobs.len(), first });
        }
        let mut view = FleetView::by_name();
        for batch in jobs.chunks(BATCH) {
            let scope = Scope::of(batch, &FleetView::by_name());
            for (place, fault) in self.sweep(&scope, self.rules.max_attempts, &mut view).await.failed {
                let reason = reading_failed(&fault);
                match class_of(&fault) {
                    Some(Class::Final(Reach::Region)) => view.refuse_region(place.region(), reason),
                    Some(Class::Final(Reach::Engine | Reach::Image)) => view.refuse_engine(&place, reason),
                    // permissions can be given per engine, but one who may look at none has none
                    Some(Class::Denied) if view.engines().next().is_some() => {
                        view.refuse_engine(&place, reason);
                    }
                    _ => return Err(Blind::Unread { action: SHOW_ENGINE, fault }),
                }
            }
        }
        Ok(view)
    }
}
