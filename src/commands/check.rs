//! `dlc-fleet check`: reviews a plan.

use std::collections::BTreeSet;
use std::path::Path;

use super::output::print_result;
use super::variables::environment;
use super::{guard, sites};
use crate::cli::CheckArgs;
use crate::error::Failure;
use crate::exit::Exit;
use crate::format::{plural, shown_path};
use crate::job::Region;
use crate::plan::{self, Expect, Plan, PlanError};
use crate::report::print::to_stderr;
use crate::report::soaks;
use crate::settings;

pub(super) fn check(args: &CheckArgs) -> Result<Exit, Failure> {
    let region = settings::region(args.region.as_deref(), &environment(args.profile.as_deref()))?;
    let Some(plan) = load(&args.plan, region.as_ref())? else { return Ok(Exit::Usage) };
    guard::check_regions(&plan)?;
    let endpoint = sites::needed_endpoint(&plan.jobs)?;
    let regions: BTreeSet<&Region> = plan.jobs.iter().map(|job| &job.key.region).collect();
    let targets: BTreeSet<_> = plan.jobs.iter().map(|job| &job.key.new_image_version_id).collect();
    print_result(&format!(
        "{}: {} to {} in {}, {}{}: no problems found{}\n",
        shown_path(&plan.path),
        plural(plan.jobs.len(), "engine"),
        plural(targets.len(), "image version"),
        plural(regions.len(), "region"),
        plural(plan.waves.len(), "wave"),
        soaks(&plan.waves).map_or_else(String::new, |soaks| format!(" (soaks: {soaks})")),
        expectations(&plan.expect),
    ))?;
    if let Some(host) = endpoint {
        let note = "a finance region has a host of its own: run this plan with";
        print_result(&format!("{note} --endpoint {host}\n"))?;
    }
    Ok(Exit::Success)
}

/// What a run will check before any call.
fn expectations(expect: &Expect) -> String {
    let account = expect.account.as_ref().map(|account| format!("the account {account}"));
    let region = expect.region.as_ref().map(|region| format!("the region {region}"));
    let all: Vec<String> = account.into_iter().chain(region).collect();
    if all.is_empty() { String::new() } else { format!("; it expects {}", all.join(" and ")) }
}

/// Loads a plan and prints its diagnostics. `None` when there are errors among them.
pub(super) fn load(path: &Path, region: Option<&Region>) -> Result<Option<Plan>, Failure> {
    match plan::load(path, region) {
        Ok(plan) => {
            if !plan.warnings.is_empty() {
                to_stderr(&plan.warnings.render(true));
            }
            Ok(Some(plan))
        }
        Err(PlanError::Invalid(diagnostics)) => {
            to_stderr(&diagnostics.render(true));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
