//! Drives the library in virtual time, and the real executable against the simulator over HTTP.

mod clocks;
mod codes;
mod disk_faults;
mod endings;
mod flags;
mod guard;
mod identity;
mod kill_loop;
mod ledgers;
mod lost_answers;
mod main_job;
mod plans;
mod renewals;
mod rooms;
mod stage;
mod staging;
mod virtual_time;
