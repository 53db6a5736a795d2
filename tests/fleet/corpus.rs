//! A corpus of bad input: plans, scenarios, ledgers and answers that nobody should send.
//!
//! Each is refused with its place and a remedy, or taken for what it truly says; none makes anything panic, hang or
//! use much memory. `cargo test --test fleet corpus -- --nocapture` prints the counts.

mod answers;
mod case;
mod csv;
mod files;
mod hostile;
mod http;
pub mod ledgers;
mod limits;
mod lines;
mod listings;
mod scenarios;
pub mod server;
mod yaml;

use std::sync::Mutex;

use crate::stage::survived;
use case::try_all;
use files::BadFile;

/// Bytes of a huge file. With `DLC_FLEET_CORPUS=all` and a release build, nearly as many as a plan may have.
fn huge() -> usize {
    let all = std::env::var_os("DLC_FLEET_CORPUS").is_some_and(|value| value == "all");
    if all { 31 << 20 } else { 1 << 20 }
}

/// Every bad file.
fn bad_files() -> Vec<BadFile> {
    [csv::files(), yaml::files(), scenarios::files(), ledgers::files()].concat()
}

#[test]
fn every_bad_input_is_refused_with_place_and_remedy_or_taken_for_what_it_says() {
    let files = bad_files().into_iter().map(BadFile::into_case);
    let cases = files.chain(answers::cases()).chain(listings::cases()).collect();
    let counts = try_all(cases);
    let kinds: Vec<String> =
        counts.kinds.iter().map(|(kind, count)| format!("{count} {}", kind.words())).collect();
    let classes: Vec<String> =
        counts.classes.iter().map(|(class, count)| format!("{count} {}", class.words())).collect();
    survived(
        &format!("{} bad inputs: {}", counts.total(), kinds.join(", ")),
        &format!("{}; panics {}, hangs {}", classes.join(", "), counts.panics, counts.hangs),
    );
    assert!(counts.wrong.is_empty(), "{:#?}", counts.wrong);
}

#[test]
#[expect(clippy::print_stdout, reason = "the most memory that was used is a figure people want")]
fn the_executable_tells_clearly_about_every_bad_file_in_bounded_memory() {
    let queue = Mutex::new(bad_files());
    let (wrong, most) = (Mutex::new(Vec::new()), Mutex::new((0, "")));
    let total = queue.lock().expect("no panic").len();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(file) = { queue.lock().expect("no panic").pop() } {
                    match file.show() {
                        Ok(shown) => {
                            let peak = (shown.peak.unwrap_or(0), file.name);
                            let mut most = most.lock().expect("no panic");
                            *most = (*most).max(peak);
                        }
                        Err(what) => wrong.lock().expect("no panic").push(what),
                    }
                }
            });
        }
    });
    let (peak, name) = most.into_inner().expect("no panic");
    println!("{total} bad files before the executable; most memory {} MiB, for {name}", peak / 1024);
    let wrong = wrong.into_inner().expect("no panic");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(peak <= limits::BOUND, "{peak} KiB for {name}");
}
