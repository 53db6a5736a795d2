//! Refuses plans whose rows one host cannot serve. Any host of a site serves any region, except that each finance region
//! has a host of its own, which serves nothing else.

use std::collections::BTreeMap;

use super::command_line;
use crate::cloud::endpoint::{Endpoint, host_for};
use crate::error::Failure;
use crate::exit::Exit;
use crate::format::plural;
use crate::job::Job;
use crate::settings::Target;

/// The rows of a plan by the host that serves them: their number, and the region of the first one.
struct Hosts<'a>(BTreeMap<String, (usize, &'a str)>);

impl<'a> Hosts<'a> {
    fn of(jobs: impl Iterator<Item = &'a Job>) -> Self {
        let mut hosts = BTreeMap::new();
        for region in jobs.map(|job| job.key.region.as_str()) {
            hosts.entry(host_for(region)).or_insert((0, region)).0 += 1;
        }
        Self(hosts)
    }

    /// The host that serves every row, if there is one.
    fn only(&self) -> Result<Option<&str>, Failure> {
        if self.0.len() < 2 {
            return Ok(self.0.keys().next().map(String::as_str));
        }
        let needs = |(host, (rows, region)): (&String, &(usize, &str))| {
            format!("{} ({region}) through {host}", plural(*rows, "engine"))
        };
        let needs: Vec<String> = self.0.iter().map(needs).collect();
        let what = format!(
            "no host serves every row of the plan, because a finance region has a host of its own: {}",
            needs.join(", ")
        );
        Err(Failure::new(Exit::Usage, what).next("nothing was sent; split the plan into one for each host"))
    }
}

/// The endpoint that a plan in a finance region needs; `None` if any host serves it.
pub(super) fn needed_endpoint(jobs: &[Job]) -> Result<Option<String>, Failure> {
    let hosts = Hosts::of(jobs.iter());
    let only = hosts.only()?.map(str::to_owned);
    Ok(only.filter(|host| *host != Endpoint::default().to_string()))
}

/// Refuses a plan whose rows the endpoint does not serve. A simulator serves all regions.
pub(super) fn check_plan_fits(target: &Target, jobs: &[Job]) -> Result<(), Failure> {
    let Target::Service(endpoint) = target else { return Ok(()) };
    if jobs.iter().all(|job| endpoint.serves(job.key.region.as_str())) {
        return Ok(());
    }
    Hosts::of(jobs.iter()).only()?;
    let left = Hosts::of(jobs.iter().filter(|job| !endpoint.serves(job.key.region.as_str())));
    let Some((host, (rows, region))) = left.0.iter().next() else { return Ok(()) };
    let why = match endpoint.finance_region() {
        Some(own) => format!("which serves only {own}"),
        None => format!("because a finance region has a host of its own, {host}"),
    };
    let what = format!("{} in {region} cannot be reached through {endpoint}, {why}", plural(*rows, "engine"));
    let next = format!("nothing was sent; run {}", command_line::with_endpoint(host));
    Err(Failure::new(Exit::Usage, what).next(next))
}
