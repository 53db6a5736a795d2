//! `dlc-fleet whoami`: whose keys a run would use, and where it would find them. Never the keys themselves.

use super::caller::{Caller, Wanted};
use super::guard::{compare, expected};
use super::{env_var, environment, print_result};
use crate::cli::{Output, WhoamiArgs};
use crate::cloud::network::Network;
use crate::cloud::sts::SERVICE;
use crate::error::Failure;
use crate::exit::Exit;
use crate::report::{self, GoodFor, Whoami, whoami_json};
use crate::run::RunOptions;
use crate::settings;

pub(super) async fn whoami(args: &WhoamiArgs) -> Result<Exit, Failure> {
    let environment = environment(args.profile.as_deref());
    let endpoint = settings::endpoint(args.endpoint.as_deref(), &environment)?;
    let region = settings::region(args.region.as_deref(), &environment)?;
    let network = Network::resolve(&endpoint, args.ca_file.as_deref(), env_var)?;
    let wanted = Wanted {
        endpoint: &endpoint,
        network: &network,
        region: region.as_ref(),
        request_timeout: args.request_timeout.unwrap_or(RunOptions::default().request_timeout),
        profile: args.profile.as_deref(),
        role: settings::role(&args.caller),
    };
    let caller = Caller::find(wanted).await.map_err(Failure::only_what)?;
    let identity = caller.identity().await?;
    // after the question, which may have learned the service's time or renewed the keys
    let keys = caller.keys().await?;
    let good_for = match (keys.expires(), keys.token()) {
        (Some(until), _) => GoodFor::Until { until, left: until.saturating_sub(caller.time.now()) },
        (None, Some(_)) => GoodFor::Unknown,
        (None, None) => GoodFor::Ever,
    };
    let expected = expected(None, args.caller.expect_account.as_deref());
    let fits = compare(&expected, &identity);
    let told = Whoami {
        source: caller.keyring.source(),
        account_id: identity.account_id,
        arn: identity.arn,
        user_id: identity.user_id,
        principal_id: identity.principal_id,
        kind: identity.kind,
        good_for,
        region: region.map(|region| region.to_string()),
        endpoint: endpoint.to_string(),
        sts_endpoint: endpoint.of_service(SERVICE).to_string(),
        clock_ahead: caller.time.ahead(),
    };
    print_result(&match args.output {
        Output::Human => report::whoami(&told),
        Output::Json => whoami_json(&told),
    })?;
    fits.map(|()| Exit::Success)
}
