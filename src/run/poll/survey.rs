//! The look at every engine of a plan before anything is sent.

use super::reader::{INVALID_ACTION, Reader, class_of};
use super::scope::Scope;
use crate::cloud::catalogue::{ErrorClass, ErrorScope};
use crate::cloud::{CallError, Fleet, LIST_ENGINES, SHOW_ENGINE};
use crate::job::{DataEngineId, Job};
use crate::run::fleet_view::FleetView;
use crate::run::reasons::reading_failed;

/// Times that engines which a listing left out are asked for by their ids while it is not known whether they exist. A
/// run reads on after that.
const READS_BY_ID: usize = 6;

/// Engines that are asked for by name before it is looked at how that goes.
const BATCH: usize = 100;

/// Why the fleet cannot be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SurveyError {
    /// An action could not be called.
    Unread {
        /// Which.
        action: &'static str,
        /// Why.
        fault: CallError,
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
    pub async fn survey(&self, jobs: &[Job]) -> Result<FleetView, SurveyError> {
        match self.list(jobs).await {
            Ok(view) => Ok(view),
            Err(CallError::Refused(refusal)) if refusal.code == INVALID_ACTION => {
                tracing::info!("there is no {LIST_ENGINES} here, so engines are asked for by name");
                self.ask_for_each(jobs).await
            }
            Err(fault) => Err(SurveyError::Unread { action: LIST_ENGINES, fault }),
        }
    }

    /// Lists every engine of the regions of these jobs, of all kinds, and asks by id for those that listings leave out.
    async fn list(&self, jobs: &[Job]) -> Result<FleetView, CallError> {
        let scope = Scope::of(jobs, &FleetView::default());
        let mut view = FleetView::default();
        let reads = Box::pin(self.read_fleet(&scope, self.options.max_attempts, &mut view)).await;
        for (query, fault) in reads.failed {
            match class_of(&fault) {
                Some(ErrorClass::Final(ErrorScope::Region)) => {
                    view.mark_unserved(query.region(), reading_failed(&fault));
                }
                _ => return Err(fault),
            }
        }
        let (mut left_out, mut attempts) = (reads.left_out, self.options.max_attempts);
        for _ in 0..READS_BY_ID {
            for left_out in &mut left_out {
                self.ask_by_id(left_out, attempts, &mut view).await;
                left_out.ids.retain(|id| !view.is_known(&left_out.region, id));
            }
            left_out.retain(|left_out| !left_out.ids.is_empty());
            attempts = 1;
        }
        Ok(view)
    }

    /// Asks for each engine by its name.
    async fn ask_for_each(&self, jobs: &[Job]) -> Result<FleetView, SurveyError> {
        let mut nameless = jobs.iter().filter(|job| job.data_engine_name.is_none());
        if let Some(first) = nameless.next() {
            let (rows, first) = (nameless.count() + 1, first.key.data_engine_id.clone());
            return Err(SurveyError::Nameless { rows, of: jobs.len(), first });
        }
        let mut view = FleetView::by_name();
        for batch in jobs.chunks(BATCH) {
            let scope = Scope::of(batch, &FleetView::by_name());
            for (query, fault) in self.read_fleet(&scope, self.options.max_attempts, &mut view).await.failed {
                let reason = reading_failed(&fault);
                match class_of(&fault) {
                    Some(ErrorClass::Final(ErrorScope::Region)) => view.mark_unserved(query.region(), reason),
                    Some(ErrorClass::Final(ErrorScope::Engine | ErrorScope::Image)) => {
                        view.mark_unreadable(&query, reason);
                    }
                    // permissions can be given per engine, but one who may look at none has none
                    Some(ErrorClass::Denied) if view.engines().next().is_some() => {
                        view.mark_unreadable(&query, reason);
                    }
                    _ => return Err(SurveyError::Unread { action: SHOW_ENGINE, fault }),
                }
            }
        }
        Ok(view)
    }
}
