//! Names that are unique by chance: runs, attempts, owners. Must not know what they name.

use crate::clock;

/// 16 hexadecimal digits from the operating system's random source.
///
/// # Panics
/// When the operating system has no random source, since nothing that relies on unique names may go on then.
pub fn token() -> String {
    let mut bytes = [0_u8; 8];
    getrandom::fill(&mut bytes).expect("the operating system's random source answers");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A name for a run that sorts by its start: `20261123T021500.123Z-1f2e3d4c`.
pub fn run() -> String {
    let time = clock::now().strftime("%Y%m%dT%H%M%S.%3fZ").to_string();
    format!("{time}-{}", &token()[..8])
}
