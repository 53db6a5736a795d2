//! Reads the requests that the simulator supports, and refuses all others with a documented code.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::engine_type;
use super::listing::EngineQuery;
use super::refusal::{invalid, missing, refuse, unsupported, unsupported_action};
use super::sts::{Identity, RoleRequest};
use crate::cloud::sts::{ASSUME_ROLE, ASSUME_ROLE_WITH_WEB_IDENTITY, GET_CALLER_IDENTITY};
use crate::cloud::{
    EngineExecType, EngineGeneration, EngineKind, LIST_ENGINES, LIST_IMAGES, MAX_IDS_PER_CALL, Refusal,
    SHOW_ENGINE, SWITCH,
};
use crate::job::{DataEngineId, DataEngineName, JobKey, Region};

/// A request whose parameters are valid.
#[derive(Clone, Debug)]
pub(super) enum Call {
    /// `SwitchDataEngineImage`
    Switch(JobKey),
    /// `DescribeDataEngines`
    Engines(Region, EngineQuery),
    /// `DescribeDataEngine`
    Engine(Region, DataEngineName),
    /// `DescribeDataEngineImageVersions`, for a value of `EngineType`
    Images(Region, String),
    /// `GetCallerIdentity`, with the caller
    Identity(Identity),
    /// `AssumeRole` and `AssumeRoleWithWebIdentity`
    Role(RoleRequest),
}

/// The engine that a switch request names, if its body can be read.
pub(super) fn engine_id(action: &str, body: &[u8]) -> Option<DataEngineId> {
    let body: Value = serde_json::from_slice(body).ok().filter(|_| action == SWITCH)?;
    body["DataEngineId"].as_str().map(DataEngineId::new)
}

/// Reads the request of a caller; `now` is the clock of the service in Unix seconds.
pub(super) fn read(
    action: &str,
    region: Option<&str>,
    body: &[u8],
    caller: Identity,
    now: i64,
) -> Result<Call, Refusal> {
    let region = region.filter(|region| !region.is_empty()).ok_or_else(|| missing("X-TC-Region"))?;
    if !is_region(region) {
        return Err(refuse("UnsupportedRegion", format!("{region} is not a region")));
    }
    let region = Region::new(region);
    let mut parameters = Parameters::read(body)?;
    let call = match action {
        SWITCH => Call::Switch(JobKey {
            region,
            data_engine_id: parameters.required("DataEngineId")?,
            new_image_version_id: parameters.required("NewImageVersionId")?,
        }),
        LIST_ENGINES => Call::Engines(region, parameters.engine_query()?),
        SHOW_ENGINE => Call::Engine(region, parameters.required("DataEngineName")?),
        LIST_IMAGES => Call::Images(region, parameters.documented_engine_type()?),
        GET_CALLER_IDENTITY => Call::Identity(caller),
        ASSUME_ROLE => Call::Role(parameters.role(caller, now)?),
        ASSUME_ROLE_WITH_WEB_IDENTITY => {
            for name in ["ProviderId", "WebIdentityToken"] {
                if parameters.required::<String>(name)?.trim().is_empty() {
                    return Err(refuse("InvalidParameter", format!("{name} is empty")));
                }
            }
            Call::Role(parameters.role(caller, now)?)
        }
        other => return Err(unsupported_action(other)),
    };
    parameters.check_all_read()?;
    Ok(call)
}

/// Checks the format only, as in `ap-guangzhou` and `ap-shanghai-fsi`: the vendor publishes no complete list.
fn is_region(text: &str) -> bool {
    let mut parts = text.split('-');
    let area = parts.next().is_some_and(|area| area.len() == 2);
    let mut rest = parts.peekable();
    area && rest.peek().is_some()
        && rest.all(|part| !part.is_empty())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// The parameters of a request that were not read yet.
struct Parameters(Map<String, Value>);

/// One entry of `Filters`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Filter {
    name: String,
    operator: Option<String>,
    values: Vec<DataEngineId>,
}

impl Parameters {
    fn read(body: &[u8]) -> Result<Self, Refusal> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(parameters)) => Ok(Self(parameters)),
            _ => Err(refuse("InvalidParameter", "the body is not a JSON object")),
        }
    }

    fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Refusal> {
        let value = self.0.remove(name).filter(|value| !value.is_null());
        let value = value.map(serde_json::from_value).transpose();
        value.map_err(|_| refuse("InvalidParameter", format!("the parameter {name} has the wrong type")))
    }

    fn required<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, Refusal> {
        self.optional(name)?.ok_or_else(|| missing(name))
    }

    /// An optional text; an empty one is the same as none.
    fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        Ok(self.optional::<String>(name)?.filter(|text| !text.is_empty()))
    }

    /// A text with a list of documented values, the first of which is the default.
    fn one_of<T: Copy>(
        &mut self,
        name: &str,
        values: [T; 2],
        as_str: fn(T) -> &'static str,
    ) -> Result<T, Refusal> {
        let Some(text) = self.text(name)? else { return Ok(values[0]) };
        values.into_iter().find(|value| as_str(*value) == text).ok_or_else(|| invalid(name, &text))
    }

    /// What a listing leaves empty hides engines: other generations and other execution types.
    fn engine_query(&mut self) -> Result<EngineQuery, Refusal> {
        let generations = [EngineGeneration::SuperSql, EngineGeneration::Native];
        let exec_types = [EngineExecType::Sql, EngineExecType::Batch];
        let kind = EngineKind {
            generation: self.one_of("EngineGeneration", generations, EngineGeneration::as_str)?,
            exec_type: self.one_of("EngineExecType", exec_types, EngineExecType::as_str)?,
            gateway: false,
        };
        for (name, supported) in [("SortBy", "create-time"), ("Sorting", "asc")] {
            if let Some(other) = self.text(name)?.filter(|text| text != supported) {
                return Err(unsupported(&format!("{name} {other:?}; it supports {supported:?}")));
            }
        }
        Ok(EngineQuery {
            kind,
            engine_type: self.text("EngineType")?,
            ids: self.ids()?,
            offset: self.optional("Offset")?.unwrap_or(0),
            limit: self.optional("Limit")?.unwrap_or(10),
        })
    }

    /// The engine ids of the one filter that is supported.
    fn ids(&mut self) -> Result<Option<Vec<DataEngineId>>, Refusal> {
        let filters: Vec<Filter> = self.optional("Filters")?.unwrap_or_default();
        match filters.as_slice() {
            [] => Ok(None),
            [Filter { name, operator: Some(operator), values }]
                if name == "engine-id" && operator == "IN" =>
            {
                // the general error texts of the product
                if values.is_empty() || values.len() > MAX_IDS_PER_CALL {
                    return Err(invalid("Filters.Values", &format!("{} values", values.len())));
                }
                Ok(Some(values.clone()))
            }
            _ => Err(unsupported("these Filters; it supports one filter, engine-id with the operator IN")),
        }
    }

    fn documented_engine_type(&mut self) -> Result<String, Refusal> {
        let detail: String = self.required("EngineType")?;
        if engine_type::by_detail(&detail).is_none() {
            return Err(invalid("EngineType", &detail));
        }
        Ok(detail)
    }

    fn role(&mut self, caller: Identity, now: i64) -> Result<RoleRequest, Refusal> {
        Ok(RoleRequest {
            arn: self.required("RoleArn")?,
            session_name: self.required("RoleSessionName")?,
            seconds: self.optional("DurationSeconds")?,
            principal_id: caller.account_id,
            now,
        })
    }

    fn check_all_read(&self) -> Result<(), Refusal> {
        self.0.keys().next().map_or(Ok(()), |name| {
            Err(refuse("UnknownParameter", format!("the simulator does not support the parameter {name}")))
        })
    }
}

#[cfg(test)]
mod tests;
