//! Drives the library in virtual time, and the real executable against the simulator over HTTP.

mod accounts;
mod by_name;
mod canary;
mod clocks;
mod codes;
mod connect_proxy;
mod control_characters;
mod corpus;
#[cfg(target_os = "linux")]
mod decisions;
mod descriptors;
mod disk_faults;
mod endings;
#[cfg(target_os = "linux")]
mod execution;
mod flags;
mod guard;
mod handed_out;
mod identity;
mod incomplete_listings;
mod kill_loop;
mod ledgers;
mod lost_answers;
mod main_job;
mod minor_versions;
mod module_map;
mod moved_engines;
mod network;
#[cfg(target_os = "linux")]
mod one_writer;
#[cfg(target_os = "linux")]
mod outputs;
mod plans;
mod properties;
mod proxies;
mod refusals_that_prove_nothing;
mod renewals;
#[cfg(target_os = "linux")]
mod sample_reasons;
mod signals;
mod sites;
mod soak;
mod soaked_command;
mod soaks_by_name;
mod stage;
mod staging;
mod suspension;
#[cfg(target_os = "linux")]
mod terminal;
mod tls;
mod torture;
mod transient_reads;
mod virtual_time;
