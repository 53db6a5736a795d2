//! Scripted runs for the tests of this room: events with their times, as a real run would tell them.

mod soaked;

use std::sync::Arc;
use std::time::Duration;

pub use soaked::{soak_cut_short, soak_failure, soaking};

use super::{Scene, Sink};
use crate::event::{Event, Listener, RunHeader, StopReason};
use crate::job::{
    DataEngineId, ImageVersionId, Job, JobIndex, JobKey, JobResult, Origin, Outcome, Reason, Region, Wave,
};
use crate::tally::{Counts, Tally};

/// What happened in a run, and when.
pub struct Story {
    pub header: Arc<RunHeader>,
    pub events: Vec<(Duration, Event)>,
}

impl Story {
    /// A run that has just opened; each wave has a name and a number of engines.
    pub fn new(waves: &[(&str, usize)]) -> Self {
        let sizes = waves.iter().enumerate();
        let of_wave = sizes.flat_map(|(wave, (name, jobs))| (0..*jobs).map(move |at| (wave, *name, at)));
        let jobs = of_wave.map(|(wave, name, at)| Job {
            key: JobKey {
                region: Region::new("ap-guangzhou"),
                data_engine_id: DataEngineId::new(format!("DataEngine-{name}{at}")),
                new_image_version_id: ImageVersionId::new("7ac9cc78-1d3a-4b7e-9d1c-0f4f3f9f8a11"),
            },
            wave,
            data_engine_name: None,
            expected_image_version_id: None,
            note: None,
        });
        let header = Arc::new(RunHeader {
            run_id: "20261124T031500Z-7f3a".into(),
            parent_run_id: None,
            plan: "fleet.yaml".into(),
            ledger: "fleet.ledger.jsonl".into(),
            endpoint: "dlc.tencentcloudapi.com".into(),
            rate: 20,
            max_attempts: 6,
            resend_after: Duration::from_secs(60),
            jobs: jobs.collect(),
            waves: waves.iter().map(|(name, _)| Wave::named(*name)).collect(),
        });
        Self { events: vec![(Duration::ZERO, Event::RunStarted(Arc::clone(&header)))], header }
    }

    pub fn push(&mut self, ms: u64, event: Event) {
        self.events.push((Duration::from_millis(ms), event));
    }

    pub fn change_jobs(&mut self, change: impl Fn(usize, &mut Job)) {
        let mut header = RunHeader::clone(&self.header);
        let mut jobs = header.jobs.to_vec();
        jobs.iter_mut().enumerate().for_each(|(at, job)| change(at, job));
        header.jobs = jobs.into();
        self.replace_opening(header);
    }

    pub fn replace_opening(&mut self, header: RunHeader) {
        self.header = Arc::new(header);
        self.events[0].1 = Event::RunStarted(Arc::clone(&self.header));
    }

    /// Sends a job and lets it arrive.
    pub fn switches(&mut self, ms: u64, job: usize, converges_ms: u64) {
        let job = JobIndex(job);
        self.push(ms, Event::Sent { job, attempt: 1 });
        self.push(ms + 300, Event::Accepted { job });
        self.push(ms + converges_ms, settled(job.0, Outcome::Switched, None));
    }

    /// Puts events in the order of time, lets a second pass every second, and closes the run at its last event.
    pub fn finish(mut self) -> Self {
        let last = self.elapsed().as_secs();
        (1..=last).for_each(|second| self.push(second * 1000, Event::Tick));
        self.events.sort_by_key(|(after, _)| *after);
        let end = self.elapsed();
        self.events.push((end, Event::RunEnded));
        self
    }

    pub fn elapsed(&self) -> Duration {
        self.events.iter().map(|(after, _)| *after).max().unwrap_or_default()
    }

    pub fn play(&self, listener: &mut impl Listener) {
        self.events.iter().for_each(|(after, event)| listener.on_event(*after, event));
    }

    pub fn show_to(&self, sink: &mut impl Sink) {
        let mut scene = self.scene();
        for (after, event) in &self.events {
            scene.take(*after, event);
            sink.show(*after, &scene, event).expect("the sink works");
            scene.leave(event);
        }
    }

    pub fn scene(&self) -> Scene {
        Scene::new(Arc::clone(&self.header))
    }

    pub fn tally(&self) -> Tally {
        self.tally_after(self.events.len())
    }

    pub fn tally_after(&self, events: usize) -> Tally {
        let mut tally = Tally::new(&self.header);
        self.events[..events].iter().for_each(|(_, event)| tally.take(event));
        tally
    }

    /// The tally when so many seconds have passed.
    pub fn tally_at(&self, seconds: u64) -> Tally {
        self.tally_after(self.events.partition_point(|(after, _)| after.as_secs() < seconds))
    }
}

pub fn reason(code: &str, cause: &str, remedy: &str) -> Reason {
    Reason {
        origin: if code.starts_with(char::is_uppercase) { Origin::Service } else { Origin::Tool },
        code: code.into(),
        cause: cause.into(),
        remedy: remedy.into(),
        message: None,
        needs_release: false,
        request_id: None,
    }
}

pub fn server_fault() -> Reason {
    reason("InternalError", "server fault", "run again later")
}

pub fn settled(job: usize, outcome: Outcome, reason: Option<Reason>) -> Event {
    let result = JobResult {
        outcome,
        reason,
        from_earlier_run: false,
        image_before: Some(ImageVersionId::new("5f2c11aa")),
    };
    Event::JobEnded { job: JobIndex(job), result }
}

pub fn failed(job: usize, code: &str) -> Event {
    let reason = Reason {
        message: Some("The engine cannot take this image version.".into()),
        request_id: Some(format!("6f1b2c3d-{job:04}")),
        ..reason(code, "the engine has one image version only", "take it out of the plan")
    };
    settled(job, Outcome::Failed, Some(reason))
}

fn too_fast() -> Reason {
    reason("RequestLimitExceeded", "requests come too fast", "none needed")
}

/// Why the dispatcher ends what it can no longer follow.
fn run_ended() -> Reason {
    Reason {
        message: Some("the run was stopped by SIGINT".into()),
        ..reason(
            "run-ended",
            "the run ended before this engine's turn was over",
            "run the same command again: it resumes",
        )
    }
}

/// A plan of one wave.
pub fn fleet(jobs: usize) -> Story {
    Story::new(&[("all", jobs)])
}

/// A plan of many waves with one engine each.
pub fn waves(waves: usize) -> Story {
    let names: Vec<_> = (1..=waves).map(|wave| format!("wave-{wave}")).collect();
    Story::new(&names.iter().map(|name| (name.as_str(), 1)).collect::<Vec<_>>())
}

/// Counts with so many switched and so many waiting.
pub fn counts(switched: usize, waiting: usize) -> Counts {
    let mut tally = fleet(switched + waiting).tally();
    (0..switched).for_each(|job| tally.take(&settled(job, Outcome::Switched, None)));
    *tally.overall()
}

/// Two hundred engines in one wave, and nothing goes wrong.
pub fn all_good() -> Story {
    let mut story = fleet(200);
    story.push(0, Event::WaveStarted { wave: 0 });
    for job in 0..200_usize {
        let (ms, spread) = (50 * job as u64, 137 * (job as u64 % 17));
        story.switches(ms, job, 40_000 + spread);
    }
    story.push(53_000, Event::WaveEnded { wave: 0 });
    story.finish()
}

/// Two small waves and then a large one, sent at the full rate; engines take most of a minute.
pub fn growing() -> Story {
    let mut story = Story::new(&[("canary", 4), ("early", 4), ("rest", 193)]);
    let mut opens = 0;
    let mut job = 0;
    for (wave, jobs) in [4, 4, 193].into_iter().enumerate() {
        story.push(opens, Event::WaveStarted { wave });
        let mut last = opens;
        for at in 0..jobs {
            let (sent, takes) = (opens + 50 * at, 50_000 + 500 * (at % 9));
            story.switches(sent, job, takes);
            last = last.max(sent + takes);
            job += 1;
        }
        story.push(last + 100, Event::WaveEnded { wave });
        opens = last + 200;
    }
    story.finish()
}

/// Three waves in two regions in which nearly everything goes wrong once.
pub fn mixed() -> Story {
    let mut story = Story::new(&[("canary", 4), ("early", 24), ("rest", 12)]);
    story.change_jobs(|at, job| {
        if at % 10 == 7 {
            job.key.region = Region::new("ap-shanghai");
        }
        if at == 8 {
            job.note = Some("billing, ask before touching".into());
        }
    });
    canary_of_mixed(&mut story);
    early_of_mixed(&mut story);
    story.push(62_000, Event::WaveStarted { wave: 2 });
    (0..12_usize).for_each(|at| story.switches(62_000 + 50 * at as u64, at + 28, 21_000));

    story.push(83_600, Event::WaveEnded { wave: 2 });
    story.finish()
}

fn canary_of_mixed(story: &mut Story) {
    story.push(0, Event::WaveStarted { wave: 0 });
    story.push(100, settled(0, Outcome::UpToDate, None));
    story.switches(200, 1, 12_000);
    story.switches(250, 2, 12_400);
    let job = JobIndex(3);
    story.push(300, Event::Sent { job, attempt: 1 });
    let after = Duration::from_millis(700);
    story.push(900, Event::WillRetry { job, attempt: 1, reason: server_fault(), after });
    story.switches(1_700, 3, 12_000);
    story.push(13_800, Event::WaveEnded { wave: 0 });
}

fn early_of_mixed(story: &mut Story) {
    story.push(14_000, Event::WaveStarted { wave: 1 });
    for at in 0..24_usize {
        let ms = 14_000 + 50 * at as u64;
        let job = JobIndex(at + 4);
        match at {
            3..=14 => {
                story.push(ms, Event::Sent { job, attempt: 1 });
                story.push(ms + 250, failed(job.0, "ResourceNotFound.DataEngineNotMultiVersion"));
            }
            15 => {
                story.push(ms, Event::Sent { job, attempt: 1 });
                story.push(ms + 300, Event::Throttled { job, reason: too_fast(), rate: 10.0 });
                story.switches(16_000, job.0, 20_000);
                story.push(24_000, Event::RateRestored { rate: 20.0 });
            }
            16 => doubtful_and_cleared(story, ms, job),
            17 => {
                story.push(ms, Event::Sent { job, attempt: 1 });
                story.push(ms + 300, Event::Accepted { job });
                let reason = reason(
                    "target-not-reached",
                    "accepted, but not on target after 45 s",
                    "look at it in the console",
                );
                story.push(60_000, settled(job.0, Outcome::TimedOut, Some(reason)));
            }
            18 => {
                story.push(ms, Event::Sent { job, attempt: 1 });
                let reset = reason(
                    "connection-reset",
                    "the connection broke after sending",
                    "run again to read back",
                );
                story.push(ms + 900, Event::Unconfirmed { job, reason: reset.clone() });
                story.push(59_000, Event::ReadFailed { reason: server_fault() });
                story.push(60_500, settled(job.0, Outcome::Unknown, Some(reset)));
            }
            _ => story.switches(ms, job.0, 20_000 + ms / 7),
        }
    }
    story.push(61_000, Event::WaveEnded { wave: 1 });
}

fn doubtful_and_cleared(story: &mut Story, ms: u64, job: JobIndex) {
    story.push(ms, Event::Sent { job, attempt: 1 });
    let reason = reason("timed-out", "no answer within 30 s", "none needed");
    story.push(44_000, Event::Unconfirmed { job, reason });
    story.push(46_000, Event::NotApplied { job });
    story.switches(46_100, job.0, 9_000);
}

/// The middle of a mixed run, slowed down, with something in every column.
pub fn busy_scene() -> Scene {
    let story = mixed();
    let mut scene = story.scene();
    let until = Duration::from_secs(44);
    for (after, event) in story.events.iter().filter(|(after, _)| *after <= until) {
        scene.take(*after, event);
        scene.leave(event);
    }
    let retry =
        |job| Event::WillRetry { job, attempt: 1, reason: server_fault(), after: Duration::from_secs(1) };
    for at in 28..34 {
        scene.take(until, &Event::Sent { job: JobIndex(at), attempt: 1 });
    }
    scene.take(until, &retry(JobIndex(28)));
    scene.take(until, &Event::Throttled { job: JobIndex(29), reason: too_fast(), rate: 10.0 });
    scene
}

/// A run that is interrupted with engines under way and engines that never had their turn.
pub fn stopped() -> Story {
    let mut story = Story::new(&[("canary", 2), ("rest", 30)]);
    story.push(0, Event::WaveStarted { wave: 0 });
    story.switches(100, 0, 8_000);
    story.switches(150, 1, 8_500);
    story.push(9_000, Event::WaveEnded { wave: 0 });
    story.push(9_000, Event::WaveStarted { wave: 1 });
    for at in 0..12_usize {
        let (ms, job) = (9_100 + 50 * at as u64, JobIndex(at + 2));
        story.push(ms, Event::Sent { job, attempt: 1 });
        story.push(ms + 300, Event::Accepted { job });
    }
    story.push(9_900, Event::Stopping(StopReason::Interrupted { signal: "SIGINT" }));
    (2..32).for_each(|job| {
        let outcome = if job < 14 { Outcome::TimedOut } else { Outcome::NotStarted };
        story.push(10_100, settled(job, outcome, Some(run_ended())));
    });
    story.finish()
}

/// Three engines, of which the second is refused in a way that concerns the whole account.
pub fn refused_account() -> Story {
    let mut story = Story::new(&[("canary", 1), ("rest", 2)]);
    let denied = Reason {
        message: Some("you are not authorized".into()),
        request_id: Some("6f1b2c3d-0001".into()),
        ..reason("UnauthorizedOperation", "the account lacks a permission", "grant it, then run again")
    };
    story.push(0, Event::WaveStarted { wave: 0 });
    story.switches(100, 0, 8_000);
    story.push(8_200, Event::WaveEnded { wave: 0 });
    story.push(8_200, Event::WaveStarted { wave: 1 });
    story.push(8_300, Event::Sent { job: JobIndex(1), attempt: 1 });
    story.push(8_500, settled(1, Outcome::Failed, Some(denied.clone())));
    story.push(8_500, Event::Stopping(StopReason::AccountRefused(denied)));
    story.finish()
}

/// A second run over a plan of which most was settled before, and one engine was moved since.
pub fn resumed() -> Story {
    let mut story = fleet(20);
    let mut header = RunHeader::clone(&story.header);
    header.parent_run_id = Some("20261123T221000Z-11c0".into());
    story.replace_opening(header);
    for at in 0..18 {
        let result = JobResult {
            outcome: Outcome::Switched,
            reason: None,
            from_earlier_run: true,
            image_before: None,
        };
        story.push(0, Event::JobEnded { job: JobIndex(at), result });
    }
    story.push(0, Event::Drifted { job: JobIndex(4), seen: "on 5f2c11aa".into() });
    story.push(10, Event::WaveStarted { wave: 0 });
    story.switches(100, 18, 6_000);
    story.switches(150, 19, 6_500);
    story.push(6_700, Event::WaveEnded { wave: 0 });
    story.finish()
}

/// A run in which every request is refused within a second.
pub fn flood(jobs: usize) -> Story {
    let mut story = fleet(jobs);
    story.push(0, Event::WaveStarted { wave: 0 });
    for job in 0..jobs {
        story.push(10, Event::Sent { job: JobIndex(job), attempt: 1 });
        story.push(900, failed(job, "ResourceNotFound.DataEngineNotMultiVersion"));
    }
    story.push(950, Event::WaveEnded { wave: 0 });
    story.finish()
}
