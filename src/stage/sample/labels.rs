//! The names of the data set's 46 classes and 294 attributes. Must not know pictures.

use serde_json::{Value, json};

const CLASSES: &str = include_str!("../../table/data/classes.tsv");
const ATTRIBUTES: &str = include_str!("../../table/data/attributes.tsv");

/// `label_descriptions.json` in the data set's form.
pub(super) fn descriptions() -> Value {
    json!({
        "info": {
            "year": 2020,
            "version": "1.0",
            "description": "Drawn clothes in the form of iMaterialist (Fashion) 2020",
            "contributor": "selvedge sample-data",
            "url": "",
            "date_created": "2020-02-01",
        },
        "categories": entries(CLASSES, 4),
        "attributes": entries(ATTRIBUTES, 3),
    })
}

/// `id, name, supercategory` are the first columns of both lists, `level` is column `level`.
fn entries(list: &str, level: usize) -> Vec<Value> {
    let number = |text: Option<&&str>| text.and_then(|t| t.parse::<u32>().ok());
    list.lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            json!({
                "id": number(fields.first()),
                "name": fields.get(1),
                "supercategory": fields.get(2),
                "level": number(fields.get(level)),
            })
        })
        .collect()
}
