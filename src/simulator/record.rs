//! What listings say of an engine and of an image: every field that the vendor's sample answers have.

use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::engine_type::engine_type_of;
use super::world::Image;
use crate::cloud::EngineRecord;

/// One engine as a listing shows it: what our noun holds, and what it leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EngineRow {
    pub(super) record: EngineRecord,
    /// Unix seconds.
    pub(super) created: i64,
}

/// `EngineNetworkId` of every engine.
pub(super) const NETWORK: &str = "DataEngine-Network-simulated";

/// `Mode` of every engine: pay as you go.
pub(super) const MODE: i64 = 1;

/// The fields that are the same for all engines and that nobody here acts on. What may be null is null here and
/// there, because it arrives as null (vendor's tccli, `services/dlc/v20210125/examples.json`).
const REST: &str = r#"{
    "AccessInfos": null, "AutoAuthorization": true, "AutoResume": false, "AutoSuspend": false,
    "AutoSuspendTime": 10, "CidrBlock": null, "CrontabResumeSuspend": 0,
    "CrontabResumeSuspendStrategy": {"ResumeTime": "", "SuspendStrategy": 0, "SuspendTime": ""},
    "DefaultDataEngine": false, "DefaultHouse": false, "ElasticLimit": 0, "ElasticSwitch": false,
    "EngineNetworkName": null, "EngineResourceGroupCount": null, "EngineResourceUsedCU": null,
    "ExpireTime": "0", "GatewayId": null, "GatewayState": null, "IsAIEngine": null, "IsAIGateway": null,
    "IsPoolMode": null, "IsSupportAI": null, "IsolatedTime": "0", "MaxClusters": 1, "MaxConcurrency": 5,
    "Message": null, "MinClusters": 1, "NetworkConnectionSet": [], "Permissions": null, "QuotaId": "",
    "RenewFlag": 0, "ResourceType": "Standard_CU", "ReversalTime": "0", "SessionResourceTemplate": null, "Size": 16,
    "SpendAfter": null, "StartStandbyCluster": false, "SubAccountUin": "100000000001", "TagList": null,
    "TolerableQueueTime": 0, "UiURL": null, "UserAlias": null, "UserAppId": 1250000000,
    "UserUin": "100000000001"
}"#;

static REST_OF_ENGINE: LazyLock<Map<String, Value>> =
    LazyLock::new(|| serde_json::from_str(REST).expect("the text above is an object"));

/// `ClusterType` of engines of this type.
pub(super) fn cluster_type(engine_type: &str) -> String {
    format!("{engine_type}_private")
}

/// One entry of `DataEngines`.
pub(super) fn engine(row: &EngineRow) -> Value {
    let EngineRow { record, created } = row;
    let engine_type = record.engine_type_detail.as_deref().and_then(engine_type_of);
    let mut engine = json!({
        "DataEngineId": record.data_engine_id,
        "DataEngineName": record.name,
        "EngineType": engine_type.map(|engine_type| engine_type.engine_type),
        "EngineTypeDetail": record.engine_type_detail,
        "EngineExecType": record.kind.map(|kind| kind.exec_type.as_str()),
        "EngineGeneration": record.kind.map(|kind| kind.generation.as_str()),
        "EngineNetworkId": NETWORK,
        "ClusterType": engine_type.map(|engine_type| cluster_type(engine_type.engine_type)),
        "Mode": MODE,
        "State": record.state.map(|state| state.0),
        "ImageVersionId": record.image_version_id,
        "ImageVersionName": record.image_version_name,
        "ChildImageVersionId": record.child_image_version_id,
        "CreateTime": created,
        "UpdateTime": created,
    });
    if let Value::Object(fields) = &mut engine {
        fields.extend(REST_OF_ENGINE.clone());
    }
    engine
}

/// One entry of `ImageParentVersions`.
pub(super) fn image(image: &Image) -> Value {
    let time = Timestamp::from_second(image.inserted).unwrap_or_default();
    let time = time.strftime("%Y-%m-%d %H:%M:%S").to_string();
    json!({
        "ImageVersionId": image.image_version_id,
        "ImageVersion": image.name,
        "Description": "",
        "IsPublic": 1,
        "EngineType": image.engine_type.detail,
        "IsSharedEngine": 1,
        "State": image.state,
        "InsertTime": time,
        "UpdateTime": time,
    })
}

#[cfg(test)]
mod tests {
    use super::super::World;
    use super::*;
    use crate::job::Region;

    #[test]
    fn what_is_not_documented_to_be_null_is_not_null() {
        let world = World::generated(1, 1, &Region::new("ap-guangzhou"));
        let first = world.engines().next().expect("an engine");
        let engine = engine(&EngineRow { record: world.record(first), created: first.created });
        for (fields, record) in [
            (
                "DataEngineName EngineType ClusterType QuotaId State CreateTime UpdateTime Mode DataEngineId \
                 SubAccountUin ExpireTime IsolatedTime ReversalTime",
                engine,
            ),
            (
                "ImageVersionId ImageVersion Description IsPublic EngineType IsSharedEngine State InsertTime \
                 UpdateTime",
                image(world.images().next().expect("an image")),
            ),
        ] {
            for field in fields.split(' ') {
                assert!(!record[field].is_null(), "{field} in {record}");
            }
        }
    }
}
