//! `dlc-fleet whoami`: the caller of a run, and the source of its keys. Never shows the keys.

use super::caller::{Caller, CallerOptions};
use super::guard::{compare, expected_accounts};
use super::output::print_result;
use super::variables::{env_var, environment};
use crate::cli::{Output, WhoamiArgs};
use crate::cloud::network::Network;
use crate::cloud::sts::SERVICE;
use crate::error::Failure;
use crate::exit::Exit;
use crate::report::{self, Validity, Whoami, whoami_json};
use crate::run::RunOptions;
use crate::settings;

pub(super) async fn whoami(args: &WhoamiArgs) -> Result<Exit, Failure> {
    let environment = environment(args.profile.as_deref());
    let endpoint = settings::endpoint(args.endpoint.as_deref(), &environment)?;
    let region = settings::region(args.region.as_deref(), &environment)?;
    let network = Network::resolve(&endpoint, args.ca_file.as_deref(), env_var)?;
    let options = CallerOptions {
        endpoint: &endpoint,
        network: &network,
        region: region.as_ref(),
        request_timeout: args.request_timeout.unwrap_or(RunOptions::default().request_timeout),
        profile: args.profile.as_deref(),
        role: settings::role(&args.caller),
    };
    let caller = Caller::find(options).await.map_err(Failure::only_what)?;
    let identity = caller.identity().await?;
    // after the call, which may have corrected the clock or renewed the keys
    let keys = caller.keys().await?;
    let validity = match (keys.expires(), keys.token()) {
        (Some(until), _) => Validity::Until { until, left: until.saturating_sub(caller.clock.now()) },
        (None, Some(_)) => Validity::Unknown,
        (None, None) => Validity::Permanent,
    };
    let expected = expected_accounts(None, args.caller.expect_account.as_deref());
    let comparison = compare(&expected, &identity);
    let shown = Whoami {
        source: caller.keyring.source(),
        account_id: identity.account_id,
        arn: identity.arn,
        user_id: identity.user_id,
        principal_id: identity.principal_id,
        kind: identity.kind,
        validity,
        region: region.map(|region| region.to_string()),
        endpoint: endpoint.to_string(),
        sts_endpoint: endpoint.of_service(SERVICE).to_string(),
        clock_ahead: caller.clock.ahead(),
    };
    print_result(&match args.output {
        Output::Human => report::whoami(&shown),
        Output::Json => whoami_json(&shown),
    })?;
    comparison.map(|()| Exit::Success)
}
