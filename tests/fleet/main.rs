//! Drives the library in virtual time, and the real executable against the simulator over HTTP.

mod codes;
mod endings;
mod flags;
mod main_job;
mod plans;
mod rooms;
mod stage;
mod virtual_time;
