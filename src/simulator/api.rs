//! The APIs and actions that the simulator supports.

use crate::cloud::sts::{self, ASSUME_ROLE, ASSUME_ROLE_WITH_WEB_IDENTITY, GET_CALLER_IDENTITY};
use crate::cloud::{API_VERSION, LIST_ENGINES, LIST_IMAGES, SHOW_ENGINE, SWITCH};

/// An API of the simulated service.
pub(super) struct Api {
    /// Name in the scope of a signature.
    pub(super) service: &'static str,
    pub(super) version: &'static str,
    pub(super) actions: &'static [&'static str],
}

pub(super) const DLC: Api =
    Api { service: "dlc", version: API_VERSION, actions: &[SWITCH, LIST_ENGINES, SHOW_ENGINE, LIST_IMAGES] };

pub(super) const STS: Api = Api {
    service: sts::SERVICE,
    version: sts::API_VERSION,
    actions: &[GET_CALLER_IDENTITY, ASSUME_ROLE, ASSUME_ROLE_WITH_WEB_IDENTITY],
};

/// All supported actions.
pub(super) fn actions() -> impl Iterator<Item = &'static str> {
    DLC.actions.iter().chain(STS.actions).copied()
}
