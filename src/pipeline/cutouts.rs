//! How cutouts are made and judged, as words: the same in a pipeline file and on the command line. Must not know which of
//! the two.

use super::pairs::Pairs;
use crate::image::Edges;
use crate::image::product::{
    Align, Background, Canvas, Content, Form, Frame, PRESETS, Product, Rule, Shadow, colour_from_word, preset,
};
use crate::stage::cutout::judge::Bounds;
use crate::stage::cutout::products::Output;

const FORMS: [&str; 5] = ["png", "webp", "webp-lossy", "jpeg", "tiff"];
const WHITE: Option<Background> = Some(Background::Colour([255; 3]));
/// A shadow of which not everything is said.
const SHADOW: Shadow = Shadow { opacity: 0.35, blur: 0.03, offset: 0.0 };

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

/// What is made of every cutout. A preset's settings stand until a key says otherwise; without one it is the cutout itself
/// as PNG. What has no transparency is laid on white unless a background is given.
pub fn output(mut pairs: Pairs) -> Result<Output, String> {
    let mut product = pairs.word("preset", &PRESETS, preset)?.unwrap_or_default();
    product.form = pairs.word("form", &FORMS, Form::from_word)?.unwrap_or(product.form);
    if let Some(quality) = pairs.value("quality", "a whole number from 1 to 100")? {
        let none = || format!("quality: {} has none; it belongs to jpeg and webp-lossy", product.form.word());
        product.form = product.form.with_quality(quality).ok_or_else(none)?;
    }
    product.content = pairs.word("content", &["cutout", "mask"], Content::from_word)?.unwrap_or(product.content);
    let background = pairs.text("background");
    match background.as_deref() {
        None => {}
        Some("clear") => product.background = None,
        Some(word) => {
            let unknown = || format!("background: {word:?} is neither clear nor a colour such as #ffffff or white");
            product.background = Some(Background::Colour(colour_from_word(word).ok_or_else(unknown)?));
        }
    }
    let picture = pairs.text("picture");
    if picture.is_some() && background.is_some() {
        return Err("background and picture: give one of them".to_owned());
    }
    let Frame { crop, margin, canvas, fill, align, max_upscale } = &mut product.frame;
    *crop = pairs.flag("crop")?.unwrap_or(*crop);
    *margin = pairs.value("margin", "a number")?.unwrap_or(*margin);
    if let Some(text) = pairs.text("canvas") {
        let unknown = || format!("canvas: {text:?} is none; write own, square, 2000x1500 or 1600-2000");
        *canvas = Canvas::parse(&text).ok_or_else(unknown)?;
    }
    *fill = pairs.value("fill", "a number")?.or(*fill);
    if let Some(text) = pairs.text("align") {
        let words: Vec<Option<Align>> = text.split_whitespace().map(Align::from_word).collect();
        *align = match words[..] {
            [Some(both)] => (both, both),
            [Some(across), Some(down)] => (across, down),
            _ => return Err(format!("align: {text:?} is none; write it as in \"middle bottom\"")),
        };
    }
    *max_upscale = pairs.value("max_upscale", "a number")?.unwrap_or(*max_upscale);
    product.shadow = shadow(&mut pairs, product.shadow)?;
    if let Some(text) = pairs.text("rules") {
        product.rules.clear();
        for rule in text.split(';').map(str::trim).filter(|rule| !rule.is_empty()) {
            let unknown =
                || format!("rules: {rule:?} is none; write them as in \"border; fill 0.85-; long-side 1600-\"");
            product.rules.push(Rule::parse(rule).ok_or_else(unknown)?);
        }
    }
    let opaque = matches!(product.form, Form::Jpeg { .. }) && product.content == Content::Cutout;
    if opaque && picture.is_none() && background.is_none() {
        product.background = product.background.or(WHITE);
    }
    let output = Output { name: pairs.text("name").unwrap_or_default(), product, picture };
    pairs.finish().map(|()| output)
}

fn shadow(pairs: &mut Pairs, preset: Option<Shadow>) -> Result<Option<Shadow>, String> {
    let opacity: Option<f32> = pairs.value("shadow", "a number from 0 to 1")?;
    let (blur, offset) = (pairs.value("shadow_blur", "a number")?, pairs.value("shadow_offset", "a number")?);
    let base = preset.or(opacity.or(blur).or(offset).map(|_| SHADOW));
    let shadow = base.map(|base| Shadow {
        opacity: opacity.unwrap_or(base.opacity),
        blur: blur.unwrap_or(base.blur),
        offset: offset.unwrap_or(base.offset),
    });
    Ok(shadow.filter(|shadow| shadow.opacity > 0.0))
}

/// What a picture in this form is made of a cutout when nothing else is said.
pub fn of_form(form: Form) -> Product {
    let opaque = matches!(form, Form::Jpeg { .. });
    Product { form, background: WHITE.filter(|_| opaque), ..Product::default() }
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

    fn read(text: &str) -> Result<Output, String> {
        output(Pairs::parse(text).unwrap())
    }

    #[test]
    fn an_output_is_a_preset_with_changes() {
        assert_eq!(read("").unwrap(), Output::default());
        let main = read("preset=amazon-main,name=main,quality=80,fill=0.88").unwrap();
        assert_eq!(main.product.form, Form::Jpeg { quality: 80 });
        assert_eq!((main.name.as_str(), main.product.frame.fill), ("main", Some(0.88)));
        assert_eq!(main.product.rules, preset("amazon-main").unwrap().rules);
        let web =
            read("form=webp,crop=true,margin=0.03,align=middle bottom,canvas=800x600,shadow=0.4").unwrap().product;
        assert_eq!(web.frame.canvas, Canvas::Size { width: 800, height: 600 });
        assert_eq!(
            (web.frame.align, web.shadow.map(|shadow| shadow.opacity)),
            ((Align::Middle, Align::End), Some(0.4))
        );
        assert_eq!(read("form=jpeg").unwrap().product.background, Some(Background::Colour([255; 3])));
        assert_eq!(read("form=jpeg,picture=wall.jpg").unwrap().product.background, None);
        assert_eq!(read("rules=border; fill 0.5-").unwrap().product.rules.len(), 2);
    }

    #[test]
    fn what_is_wrong_with_an_output_is_named() {
        for (text, wanted) in [
            ("preset=amazon-man", "did you mean amazon-main"),
            ("form=gif", "form"),
            ("quality=80", "png has none"),
            ("canvas=big", "own, square"),
            ("align=up", "middle bottom"),
            ("crop=maybe", "true or false"),
            ("rules=pretty", "rules"),
            ("background=beige", "#ffffff"),
            ("fil=1", "did you mean fill"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }

    #[test]
    fn review_has_a_place_and_bounds() {
        let pairs = Pairs::parse("to=s3://b/review,sheet=50,min_coverage=0.1,max_holes=3").unwrap();
        let review = review(pairs).unwrap();
        assert_eq!((review.to.as_deref(), review.sheet), (Some("s3://b/review"), Some(50)));
        assert_eq!(review.bounds, Bounds { min_coverage: 0.1, max_holes: 3, ..Bounds::default() });
    }
}
