//! A plane in square blocks with what lies around them, so that work is only done where something changes. Must not
//! know what is done.

/// Side of a block in pixels.
pub(super) const BLOCK: usize = 64;

/// Goes over the plane (rows of `width` bytes) in blocks; where not all pixels of a block and `reach` pixels around it
/// are equal, `change` gets that patch (rows of `BLOCK + 2 × reach` bytes; beyond the border the border's pixels go on)
/// and writes the block's new pixels (rows of `BLOCK`), of which those inside the picture are kept.
pub(super) fn change_blocks(alpha: &mut [u8], width: usize, reach: usize, mut change: impl FnMut(&[u8], &mut [u8])) {
    let height = alpha.len() / width.max(1);
    if width == 0 || height == 0 {
        return;
    }
    let before = alpha.to_vec();
    let side = BLOCK + 2 * reach;
    let mut patch = vec![0; side * side];
    let mut block = vec![0; BLOCK * BLOCK];
    for top in (0..height).step_by(BLOCK) {
        for left in (0..width).step_by(BLOCK) {
            let rows = top.saturating_sub(reach)..(top + BLOCK + reach).min(height);
            let columns = left.saturating_sub(reach)..(left + BLOCK + reach).min(width);
            let first = before[top * width + left];
            let flat = rows.clone().all(|y| {
                before[y * width..][columns.clone()].iter().fold(0, |differs, level| differs | (level ^ first)) == 0
            });
            if flat {
                continue;
            }
            for (y, row) in patch.chunks_exact_mut(side).enumerate() {
                let from = &before[(top + y).saturating_sub(reach).min(height - 1) * width..][..width];
                for (x, value) in row.iter_mut().enumerate() {
                    *value = from[(left + x).saturating_sub(reach).min(width - 1)];
                }
            }
            change(&patch, &mut block);
            let (wide, high) = (BLOCK.min(width - left), BLOCK.min(height - top));
            for (y, row) in block.chunks_exact(BLOCK).take(high).enumerate() {
                alpha[(top + y) * width + left..][..wide].copy_from_slice(&row[..wide]);
            }
        }
    }
}
