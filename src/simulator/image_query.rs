//! What `DescribeDataEngineImageVersions` shows (document 1342/99270).

use super::engine_type::engine_type_of;
use super::world::{Image, Objection, World};
use crate::job::Region;

/// Which images are asked for, and in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ImageQuery {
    pub(super) engine_type: String,
    /// Empty is `InsertTime`.
    pub(super) sort: Option<String>,
    /// Oldest first.
    pub(super) ascending: bool,
}

impl ImageQuery {
    /// The images of one type.
    pub(super) fn listing(&self, world: &World, region: &Region) -> Result<Vec<Image>, Objection> {
        let wrong = |message: String| Objection::new("InvalidParameterValue", message);
        let engine_type = &self.engine_type;
        let engine_type = engine_type_of(engine_type)
            .ok_or_else(|| wrong(format!("EngineType {engine_type} is not one of the documented types")))?;
        // an image here was last updated when it was inserted, so both orders are the same
        if let Some(sort) =
            self.sort.as_deref().filter(|sort| !["", "InsertTime", "UpdateTime"].contains(sort))
        {
            return Err(wrong(format!("the value of Sort is not allowed: {sort}")));
        }
        let of_family = |image: &&Image| image.region == *region && image.engine_type == engine_type;
        let mut images: Vec<Image> = world.images().filter(of_family).cloned().collect();
        images.sort_by_key(|image| image.inserted);
        if !self.ascending {
            images.reverse();
        }
        Ok(images)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_come_newest_first_unless_asked_otherwise_and_in_no_other_order() {
        let region = Region::new("ap-guangzhou");
        let world = World::generated(1, 1, &region);
        let ask = |sort: Option<&str>, ascending| {
            let query =
                ImageQuery { engine_type: "SparkSQL".to_owned(), sort: sort.map(str::to_owned), ascending };
            query
                .listing(&world, &region)
                .map(|images| images.into_iter().map(|image| image.name).collect::<Vec<_>>())
        };
        let newest_first = ["SuperSQL-S 1.3", "SuperSQL-S 1.2", "SuperSQL-S 1.1", "SuperSQL-S 1.0"];
        assert_eq!(ask(None, false).expect("images"), newest_first);
        let oldest_first: Vec<_> = newest_first.into_iter().rev().collect();
        assert_eq!(ask(Some("UpdateTime"), true).expect("images"), oldest_first);
        assert_eq!(ask(Some("Name"), false).expect_err("a refusal").code, "InvalidParameterValue");
    }
}
