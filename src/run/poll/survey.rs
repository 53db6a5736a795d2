//! Reads every engine of a plan before anything is sent.

use super::reader::{INVALID_ACTION, Reader, class_of};
use super::scope::Scope;
use crate::cloud::catalogue::{ErrorClass, ErrorScope};
use crate::cloud::{CallError, Fleet, LIST_ENGINES, SHOW_ENGINE};
use crate::job::{DataEngineId, Job};
use crate::run::fleet_view::FleetView;
use crate::run::reasons::reading_failed;

/// How often an engine that a listing omitted is queried by id before the survey ends without a result. The run polls it
/// again.
const READS_BY_ID: usize = 6;

/// Engines that are read by name before the survey checks the errors of these reads.
const BATCH: usize = 100;

/// Why the fleet could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SurveyError {
    /// An action could not be called.
    Unread {
        /// The action.
        action: &'static str,
        /// Why.
        fault: CallError,
    },
    /// The service cannot list engines, and the plan does not give the name of every engine.
    Nameless {
        /// Number of rows without a name.
        rows: usize,
        /// Number of all rows.
        of: usize,
        /// The engine of the first row without a name.
        first: DataEngineId,
    },
}

impl<F: Fleet> Reader<F> {
    /// Reads the engines of these jobs: in listings, or one by one if the service cannot list engines. The view marks regions
    /// that the service does not serve and engines that it does not show.
    ///
    /// # Errors
    ///
    /// Any other read that fails.
    pub async fn survey(&self, jobs: &[Job]) -> Result<FleetView, SurveyError> {
        match self.list(jobs).await {
            Ok(view) => Ok(view),
            Err(CallError::Refused(refusal)) if refusal.code == INVALID_ACTION => {
                tracing::info!("the service has no {LIST_ENGINES}; reading engines by name");
                self.read_each(jobs).await
            }
            Err(fault) => Err(SurveyError::Unread { action: LIST_ENGINES, fault }),
        }
    }

    /// Lists every engine of all kinds in the regions of these jobs, and queries the omitted ones by id.
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
        let (mut omitted, mut attempts) = (reads.omitted, self.options.max_attempts);
        for _ in 0..READS_BY_ID {
            for omitted in &mut omitted {
                self.query_by_id(omitted, attempts, &mut view).await;
                omitted.ids.retain(|id| !view.is_known(&omitted.region, id));
            }
            omitted.retain(|omitted| !omitted.ids.is_empty());
            attempts = 1;
        }
        Ok(view)
    }

    /// Reads each engine by its name.
    async fn read_each(&self, jobs: &[Job]) -> Result<FleetView, SurveyError> {
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
                    // permissions can be given per engine; if no engine can be read, the account has none
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
