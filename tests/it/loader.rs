//! Training samples against the reference pipeline (OpenCV, numpy) with the same draws, and what holds for every sample.

use selvedge::image::DecodedImage;
use selvedge::image::raster::ClassSpans;
use selvedge::image::{Colour, Facts, Format};
use selvedge::stage::train::sample::{
    Distortion, Draws, IGNORED, Photo, SampleSettings, Window, keep, kept_size, picture, sample,
};
use serde_json::Value;
use std::path::PathBuf;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/samples").join(name)
}

fn number(value: &Value) -> u32 {
    value.as_u64().unwrap() as u32
}

fn pair(value: &Value) -> (u32, u32) {
    (number(&value[0]), number(&value[1]))
}

fn draws(value: &Value) -> Draws {
    let maybe = |name: &str| value[name].as_f64().map(|number| number as f32);
    let offsets = value["offsets"].as_array().unwrap();
    Draws {
        ratio: value["ratio"].as_f64().unwrap(),
        flip: value["flip"].as_bool().unwrap(),
        distortion: value["distort"].as_bool().unwrap().then(|| Distortion {
            brightness: maybe("brightness"),
            contrast: maybe("contrast"),
            contrast_last: value["contrast_last"].as_bool().unwrap(),
            saturation: maybe("saturation"),
            hue: value["hue"].as_i64().map(|steps| steps as i32),
        }),
        offsets: offsets.iter().map(|place| [place[0].as_f64().unwrap(), place[1].as_f64().unwrap()]).collect(),
    }
}

/// A sample with its image as bytes again.
struct Made {
    window: Window,
    levels: Vec<f32>,
    label: Vec<u8>,
}

fn make(settings: &SampleSettings, photo: Photo<'_>, masks: ClassSpans<'_>, draws: &Draws) -> Made {
    let (values, pixels) = settings.lengths();
    let (mut image, mut label) = (vec![f32::NAN; values], vec![99; pixels]);
    let window = sample(settings, photo, masks, draws, &mut image, &mut label).unwrap();
    let mut levels = Vec::with_capacity(values);
    for pixel in 0..pixels {
        for channel in 0..3 {
            let value = image[channel * pixels + pixel];
            levels.push(value * settings.deviation[channel] + settings.mean[channel]);
        }
    }
    Made { window, levels, label }
}

#[test]
fn samples_are_those_of_the_reference_pipeline() {
    let told: Value = serde_json::from_slice(&std::fs::read(fixture("cases.json")).unwrap()).unwrap();
    let bytes = std::fs::read(fixture("cases.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let (mut differing, mut compared) = (0, 0);
    for (index, case) in told["cases"].as_array().unwrap().iter().enumerate() {
        let tensor = |name: &str| tensors.tensor(&format!("{index:02}/{name}")).unwrap();
        let draws = draws(&case["draws"]);
        let settings = SampleSettings {
            crop: pair(&told["crop"]),
            scale: pair(&told["scale"]),
            max_class_share: case["max_class_share"].as_f64().unwrap(),
            distort: draws.distortion.is_some(),
            ..SampleSettings::default()
        };
        let photo = tensor("photo");
        let (height, width) = (photo.shape()[0] as u32, photo.shape()[1] as u32);
        let lengths = tensor("lengths");
        let lengths: Vec<u32> = lengths.data().as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        let classes = tensor("classes");
        let masks = ClassSpans { height, width, classes: classes.data(), lengths: &lengths };
        let made = make(&settings, Photo { width, height, rgb: photo.data() }, masks, &draws);

        let window = made.window;
        assert_eq!(window.resized, pair(&case["resized"]), "case {index}");
        assert_eq!((window.height, window.width), pair(&case["content"]), "case {index}");
        assert_eq!(window.redrawn, number(&case["redrawn"]), "case {index}");
        assert_eq!(made.label, tensor("label").data(), "case {index}: label");
        for (at, (level, wanted)) in made.levels.iter().zip(tensor("image").data()).enumerate() {
            let (y, x) = (at / 3 / settings.crop.1 as usize, at / 3 % settings.crop.1 as usize);
            if y >= window.height as usize || x >= window.width as usize {
                let mean = settings.mean[at % 3];
                assert!((level - mean).abs() < 1e-3, "case {index}: padding is {level} at {x}, {y}");
                continue;
            }
            let off = (level - f32::from(*wanted)).abs();
            assert!(off < 1.01, "case {index}: {level} and {wanted} at {x}, {y}, {:?}", draws.distortion);
            differing += usize::from(off > 0.01);
            compared += 1;
        }
    }
    assert!(differing * 1000 <= compared, "{differing} of {compared} levels differ");
}

/// A photo of soft colours, `height × width × 3` bytes.
fn soft(height: u32, width: u32) -> Vec<u8> {
    let wave = |a: f32| (127.0 + 120.0 * a.sin()) as u8;
    let pixel = |y: u32, x: u32| {
        let (y, x) = (y as f32, x as f32);
        [wave(x / 90.0), wave(y / 70.0 + 1.0), wave((x + y) / 110.0)]
    };
    (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(y, x))).collect()
}

/// A garment in the middle third of each column of the left 40 %, the rest background.
fn garment(height: u32, width: u32) -> (Vec<u8>, Vec<u32>) {
    let (mut classes, mut lengths) = (Vec::new(), Vec::new());
    let columns = width * 2 / 5;
    for _ in 0..columns {
        classes.extend([0, 5, 0]);
        lengths.extend([height / 3, height / 3, height - height / 3 * 2]);
    }
    classes.push(0);
    lengths.push((width - columns) * height);
    (classes, lengths)
}

#[test]
fn samples_do_not_depend_on_who_makes_them_or_on_what_lay_there_before() {
    let settings = SampleSettings { crop: (64, 64), scale: (256, 64), distort: true, ..SampleSettings::default() };
    let (height, width) = (150, 110);
    let (rgb, (classes, lengths)) = (soft(height, width), garment(height, width));
    let masks = ClassSpans { height, width, classes: &classes, lengths: &lengths };
    let photo = Photo { width, height, rgb: &rgb };
    let (values, pixels) = settings.lengths();
    let batch = |threads: u64| {
        let (mut images, mut labels) = (vec![threads as f32; values * 12], vec![threads as u8; pixels * 12]);
        std::thread::scope(|scope| {
            let parts = images
                .chunks_mut(values * 12 / threads as usize)
                .zip(labels.chunks_mut(pixels * 12 / threads as usize));
            for (part, (images, labels)) in (0..).zip(parts) {
                let settings = &settings;
                scope.spawn(move || {
                    let each = images.chunks_exact_mut(values).zip(labels.chunks_exact_mut(pixels));
                    for (index, (image, label)) in (part * 12 / threads..).zip(each) {
                        let draws = Draws::new(settings, 3, 1, index);
                        sample(settings, photo, masks, &draws, image, label).unwrap();
                    }
                });
            }
        });
        (images, labels)
    };
    let alone = batch(1);
    assert!(batch(3) == alone && batch(4) == alone, "the number of threads changed a sample");
    let shown = picture(&settings, &alone.0, &alone.1).unwrap();
    assert_eq!((shown.width, shown.height), (3 * 2 * 64, 4 * 64));
    assert!(shown.png().unwrap().starts_with(b"\x89PNG"));
    if let Ok(path) = std::env::var("SELVEDGE_TEST_PICTURE") {
        std::fs::write(path, shown.png().unwrap()).unwrap();
    }
}

#[test]
fn crops_that_one_class_fills_are_drawn_again() {
    let (height, width) = (600, 900);
    let (rgb, (classes, lengths)) = (soft(height, width), garment(height, width));
    let masks = ClassSpans { height, width, classes: &classes, lengths: &lengths };
    let photo = Photo { width, height, rgb: &rgb };
    let base = SampleSettings { crop: (64, 64), scale: (256, 64), ..SampleSettings::default() };
    let share = |settings: &SampleSettings| {
        let mixed = |index| {
            let made = make(settings, photo, masks, &Draws::new(settings, 1, 0, index));
            let count = |class| made.label.iter().filter(|label| **label == class).count() as f64;
            let (garment, rest) = (count(5), count(0));
            let mixed = garment > 0.0 && garment.max(rest) / (garment + rest) < 0.75;
            assert!(mixed || made.window.redrawn == settings.redraws || settings.max_class_share >= 1.0);
            usize::from(mixed)
        };
        (0..400).map(mixed).sum::<usize>() as f64 / 400.0
    };
    let any = share(&SampleSettings { max_class_share: 1.0, ..base.clone() });
    let once = share(&SampleSettings { redraws: 1, ..base.clone() });
    let often = share(&base);
    // Each redraw is another chance of the same size, for the same ratio; ratios that never succeed keep it below 1.
    assert!(any > 0.1 && any < 0.5, "{any}");
    assert!(once > any + 0.05 && once <= 1.0 - (1.0 - any).powi(2) + 0.05, "{any} {once}");
    assert!(often > once + 0.05, "{once} {often}");
}

#[test]
fn a_photo_that_is_kept_shows_the_same_window() {
    let settings = SampleSettings { crop: (64, 64), scale: (256, 64), ..SampleSettings::default() };
    let (height, width) = (600, 900);
    let (rgb, (classes, lengths)) = (soft(height, width), garment(height, width));
    let masks = ClassSpans { height, width, classes: &classes, lengths: &lengths };
    let facts = Facts {
        format: Format::Png,
        stored_width: width,
        stored_height: height,
        orientation: 1,
        profile: None,
        dpi: None,
        frames_more_than_one: false,
        bits: 8,
        colour: Colour::Rgb,
    };
    let decoded = DecodedImage { width, height, rgb, alpha: None, straight_rgb: None, facts, notes: Vec::new() };
    let kept = keep(&settings, &decoded).unwrap().unwrap();
    assert_eq!((kept.height, kept.width), (128, 192));
    for index in 0..50 {
        let draws = Draws::new(&settings, 9, 4, index);
        let whole = make(&settings, Photo::from(&decoded), masks, &draws);
        let small = make(&settings, kept.photo(), masks, &draws);
        assert_eq!((whole.window, &whole.label), (small.window, &small.label));
        let off: f32 = whole.levels.iter().zip(&small.levels).map(|(one, other)| (one - other).abs()).sum();
        assert!(off / (whole.levels.len() as f32) < 1.0, "sample {index} is {off} levels off in all");
    }
    assert_eq!(kept_size(&settings, (128, 192)), None, "a photo of that size is kept as it is");
    assert_eq!(kept_size(&settings, (60, 90)), None, "and so is one that would be enlarged");
}

#[test]
fn things_of_the_wrong_size_are_refused_and_settings_explain_themselves() {
    let settings = SampleSettings { crop: (8, 8), scale: (32, 8), ..SampleSettings::default() };
    let rgb = vec![0; 20 * 30 * 3];
    let draws = Draws::new(&settings, 0, 0, 0);
    let try_it = |photo: (u32, u32), masks: (u32, u32), values: usize, labels: usize| {
        let masks = ClassSpans { height: masks.0, width: masks.1, classes: &[1], lengths: &[600] };
        let photo = Photo { height: photo.0, width: photo.1, rgb: &rgb };
        sample(&settings, photo, masks, &draws, &mut vec![0.0; values], &mut vec![IGNORED; labels])
    };
    assert!(try_it((20, 30), (20, 30), 192, 64).is_ok());
    let turned = try_it((30, 20), (20, 30), 192, 64).unwrap_err();
    assert_eq!(turned.reason().code(), "size_mismatch");
    assert!(turned.to_string().contains("20 × 30"), "{turned}");
    for (photo, masks, values, labels) in [
        ((10, 30), (10, 30), 192, 64),
        ((20, 30), (20, 31), 192, 64),
        ((20, 30), (20, 30), 191, 64),
        ((0, 0), (0, 0), 192, 64),
    ] {
        assert!(try_it(photo, masks, values, labels).is_err(), "{photo:?} {masks:?}");
    }
    assert!(try_it((20, 30), (20, 30), 192, 65).is_err());

    assert_eq!(SampleSettings::default().check(), Ok(()));
    let base = SampleSettings::default;
    for (wrong, named) in [
        (SampleSettings { crop: (0, 512), ..base() }, "crop"),
        (SampleSettings { scale: (2048, 0), ..base() }, "scale"),
        (SampleSettings { ratio: (2.0, 0.5), ..base() }, "ratio"),
        (SampleSettings { ratio: (f64::NAN, 0.5), ..base() }, "ratio"),
        (SampleSettings { max_class_share: 0.0, ..base() }, "max_class_share"),
        (SampleSettings { redraws: 5000, ..base() }, "redraws"),
        (SampleSettings { mean: [f32::NAN, 0.0, 0.0], ..base() }, "mean"),
        (SampleSettings { deviation: [1.0, 0.0, 1.0], ..base() }, "deviation"),
    ] {
        assert!(wrong.check().unwrap_err().starts_with(named), "{wrong:?}");
    }
}
