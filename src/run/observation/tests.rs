//! Tests of how a record is classified.

use super::*;
use crate::job::Region;
use crate::run::fixtures::{job, view};
use crate::run::fleet_view::FleetView;

#[test]
fn a_minor_version_as_target_is_compared_with_minor_versions() {
    let on = |image: &str, minor: &str, before: &str| {
        let mut record = view(image, 2).engine(&job().key).expect("there").clone();
        record.child_image_version_id = Some(minor.to_owned());
        let mut view = FleetView::default();
        view.add_records(&Region::new("ap-guangzhou"), vec![record]);
        view.observe(&job().key, Some(&ImageVersionId::new(before)))
    };
    assert!(matches!(on("parent", "new", "old"), Observation::Target { .. }));
    assert!(matches!(on("old", "minor-1", "old"), Observation::OldImage { .. }));
    assert!(
        matches!(on("old", "minor-2", "minor-1"), Observation::OtherImage(_)),
        "moved within its major version"
    );
    assert!(matches!(on("parent", "minor-1", "old"), Observation::OtherImage(_)));
}
