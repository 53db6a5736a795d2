//! The service as the tool calls it: messages have a transmission time and may be lost.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dlc_fleet::cloud::{
    CallError, Cloud, EngineKind, EngineListing, EnginePage, EngineRecord, Fleet, ImageRecord, Receipt,
};
use dlc_fleet::job::{DataEngineId, DataEngineName, ImageVersionId, JobKey, Region};
use tokio::time::{Instant, sleep_until};

use crate::faults::Kind;
use crate::plan::key_of;
use crate::read_log::Covered;
use crate::reads::{Action, Failure, Ticket, refusal};
use crate::requests::Reply;
use crate::world::World;

/// The service, for one process.
#[derive(Clone)]
pub struct Service(pub Arc<Mutex<World>>);

impl Service {
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a read; returns when the service receives it, or when it fails.
    async fn send_read(&self, action: Action) -> Result<Ticket, CallError> {
        let ticket = self.world().start_read(action);
        sleep_until(Instant::now() + ticket.out).await;
        match &ticket.failure {
            None => Ok(ticket),
            Some(failure) => {
                self.world().trace.say("service", || format!("read {} fails: {failure:?}", ticket.number));
                if matches!(failure, Failure::Never) {
                    std::future::pending::<()>().await;
                }
                sleep_until(Instant::now() + ticket.back).await;
                Err(failure.clone().into_fault())
            }
        }
    }

    /// Delivers the response to a read.
    async fn deliver(&self, ticket: &Ticket, records: &[EngineRecord], region: &Region, covered: Covered) {
        sleep_until(Instant::now() + ticket.back).await;
        self.world().delivered(ticket, records, region, covered);
    }
}

impl Fleet for Service {
    async fn engines(&self, region: &Region, page: EnginePage) -> Result<EngineListing, CallError> {
        let ticket = self.send_read(Action::List).await?;
        let limits = (None, page.offset as usize, page.limit as usize);
        let listing = self.world().page(&ticket, region, page.kind, limits);
        let covered = Covered::Listing(region.clone(), page.kind);
        self.deliver(&ticket, &listing.engines, region, covered).await;
        Ok(listing)
    }

    async fn engines_by_id(
        &self,
        region: &Region,
        kind: EngineKind,
        ids: &[DataEngineId],
    ) -> Result<EngineListing, CallError> {
        let ticket = self.send_read(Action::List).await?;
        let (listing, numbers) = {
            let mut world = self.world();
            let numbers: Vec<usize> = ids.iter().filter_map(|id| world.find(region, id)).collect();
            (world.page(&ticket, region, kind, (Some(&numbers), 0, usize::MAX)), numbers)
        };
        self.deliver(&ticket, &listing.engines, region, Covered::Engines(numbers)).await;
        Ok(listing)
    }

    async fn engine_by_name(
        &self,
        region: &Region,
        name: &DataEngineName,
    ) -> Result<Option<EngineRecord>, CallError> {
        let ticket = self.send_read(Action::Show).await?;
        let (record, number) = {
            let mut world = self.world();
            let matches = |engine: &crate::engine::Engine| engine.region == *region && engine.name == *name;
            let number = world.engines.iter().position(matches);
            (number.and_then(|number| world.named(&ticket, number)), number)
        };
        let covered = Covered::Engines(number.into_iter().collect());
        self.deliver(&ticket, record.as_slice(), region, covered).await;
        match record {
            Some(record) => Ok(Some(record)),
            None => Err(CallError::Refused(refusal("ResourceNotFound.DataEngineNotFound"))),
        }
    }

    async fn images(&self, region: &Region, _engine_type: &str) -> Result<Vec<ImageRecord>, CallError> {
        let ticket = self.send_read(Action::Images).await?;
        let images = self.world().images.clone();
        self.deliver(&ticket, &[], region, Covered::Engines(Vec::new())).await;
        let record = |image: crate::world::Image| ImageRecord {
            name: Some(format!("Name of {}", image.id)),
            image_version_id: ImageVersionId::new(image.id),
            state: Some(ImageRecord::ONLINE),
            engine_type: Some("SparkBatch".to_owned()),
        };
        Ok(images.into_iter().map(record).collect())
    }
}

impl Cloud for Service {
    async fn switch(&self, key: &JobKey) -> Result<Receipt, CallError> {
        let sent = {
            let mut world = self.world();
            world.catch_up();
            world.check_sent_request(&key_of(key));
            if world.occurs(Kind::NotSent) {
                Err(world.latency())
            } else {
                let engine = world.find(&key.region, &key.data_engine_id);
                Ok(world.send(key_of(key), engine))
            }
        };
        let number = match sent {
            Ok(number) => number,
            Err(latency) => {
                sleep_until(Instant::now() + latency).await;
                return Err(Failure::NotSent.into_fault());
            }
        };
        let (wait, reply) = self.reply(number).await;
        if reply == Reply::Never {
            std::future::pending::<()>().await;
        }
        sleep_until(Instant::now() + wait).await;
        self.world().on_response(number, reply.clone());
        match reply {
            Reply::Accepted { problem } => Ok(Receipt {
                request_id: format!("request-{number}"),
                problem: problem.then(|| "simulated: content type text/html".to_owned()),
            }),
            Reply::Refused(code) => Err(CallError::Refused(refusal(code))),
            Reply::SignatureExpired => {
                Err(CallError::SignatureExpired(refusal("AuthFailure.SignatureExpire")))
            }
            Reply::Lost | Reply::Never => Err(Failure::Lost.into_fault()),
        }
    }
}

impl Service {
    /// The response of the service, and its remaining transmission time.
    async fn reply(&self, number: usize) -> (Duration, Reply) {
        let arrives = {
            let world = self.world();
            world.requests[number].arrives.saturating_sub(world.now())
        };
        sleep_until(Instant::now() + arrives).await;
        let mut world = self.world();
        world.catch_up();
        match world.requests[number].reply.clone() {
            Some((at, reply)) => (at.saturating_sub(world.moment), reply),
            None => (Duration::ZERO, Reply::Never),
        }
    }
}
