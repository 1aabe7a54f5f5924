//! How cutouts are made and judged, as words: the same in a pipeline file and on the command line. Must not know which of
//! the two.

use super::pairs::Pairs;
use crate::image::Edges;
use crate::stage::cutout::judge::Bounds;
use crate::stage::cutout::products::Output;

/// How edges are treated: `default`, `none`, or changes to the default as pairs.
pub fn edges(text: &str) -> Result<Edges, String> {
    match text {
        "default" => Ok(Edges::default()),
        "none" => Ok(Edges::NONE),
        pairs if pairs.contains('=') => edges_of(Pairs::parse(pairs)?),
        word => Err(format!("{word:?} is neither default nor none nor pairs such as shrink=0.5,feather=1")),
    }
}

/// Changes to the default treatment of edges.
pub fn edges_of(mut pairs: Pairs) -> Result<Edges, String> {
    let default = Edges::default();
    let edges = Edges {
        refine: pairs.flag("refine")?.unwrap_or(default.refine),
        colour: pairs.flag("colour")?.unwrap_or(default.colour),
        fill_holes: pairs.number("fill_holes", 0.0, 1.0)?.unwrap_or(default.fill_holes),
        drop_specks: pairs.number("drop_specks", 0.0, 1.0)?.unwrap_or(default.drop_specks),
        keep_largest: pairs.flag("keep_largest")?.unwrap_or(default.keep_largest),
        shrink: pairs.number("shrink", -64.0, 64.0)?.unwrap_or(default.shrink),
        feather: pairs.number("feather", 0.0, 64.0)?.unwrap_or(default.feather),
    };
    pairs.finish().map(|()| edges)
}

/// stub
pub fn output(_: Pairs) -> Result<Output, String> {
    Ok(Output::default())
}

/// What becomes of doubtful cutouts.
pub struct Review {
    /// Where they go.
    pub to: Option<String>,
    /// How many are on the contact sheet.
    pub sheet: Option<u32>,
    /// What a cutout must keep.
    pub bounds: Bounds,
}

/// Where doubtful cutouts go, and which ones are.
pub fn review(mut pairs: Pairs) -> Result<Review, String> {
    let default = Bounds::default();
    let bounds = Bounds {
        min_coverage: pairs.number("min_coverage", 0.0, 1.0)?.unwrap_or(default.min_coverage),
        max_coverage: pairs.number("max_coverage", 0.0, 1.0)?.unwrap_or(default.max_coverage),
        max_border_contact: pairs.number("max_border_contact", 0.0, 1.0)?.unwrap_or(default.max_border_contact),
        max_soft_share: pairs.number("max_soft_share", 0.0, 1.0)?.unwrap_or(default.max_soft_share),
        min_confidence: pairs.number("min_confidence", 0.0, 1.0)?.unwrap_or(default.min_confidence),
        min_sharpness: pairs.number("min_sharpness", 0.0, 1.0)?.unwrap_or(default.min_sharpness),
        max_components: pairs.value("max_components", "a whole number")?.unwrap_or(default.max_components),
        max_holes: pairs.value("max_holes", "a whole number")?.unwrap_or(default.max_holes),
    };
    let review = Review { to: pairs.text("to"), sheet: pairs.value("sheet", "a whole number")?, bounds };
    pairs.finish().map(|()| review)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_a_word_or_changes_to_the_default() {
        assert_eq!(edges("none").unwrap(), Edges::NONE);
        let changed = edges("shrink=0.5, feather=1").unwrap();
        assert_eq!(changed, Edges { shrink: 0.5, feather: 1.0, ..Edges::default() });
        assert!(edges("shrnk=1").unwrap_err().contains("did you mean shrink"));
        assert!(edges("fill_holes=7").unwrap_err().contains("from 0 to 1"));
        assert!(edges("shrink=1,shrink=2").unwrap_err().contains("twice"));
        assert!(edges("nothing").is_err());
    }

    #[test]
    fn review_has_a_place_and_bounds() {
        let pairs = Pairs::parse("to=s3://b/review,sheet=50,min_coverage=0.1,max_holes=3").unwrap();
        let review = review(pairs).unwrap();
        assert_eq!((review.to.as_deref(), review.sheet), (Some("s3://b/review"), Some(50)));
        assert_eq!(review.bounds, Bounds { min_coverage: 0.1, max_holes: 3, ..Bounds::default() });
    }
}
