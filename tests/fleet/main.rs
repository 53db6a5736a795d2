//! Drives the library in virtual time, and the real executable against the simulator over HTTP.

mod accounts;
mod canary;
mod clocks;
mod codes;
mod corpus;
mod disk_faults;
mod endings;
#[cfg(target_os = "linux")]
mod execution;
mod flags;
mod guard;
mod identity;
mod kill_loop;
mod ledgers;
mod lost_answers;
mod main_job;
#[cfg(target_os = "linux")]
mod one_writer;
#[cfg(target_os = "linux")]
mod outputs;
mod plans;
mod properties;
mod renewals;
mod rooms;
#[cfg(target_os = "linux")]
mod signals;
mod soak;
mod soaked_command;
mod stage;
mod staging;
#[cfg(target_os = "linux")]
mod terminal;
mod torture;
mod virtual_time;
