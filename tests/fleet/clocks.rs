//! Wrong clocks, clocks that change during a run, and a suspended process.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dlc_fleet::cloud::SWITCH;
use jiff::SignedDuration;

use crate::stage::{Ran, Stage, executable, finish, rows, signal, survived, wait_for, wait_until};

const CALM: &str = "latency: {median: 20ms, max: 60ms}\nswitching: {min: 200ms, max: 400ms}\n";

/// Refusals of the switching action because of the time of a signature.
fn refused_for_their_time(stage: &Stage) -> usize {
    let stats = stage.simulator.stats();
    stats.action(SWITCH).answered.get("AuthFailure.SignatureExpire").copied().unwrap_or_default()
}

/// Every engine was switched once, never too fast.
fn assert_done(stage: &Stage, engines: usize, ran: &Ran) {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let stats = stage.simulator.stats();
    assert_eq!((stats.applied_by_engine.len(), stats.applied_more_than_once.len()), (engines, 0));
    assert!(stats.action(SWITCH).peak_requests_per_second <= 20, "{stats:?}");
}

#[test]
fn a_wrong_clock_is_reported_once_and_corrected_for() {
    for (skew, words) in [("10m", "10m behind the service's clock"), ("-10m", "10m ahead of the service's clock")] {
        let stage = Stage::new(&rows(30), &format!("clock_skew: {skew}\n{CALM}"));
        let ran = stage.run(&[]);
        assert_done(&stage, 30, &ran);
        assert_eq!(ran.stderr.matches("clock is wrong").count(), 1, "{}", ran.stderr);
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
        assert_eq!(refused_for_their_time(&stage), 0, "the survey has learned it");
        let mut dry = stage.command(&[]);
        dry.arg("--dry-run");
        let ran = finish(dry);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert_eq!(ran.stderr.matches("clock is wrong").count(), 1, "{}", ran.stderr);
    }
}

#[test]
fn a_clock_that_changes_during_a_run_costs_only_a_repeat_of_the_requests_in_flight() {
    let stage = Stage::new(&rows(60), CALM);
    let child = stage.command(&["--yes"]).spawn().expect("it starts");
    let steps = [10, -20, 1_000, 0];
    for (number, minutes) in steps.into_iter().enumerate() {
        wait_until("requests arrive", || stage.requests() >= 10 * (number + 1));
        stage.simulator.step_clock(SignedDuration::from_mins(minutes));
    }
    let ran = wait_for(child);
    assert_done(&stage, 60, &ran);
    // the last change corrects the clock
    assert!(ran.stderr.contains("agrees with the service's clock again"), "{}", ran.stderr);
    let refused = refused_for_their_time(&stage);
    survived(
        "a clock of the service that is stepped by 10 min, 30 min, 17 h and back during one run",
        &format!(
            "60 engines switched, 0 twice, {refused} requests signed again, at most 20 arrivals in any second"
        ),
    );
    assert!((steps.len()..=20).contains(&refused), "{refused} refusals in {} steps", steps.len());
}

#[test]
fn an_implausible_clock_difference_stops_the_run_with_a_remedy() {
    let stage = Stage::new(&rows(3), CALM);
    stage.simulator.step_clock(SignedDuration::from_hours(72));
    let ran = stage.run(&[]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    for words in ["AuthFailure.SignatureExpire", "is not plausible", "synchronise the clock"] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    assert_eq!(stage.requests(), 0);

    let stage = Stage::new(&rows(40), CALM);
    let child = stage.command(&["--yes"]).spawn().expect("it starts");
    wait_until("requests arrive", || stage.requests() >= 5);
    stage.simulator.step_clock(SignedDuration::from_hours(-72));
    let ran = wait_for(child);
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    assert!(stage.requests() < 20, "{} requests although none could pass", stage.requests());
    stage.simulator.step_clock(SignedDuration::ZERO);
    let ran = stage.run(&[]);
    assert_done(&stage, 40, &ran);
}

/// Engines of one run that is suspended.
const ENGINES: usize = 60;

/// Suspends one run repeatedly, longer than signatures are valid. Returns suspensions and expired requests.
fn suspend(seed: u64, engines: usize) -> (usize, usize) {
    let weather = format!("seed: {seed}\nsignature_validity: 1s\n{CALM}");
    let stage = Stage::new(&rows(engines), &weather);
    let mut random = fastrand::Rng::with_seed(seed);
    let flags = ["--yes", "--resend-after", "1s", "--request-timeout", "2s"];
    let child = stage.command(&flags).spawn().expect("it starts");
    let mut suspensions = 0;
    for part in 1..=4 {
        wait_until("requests arrive", || stage.requests() >= part * engines / 6);
        std::thread::sleep(Duration::from_millis(random.u64(..200)));
        signal(child.id(), "STOP");
        std::thread::sleep(Duration::from_millis(3_200));
        signal(child.id(), "CONT");
        suspensions += 1;
    }
    let ran = wait_for(child);
    assert_done(&stage, engines, &ran);
    (suspensions, refused_for_their_time(&stage))
}

#[test]
fn a_run_continues_after_suspensions_within_the_rate_limit() {
    let worlds = std::env::var("DLC_FLEET_SUSPENSIONS").ok().and_then(|number| number.parse().ok());
    let worlds = worlds.unwrap_or(8_u64).div_ceil(4);
    let next = AtomicU64::new(0);
    let counts = Mutex::new((0, 0));
    std::thread::scope(|scope| {
        for _ in 0..4.min(worlds) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= worlds {
                        return;
                    }
                    let (suspensions, stale) = suspend(seed, ENGINES);
                    let mut counts = counts.lock().expect("no panic");
                    *counts = (counts.0 + suspensions, counts.1 + stale);
                }
            });
        }
    });
    let (suspensions, stale) = counts.into_inner().expect("no panic");
    survived(
        "SIGSTOP at random instants, and SIGCONT once every signature was stale",
        &format!(
            "{suspensions} suspensions, {} engines switched, 0 twice, at most 20 arrivals in any second; {stale} \
             requests arrived with a stale signature",
            worlds * ENGINES as u64
        ),
    );
    assert_eq!(suspensions as u64, worlds * 4);
}

/// A relay between client and simulator that delays the first `held` switch requests.
fn relay(simulator: SocketAddr, held: usize, wait: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("an address");
    let left = Arc::new(AtomicUsize::new(held));
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(simulator).expect("the simulator listens");
            let (from_client, to_server) =
                (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
            let left = Arc::clone(&left);
            std::thread::spawn(move || {
                carry(from_client, to_server, |request| {
                    let is_switch = String::from_utf8_lossy(request).contains(SWITCH);
                    let take = |left: usize| left.checked_sub(1);
                    if is_switch && left.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok() {
                        std::thread::sleep(wait);
                    }
                });
            });
            std::thread::spawn(move || carry(server, client, |_| {}));
        }
    });
    address
}

/// Copies bytes in one direction until either side closes.
fn carry(mut from: TcpStream, mut to: TcpStream, before: impl Fn(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        before(&buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

#[test]
fn requests_that_were_delayed_until_their_signature_expired_are_signed_again() {
    let stage = Stage::new(&rows(30), &format!("signature_validity: 1s\n{CALM}"));
    let relay = relay(stage.address, 8, Duration::from_millis(3_200));
    let mut command = executable(stage.folder.path());
    command.args([
        "run",
        "plan.csv",
        "--yes",
        "--min-ready",
        "400ms",
        "--endpoint",
        &format!("http://{relay}"),
    ]);
    let ran = finish(command);
    assert_done(&stage, 30, &ran);
    assert_eq!(refused_for_their_time(&stage), 8);
    survived(
        "requests that are held up on their way until their signatures are stale",
        "30 engines switched, 0 twice, 8 requests signed again",
    );
    assert!(!ran.stderr.contains("clock is wrong"), "the clocks agree: {}", ran.stderr);
}
