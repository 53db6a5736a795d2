//! The service and STS: the API as traits, and their implementation over HTTPS.

pub mod api;
pub mod catalogue;
pub mod connection;
pub mod credentials;
pub mod endpoint;
pub mod engine;
pub mod error;
#[cfg(test)]
mod faulty_server;
mod file;
pub mod http;
mod json;
pub mod network;
pub mod service_clock;
pub mod sign;
pub mod signed;
pub mod sts;
mod transport_error;
mod wire;

pub use api::{
    API_VERSION, Cloud, Fleet, LIST_ENGINES, LIST_IMAGES, MAX_IDS_PER_CALL, MAX_PAGE_SIZE, SHOW_ENGINE,
    SWITCH,
};
pub use connection::ConnectionProblem;
pub use engine::{
    EngineExecType, EngineGeneration, EngineKind, EngineListing, EnginePage, EngineRecord, EngineState,
    ImageRecord, Receipt,
};
pub use error::{CallError, Refusal};
