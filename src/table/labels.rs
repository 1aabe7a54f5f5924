//! The classes and attributes of iMaterialist (Fashion) 2020, the public label list. Must not know any image.

use std::sync::LazyLock;

/// One of the 46 classes: ids 0–26 are main items, 27–45 parts of garments.
#[derive(Debug, Clone)]
pub struct Class {
    /// `ClassId` in the CSV.
    pub id: u8,
    /// The name; may hold commas.
    pub name: &'static str,
    /// The group that the label list puts it in.
    pub supercategory: &'static str,
    /// Whether it is a main item.
    pub main: bool,
    /// Rows of the class in the public training file.
    pub instances: u32,
}

/// One of the 294 attributes; ids are not contiguous.
#[derive(Debug, Clone)]
pub struct Attribute {
    /// Its number in `AttributesIds`.
    pub id: u16,
    /// The name.
    pub name: &'static str,
    /// The group that the label list puts it in.
    pub supercategory: &'static str,
    /// Its level in the label list, 1 or 2.
    pub level: u8,
}

/// The classes by id.
pub static CLASSES: LazyLock<Vec<Class>> = LazyLock::new(|| {
    let rows = include_str!("data/classes.tsv").lines().skip(1);
    rows.filter_map(|row| {
        let fields: Vec<&str> = row.split('\t').collect();
        let [id, name, supercategory, main, _, _, instances, ..] = fields[..] else { return None };
        let (id, instances) = (id.parse().ok()?, instances.parse().ok()?);
        Some(Class { id, name, supercategory, main: main == "main", instances })
    })
    .collect()
});

/// The name of a value of a class map: 0 background, class id + 1, 255 void.
pub fn value_name(value: u8) -> &'static str {
    match value {
        0 => "background",
        255 => "void",
        value => CLASSES.get(usize::from(value) - 1).map_or("unknown", |class| class.name),
    }
}

/// The attributes by id, ascending.
pub static ATTRIBUTES: LazyLock<Vec<Attribute>> = LazyLock::new(|| {
    let rows = include_str!("data/attributes.tsv").lines().skip(1);
    rows.filter_map(|row| {
        let fields: Vec<&str> = row.split('\t').collect();
        let [id, name, supercategory, level, ..] = fields[..] else { return None };
        Some(Attribute { id: id.parse().ok()?, name, supercategory, level: level.parse().ok()? })
    })
    .collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_whole() {
        assert_eq!(CLASSES.len(), 46);
        assert!(CLASSES.iter().enumerate().all(|(index, class)| class.id as usize == index));
        assert_eq!(CLASSES.iter().filter(|class| class.main).count(), 27);
        assert_eq!(CLASSES.iter().map(|class| class.instances).sum::<u32>(), 333_401);
        assert_eq!(ATTRIBUTES.len(), 294);
        assert!(ATTRIBUTES.is_sorted_by_key(|attribute| attribute.id));
    }
}
