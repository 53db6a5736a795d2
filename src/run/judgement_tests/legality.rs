//! No judgement ever proposes a step that the ledger would refuse.

use super::*;

/// What may happen to a job; the numbers choose among the possibilities.
fn happen(stage: &mut Stage, number: u8, memory: &mut Memory) -> Result<(), String> {
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
    let ready = stage.track.phase == Phase::Ready;
    let departing = stage.track.phase == Phase::Departing;
    let in_flight = stage.track.phase == Phase::InFlight;
    match number % 16 {
        0 | 1 if ready => {
            stage.take_track(Track::depart);
        }
        2 if departing => {
            stage.take_track(Track::stay);
        }
        0..=3 if departing => {
            stage.take_track(Track::leave);
        }
        3 if in_flight => {
            stage.accept();
        }
        4 | 5 if in_flight => {
            stage.lose_answer();
        }
        6 if in_flight => {
            stage.answer(Err(Fault::NotSent { cause: "refused".into() }));
        }
        7 if in_flight => {
            stage.answer(Err(Fault::Barred { by: Barrier::OutOfDate, cause: "expired".into() }));
        }
        0..=9 if in_flight => {
            stage.refuse(codes[usize::from(number) % codes.len()]);
        }
        10 => {
            stage.look("old", i64::from(number / 16) % 4);
        }
        11 => {
            stage.look("new", i64::from(number / 16) % 4);
        }
        12 => {
            stage.look("third", 2);
        }
        13 if ready => {
            let view = view(["old", "new", "third"][usize::from(number / 16) % 3], 2);
            let change = stage.track.reconsidered(&job(), &view, stage.now, &stage.rules);
            if change.track.phase != Phase::Ready {
                stage.take(change);
            }
        }
        14 => {
            stage.track.phase = match stage.track.phase {
                // the job's wave opens: it is looked at before it goes
                Phase::Ready => Track::looking(stage.now),
                ref other => other.clone(),
            }
        }
        _ => {
            stage.wait(u64::from(number));
        }
    }
    for (step, seq) in stage.steps[before..].iter().zip(memory.lines + 1..) {
        let entry = Entry::Job { key: job().key, step: step.clone() };
        memory.take(&Line { seq, at: Timestamp::UNIX_EPOCH, run: "run-1".into(), entry })?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn no_step_is_ever_proposed_that_the_ledger_would_refuse(numbers in proptest::collection::vec(any::<u8>(), 1..60)) {
        let mut memory = Memory::default();
        let opened = Entry::Opened(RunOpened {
            schema: SCHEMA.into(), parent_run: None, tool_version: "0".into(), plan: "p".into(),
            plan_digest: "0".into(), regions: vec![], endpoint: "simulator".into(), simulated: true, rate: 20,
        });
        let line = Line { seq: 1, at: Timestamp::UNIX_EPOCH, run: "run-1".into(), entry: opened };
        memory.take(&line).map_err(TestCaseError::fail)?;
        let mut stage = Stage::in_flight(Rules { wait_timeout: Duration::from_secs(600), ..Rules::default() });
        stage.track = Track { phase: Phase::Ready, attempts: 0, sent: false, ..stage.track.clone() };
        for number in numbers {
            happen(&mut stage, number, &mut memory).map_err(TestCaseError::fail)?;
        }
    }
}
