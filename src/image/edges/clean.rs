//! Pieces dropped and holes filled in a matte at full size. Must not know the photo.

use super::pieces::{Pieces, Side, pieces};

/// A level (of 255) from which on a pixel belongs to a piece or a hole in its own right: what is fainter only goes with
/// what it hangs on.
const CORE: u8 = 26;

/// Drops pieces that weigh less than `share` of the heaviest one (or all but that one), with the haze around them.
pub(super) fn drop_pieces(alpha: &mut [u8], width: usize, share: f32, only_largest: bool) {
    if !(share > 0.0 || only_largest) {
        return;
    }
    let cores = pieces(alpha, width, Side::Front, CORE);
    // The first of the heaviest, so that two equal ones do not both stay when one is asked for.
    let Some(largest) = (0..cores.pieces.len()).rev().max_by_key(|piece| cores.pieces[*piece].weight) else {
        return;
    };
    let least = f64::from(share.clamp(0.0, 1.0)) * cores.pieces[largest].weight as f64;
    let stays = |piece: usize| piece == largest || !only_largest && cores.pieces[piece].weight as f64 >= least;
    let stays: Vec<bool> = (0..cores.pieces.len()).map(stays).collect();
    let whole = pieces(alpha, width, Side::Front, 1);
    let holds = holding(&whole, &cores, &stays);
    paint(alpha, width, &whole, |piece| !holds[piece], 0);
    paint(alpha, width, &cores, |piece| !stays[piece], 0);
}

/// Fills holes that weigh at most `share` of all that is foreground; what reaches the picture's border is no hole.
pub(super) fn fill_holes(alpha: &mut [u8], width: usize, share: f32) {
    if share.is_nan() || share <= 0.0 {
        return;
    }
    let cores = pieces(alpha, width, Side::Back, CORE);
    if cores.pieces.iter().all(|piece| piece.at_border) {
        return;
    }
    let subject: u64 = alpha.iter().map(|level| u64::from(*level)).sum();
    let most = f64::from(share) * subject as f64;
    let stays: Vec<bool> = cores.pieces.iter().map(|piece| piece.at_border || piece.weight as f64 > most).collect();
    let whole = pieces(alpha, width, Side::Back, 1);
    let (holds, any) = (holding(&whole, &cores, &stays), holding(&whole, &cores, &vec![true; stays.len()]));
    // A shallow dip without a core is no hole: fabric may be a little translucent.
    paint(alpha, width, &whole, |piece| any[piece] && !holds[piece] && !whole.pieces[piece].at_border, 255);
    paint(alpha, width, &cores, |piece| !stays[piece], 255);
}

/// Which pieces of `whole` hold a piece of `cores` that is wanted. Both are of one plane and side, so that every run of
/// the cores lies inside one run of the whole.
fn holding(whole: &Pieces, cores: &Pieces, wanted: &[bool]) -> Vec<bool> {
    let mut holds = vec![false; whole.pieces.len()];
    let mut outer = whole.runs.iter().peekable();
    for core in &cores.runs {
        while outer.next_if(|run| (run.row, run.end) <= (core.row, core.begin)).is_some() {}
        if let Some(run) = outer.peek() {
            holds[run.piece] |= wanted[core.piece];
        }
    }
    holds
}

fn paint(alpha: &mut [u8], width: usize, pieces: &Pieces, chosen: impl Fn(usize) -> bool, level: u8) {
    for run in &pieces.runs {
        if chosen(run.piece) {
            alpha[run.row * width + run.begin..run.row * width + run.end].fill(level);
        }
    }
}
