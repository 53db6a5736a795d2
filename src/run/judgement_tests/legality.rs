//! No judgement ever proposes a step that the ledger would refuse.

use super::*;

/// What may happen to a job; the numbers choose among the possibilities.
fn happen(stage: &mut Stage, number: u8, history: &mut History) -> Result<(), String> {
    let codes = [
        "InternalError",
        "ResourceInUse",
        "ResourceNotFound.DataEngineNotActivity",
        "RequestLimitExceeded",
        "FailedOperation",
        "UnauthorizedOperation",
        "ResourceNotFound.ImageVersionNotFound",
    ];
    let before = stage.steps.len();
    let ready = stage.job_state.phase == Phase::Ready;
    let next_send = stage.job_state.phase == Phase::AwaitingLimiter;
    let in_flight = stage.job_state.phase == Phase::InFlight;
    match number % 16 {
        0 | 1 if ready => {
            stage.take_track(JobState::prepare_send);
        }
        2 if next_send => {
            stage.take_track(JobState::cancel_send);
        }
        0..=3 if next_send => {
            stage.take_track(JobState::mark_sent);
        }
        3 if in_flight => {
            stage.accept();
        }
        4 | 5 if in_flight => {
            stage.lose_answer();
        }
        6 if in_flight => {
            stage.answer(Err(CallError::NotSent { cause: "refused".into() }));
        }
        7 if in_flight => {
            stage.answer(Err(CallError::Connection {
                problem: ConnectionProblem::OutOfDate,
                cause: "expired".into(),
            }));
        }
        0..=9 if in_flight => {
            stage.refuse(codes[usize::from(number) % codes.len()]);
        }
        10 => {
            stage.snapshot("old", i64::from(number / 16) % 4);
        }
        11 => {
            stage.snapshot("new", i64::from(number / 16) % 4);
        }
        12 => {
            stage.snapshot("third", 2);
        }
        13 if ready => {
            let view = view(["old", "new", "third"][usize::from(number / 16) % 3], 2);
            let change = stage.job_state.decide_again(&job(), &view, stage.now, &stage.options);
            if change.job_state.phase != Phase::Ready {
                stage.take(change);
            }
        }
        14 => {
            stage.job_state.phase = match stage.job_state.phase {
                // the job's wave opens: it is looked at before it goes
                Phase::Ready => JobState::looking(stage.now),
                ref other => other.clone(),
            }
        }
        _ => {
            stage.wait(u64::from(number));
        }
    }
    for (step, seq) in stage.steps[before..].iter().zip(history.lines + 1..) {
        let entry = Entry::Job { key: job().key, step: step.clone() };
        history.take(&Line { seq, at: Timestamp::UNIX_EPOCH, run: "run-1".into(), entry })?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn no_step_is_ever_proposed_that_the_ledger_would_refuse(numbers in proptest::collection::vec(any::<u8>(), 1..60)) {
        let mut history = History::default();
        let opened = Entry::RunStarted(RunStarted {
            schema: SCHEMA.into(), parent_run: None, tool_version: "0".into(), plan: "p".into(),
            plan_digest: "0".into(), regions: vec![], endpoint: "simulator".into(), simulated: true, rate: 20,
        });
        let line = Line { seq: 1, at: Timestamp::UNIX_EPOCH, run: "run-1".into(), entry: opened };
        history.take(&line).map_err(TestCaseError::fail)?;
        let mut stage = Stage::in_flight(RunOptions { wait_timeout: Duration::from_secs(600), ..RunOptions::default() });
        stage.job_state = JobState { phase: Phase::Ready, ..JobState::new(JobIndex(0), Past::default()) };
        for number in numbers {
            happen(&mut stage, number, &mut history).map_err(TestCaseError::fail)?;
        }
    }
}
