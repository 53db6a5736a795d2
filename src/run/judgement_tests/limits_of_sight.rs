//! Judgements where a look is forbidden, or did not cover the engine.

use super::*;

#[test]
fn without_read_back_nothing_in_doubt_is_sent_again() {
    let rules = Rules { read_back: false, wait: false, ..Rules::default() };
    let mut stage = Stage::in_flight(rules);
    stage.lose_answer();
    assert_eq!((stage.outcome(), stage.code()), (Some(Outcome::Unknown), Some("read-back-off")));
    let mut stage = Stage::in_flight(rules);
    stage.refuse("InternalError");
    assert_eq!(stage.outcome(), Some(Outcome::Unknown));
    let mut stage = Stage::in_flight(rules);
    stage.accept();
    assert_eq!(stage.outcome(), Some(Outcome::Accepted));
}

#[test]
fn a_sweep_that_did_not_cover_an_engine_says_nothing_about_it() {
    let rules = Rules::default();
    let now = Instant::now();
    let good_since = Some(now);
    let mut board = Board::new([job()].into(), &[UNSENT], Waves::new([].into(), &[job()], &[], now));
    let converging = Phase::Converging { since: now, good_since };
    board.commit(board.track(JobIndex(0)).to(converging, Vec::new()).track);
    let known = view("new", 2);
    let later = now + Duration::from_secs(1);
    let nothing = Look { view: &FleetView::default(), asked: later, seen: later };
    let elsewhere = Scope::from([(Region::new("ap-guangzhou"), EngineKind::ALL[1])]);
    assert!(board.looked(nothing, &elsewhere, &known, &rules).is_empty());
    let here = Scope::from([(Region::new("ap-guangzhou"), EngineKind::ALL[0])]);
    let changes = board.looked(nothing, &here, &known, &rules);
    assert_eq!(changes.len(), 1, "an engine that is gone from its part of the fleet is no good look");
}
