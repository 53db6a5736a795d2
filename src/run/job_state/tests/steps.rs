//! Ledger steps: for random inputs, the ledger accepts every step that a job state proposes.

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::cloud::ConnectionProblem;
use crate::ledger::{Entry, History, Line, RunStarted, SCHEMA};

/// Applies one input to a job; the number selects it.
fn apply_input(fixture: &mut JobFixture, number: u8, history: &mut History) -> Result<(), String> {
    let codes = [
        "InternalError",
        "ResourceInUse",
        "ResourceNotFound.DataEngineNotActivity",
        "RequestLimitExceeded",
        "FailedOperation",
        "UnauthorizedOperation",
        "ResourceNotFound.ImageVersionNotFound",
    ];
    let before = fixture.steps.len();
    let ready = fixture.job_state.phase == Phase::Ready;
    let next_send = fixture.job_state.phase == Phase::AwaitingLimiter;
    let in_flight = fixture.job_state.phase == Phase::InFlight;
    match number % 16 {
        0 | 1 if ready => {
            fixture.apply_method(JobState::prepare_send);
        }
        2 if next_send => {
            fixture.apply_method(JobState::cancel_send);
        }
        0..=3 if next_send => {
            fixture.apply_method(JobState::mark_sent);
        }
        3 if in_flight => {
            fixture.accept();
        }
        4 | 5 if in_flight => {
            fixture.lose_response();
        }
        6 if in_flight => {
            fixture.respond(Err(CallError::NotSent { cause: "refused".into() }));
        }
        7 if in_flight => {
            fixture.respond(Err(CallError::Connection {
                problem: ConnectionProblem::OutOfDate,
                cause: "expired".into(),
            }));
        }
        0..=9 if in_flight => {
            fixture.refuse(codes[usize::from(number) % codes.len()]);
        }
        10 => {
            fixture.read("old", i64::from(number / 16) % 4);
        }
        11 => {
            fixture.read("new", i64::from(number / 16) % 4);
        }
        12 => {
            fixture.read("third", 2);
        }
        13 if ready => {
            let view = view(["old", "new", "third"][usize::from(number / 16) % 3], 2);
            let change = fixture.job_state.decide_again(&job(), &view, fixture.now, &fixture.options);
            if change.job_state.phase != Phase::Ready {
                fixture.apply(change);
            }
        }
        14 => {
            fixture.job_state.phase = match fixture.job_state.phase {
                // the wave of the job starts: the engine is read before the job is sent
                Phase::Ready => JobState::awaiting_read(fixture.now),
                ref other => other.clone(),
            }
        }
        _ => {
            fixture.wait(u64::from(number));
        }
    }
    for (step, seq) in fixture.steps[before..].iter().zip(history.lines + 1..) {
        let entry = Entry::Job { key: job().key, step: step.clone() };
        history.apply(&Line { seq, at: Timestamp::UNIX_EPOCH, run: "run-1".into(), entry })?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn every_proposed_step_is_accepted_by_the_ledger(numbers in proptest::collection::vec(any::<u8>(), 1..60)) {
        let mut history = History::default();
        let started = Entry::RunStarted(RunStarted {
            schema: SCHEMA.into(), parent_run: None, tool_version: "0".into(), plan: "p".into(),
            plan_digest: "0".into(), regions: vec![], endpoint: "simulator".into(), simulated: true, rate: 20,
        });
        let line = Line { seq: 1, at: Timestamp::UNIX_EPOCH, run: "run-1".into(), entry: started };
        history.apply(&line).map_err(TestCaseError::fail)?;
        let mut fixture = JobFixture::in_flight(RunOptions { wait_timeout: Duration::from_secs(600), ..RunOptions::default() });
        fixture.job_state = JobState { phase: Phase::Ready, ..JobState::new(JobIndex(0), Past::default()) };
        for number in numbers {
            apply_input(&mut fixture, number, &mut history).map_err(TestCaseError::fail)?;
        }
    }
}
