//! Drives the library in virtual time, and the real executable against the simulator over HTTP.

mod canary;
mod clocks;
mod codes;
mod disk_faults;
mod endings;
mod flags;
mod kill_loop;
mod ledgers;
mod lost_answers;
mod main_job;
#[cfg(target_os = "linux")]
mod outputs;
mod plans;
mod rooms;
mod soak;
mod soaked_command;
mod stage;
mod staging;
mod torture;
mod virtual_time;
