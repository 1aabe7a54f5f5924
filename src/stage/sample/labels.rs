//! `label_descriptions.json` in the data set's form. Must not know pictures.

use crate::table::labels::{ATTRIBUTES, CLASSES, Class};
use serde_json::{Value, json};

/// Info, all 46 classes, all 294 attributes.
pub(super) fn descriptions() -> Value {
    let entry = |id: u16, name: &str, supercategory: &str, level: u8| json!({"id": id, "name": name, "supercategory": supercategory, "level": level});
    let class = |class: &Class| entry(class.id.into(), class.name, class.supercategory, 2);
    json!({
        "info": {
            "year": 2020,
            "version": "1.0",
            "description": "Drawn clothes in the form of iMaterialist (Fashion) 2020",
            "contributor": "selvedge sample-data",
            "url": "",
            "date_created": "2020-02-01",
        },
        "categories": CLASSES.iter().map(class).collect::<Vec<_>>(),
        "attributes": ATTRIBUTES.iter().map(|a| entry(a.id, a.name, a.supercategory, a.level)).collect::<Vec<_>>(),
    })
}
