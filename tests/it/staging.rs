//! Tables that wait in staging: who sees them, how they are promoted, and that nothing takes their parts away.
#![allow(clippy::unwrap_used)]

use crate::split::{Mask, World, masks};
use selvedge::digest::Fingerprint;
use selvedge::runner::gc;
use selvedge::stage::tables::{Place, Publication, Tables, staging_key};
use selvedge::stage::{Context, Error, Fence};
use selvedge::table::schema::{MASKS, SPLITS};
use selvedge::table::{Table, part};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The same store, for those who work ahead of a check.
fn ahead(world: &World) -> Context {
    Context { tables: Tables::staged(world.context.tables.store().clone()), ..world.context.clone() }
}

/// Publishes a version with one mask of so many pixels, and gives its number.
fn publish(context: &Context, table: &'static Table, pixels: u32) -> u64 {
    let base = context.tables.current(table).unwrap();
    let mut publication = Publication::begin(context, Place::from(table));
    let mask = Mask { id: "a".to_owned(), height: pixels, width: 1, classes: vec![0], lengths: vec![pixels] };
    let rows = if table.name == MASKS.name { masks(&[mask]) } else { part::empty(table) };
    publication.put(part::whole(table, &[rows]).unwrap()).unwrap();
    let depends_on = Fingerprint::default().with("pixels", pixels);
    publication.publish(base.as_ref(), depends_on, BTreeMap::new()).unwrap().version
}

fn pixels(context: &Context) -> Option<String> {
    let version = context.tables.current(&MASKS).unwrap()?;
    version.depends_on.0.get("pixels").cloned()
}

fn always() -> Fence {
    Arc::new(|| Ok(()))
}

#[test]
fn what_waits_is_seen_only_by_those_who_work_ahead_of_the_check() {
    let world = World::new();
    let ahead = ahead(&world);
    publish(&world.context, &MASKS, 1);
    assert_eq!(publish(&ahead, &MASKS, 2), 2);
    assert_eq!(publish(&ahead, &MASKS, 3), 2, "what waits is replaced, and stays one ahead");
    assert_eq!((pixels(&world.context).unwrap(), pixels(&ahead).unwrap()), ("1".to_owned(), "3".to_owned()));
    assert_eq!(ahead.tables.promote(&always()).unwrap(), ["masks"]);
    assert_eq!((pixels(&world.context).unwrap(), pixels(&ahead).unwrap()), ("3".to_owned(), "3".to_owned()));
    assert_eq!(ahead.tables.promote(&always()).unwrap(), [""; 0], "promoting twice is promoting once");
    assert_eq!(world.context.tables.versions(Place::from(&MASKS)).unwrap(), [1, 2]);
}

#[test]
fn a_promotion_that_was_cut_off_is_finished_by_the_next() {
    let world = World::new();
    let ahead = ahead(&world);
    publish(&ahead, &MASKS, 1);
    publish(&ahead, &SPLITS, 1);
    let asked = AtomicUsize::new(0);
    let once: Fence = Arc::new(move || match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Ok(()),
        _ => Err(Error::LostLock("another run holds it".to_owned())),
    });
    assert!(matches!(ahead.tables.promote(&once), Err(Error::LostLock(_))));
    let current = |table| world.context.tables.current(table).unwrap().is_some();
    assert!(current(&MASKS) && !current(&SPLITS));
    assert!(ahead.tables.current(&SPLITS).unwrap().is_some(), "it still waits");
    assert_eq!(ahead.tables.promote(&always()).unwrap(), ["splits"]);
    assert!(current(&SPLITS));
}

#[test]
fn what_somebody_else_published_meanwhile_is_not_overwritten() {
    let world = World::new();
    let ahead = ahead(&world);
    publish(&ahead, &MASKS, 1);
    publish(&world.context, &MASKS, 9);
    assert_eq!(pixels(&ahead).unwrap(), "9", "what waits was overtaken");
    assert_eq!(ahead.tables.promote(&always()).unwrap(), [""; 0]);
    assert_eq!(pixels(&world.context).unwrap(), "9");
    let store = world.context.tables.store();
    assert!(store.wait(store.head(&staging_key("masks"))).unwrap().is_none());
}

#[test]
fn gc_takes_no_part_that_waits() {
    let world = World::new();
    let ahead = ahead(&world);
    for pixels in 1..5 {
        publish(&world.context, &MASKS, pixels);
    }
    publish(&ahead, &MASKS, 7);
    let store = world.context.tables.store();
    let removals = gc::decide(store, 1).unwrap();
    let parts = removals.iter().filter(|removal| removal.key.contains("part-")).count();
    assert_eq!(parts, 3, "those of three old versions: {removals:?}");
    gc::remove(store, &removals).unwrap();
    let waiting = ahead.tables.current(&MASKS).unwrap().unwrap();
    assert_eq!(
        ahead.tables.scan(Place::from(&MASKS), &waiting, None).map(|batch| batch.unwrap().num_rows()).sum::<usize>(),
        1
    );
}
