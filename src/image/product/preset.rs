//! Well-known sets of settings by name, and what they rest on. Must not know how they are chosen.
//!
//! Shops change their rules: these are what their public pages and guides to them said in 2026, kept to what a program can
//! measure. A file may take a preset and say otherwise key by key.

use super::{Background, Canvas, Form, Frame, Product, Rule};

/// Every name that [`preset`] knows.
pub const PRESETS: [&str; 6] =
    ["amazon-main", "google-merchant", "ebay", "shopify-square", "transparent-square", "thumbnail"];

const WHITE: Option<Background> = Some(Background::Colour([255; 3]));
const NO_LIMIT: u64 = u64::MAX;

/// A well-known set of settings by name.
pub fn preset(name: &str) -> Option<Product> {
    let cropped =
        |canvas, fill, max_upscale| Frame { crop: true, canvas, fill: Some(fill), max_upscale, ..Frame::default() };
    let jpeg = |quality, frame, rules| Product {
        form: Form::Jpeg { quality },
        background: WHITE,
        frame,
        rules,
        ..Product::default()
    };
    match name {
        // Amazon's main image: pure white (255, 255, 255); the product takes 85 % of the frame or more and is shown whole;
        // the longer side has 1000 pixels or more (zoom), 1600 or more advised, 10 000 at most; JPEG preferred, no WebP;
        // sRGB; no shadow, text or frame; 10 MB at most.
        "amazon-main" => Some(jpeg(
            90,
            cropped(Canvas::Between { least: 1600, most: 2000 }, 0.9, 1.5),
            vec![
                Rule::Border,
                Rule::Fill { least: 0.85, most: 1.0 },
                Rule::LongSide { least: 1600, most: 10_000 },
                Rule::Bytes { least: 1, most: 10_000_000 },
                Rule::Whole,
            ],
        )),
        // Google Merchant Center, image_link: white or transparent background; the product takes 75 to 90 % of the frame;
        // 500 × 500 pixels or more from 2027 on (250 for clothes before), 1500 × 1500 advised, 64 megapixels and 16 MB at
        // most; not scaled up.
        "google-merchant" => Some(jpeg(
            90,
            cropped(Canvas::Between { least: 500, most: 2000 }, 0.85, 1.0),
            vec![
                Rule::Border,
                Rule::Fill { least: 0.75, most: 0.9 },
                Rule::ShortSide { least: 500, most: NO_LIMIT },
                Rule::Pixels { least: 1, most: 64_000_000 },
                Rule::Bytes { least: 1, most: 16_000_000 },
            ],
        )),
        // eBay: the longer side has 500 pixels or more, 1600 advised; 7 MB at most by the older of its figures; no border,
        // text or mark; a plain background advised.
        "ebay" => Some(jpeg(
            90,
            cropped(Canvas::Between { least: 500, most: 1600 }, 0.9, 1.25),
            vec![Rule::Border, Rule::LongSide { least: 500, most: 9000 }, Rule::Bytes { least: 1, most: 7_000_000 }],
        )),
        // Shopify: 2048 × 2048 pixels shows best for square product pictures; 5000 × 5000 pixels and 20 MB at most.
        "shopify-square" => Some(jpeg(
            90,
            cropped(Canvas::Size { width: 2048, height: 2048 }, 0.9, 1.5),
            vec![Rule::Border, Rule::Square, Rule::Bytes { least: 1, most: 20_000_000 }],
        )),
        // For one's own pages: clear, nothing scaled.
        "transparent-square" => Some(Product {
            frame: Frame { crop: true, margin: 0.05, canvas: Canvas::Square, ..Frame::default() },
            ..Product::default()
        }),
        "thumbnail" => Some(jpeg(85, cropped(Canvas::Size { width: 400, height: 400 }, 0.9, 1.0), Vec::new())),
        _ => None,
    }
}
