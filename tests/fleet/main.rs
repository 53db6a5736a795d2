//! Drives the library in virtual time, and the real executable against the simulator over HTTP.

mod by_name;
mod clocks;
mod codes;
mod connect_proxy;
mod disk_faults;
mod endings;
mod flags;
mod kill_loop;
mod ledgers;
mod lost_answers;
mod main_job;
mod network;
mod plans;
mod proxies;
mod rooms;
mod sites;
mod stage;
mod staging;
mod tls;
mod virtual_time;
