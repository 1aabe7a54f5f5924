//! From pictures to probabilities with the tiny models of `tests/fixtures/models`.
#![allow(clippy::unwrap_used)]

use super::runtime::{fixture, loaded};
use selvedge::cancel::Cancel;
use selvedge::image::{Colour, DecodedImage, Facts, Format, Probabilities};
use selvedge::predict::{Error, ModelChoice, ModelFiles, Opened, Preparer, Settings, Sidecar, Window, open};

/// A picture of `width × height` whose pixel at (column, row) is what `colour` says.
fn picture(width: u32, height: u32, colour: impl Fn(u32, u32) -> [u8; 3]) -> DecodedImage {
    let mut rgb = Vec::new();
    for row in 0..height {
        for column in 0..width {
            rgb.extend(colour(column, row));
        }
    }
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
    DecodedImage { width, height, rgb, alpha: None, straight_rgb: None, facts, notes: Vec::new() }
}

/// Red differs from pixel to pixel, so that a map that is shifted or turned cannot pass.
fn counting() -> DecodedImage {
    picture(8, 4, |column, row| [(row * 8 + column) as u8 * 7, 100, 255 - (row * 8 + column) as u8 * 3])
}

fn model(name: &str, sidecar: &str) -> ModelChoice {
    ModelChoice::Network(ModelFiles { name: name.into(), model: fixture(name), sidecar: Some(sidecar.into()) })
}

fn opened(name: &str, sidecar: &str, settings: &Settings) -> Result<Opened, Error> {
    open(&model(name, sidecar), || Ok(loaded()), settings)
}

fn predicted(name: &str, sidecar: &str, image: &DecodedImage) -> Result<Probabilities, Error> {
    let mut opened = opened(name, sidecar, &Settings::default())?;
    let input = opened.preparer.prepare(image)?;
    let mut maps = opened.predictors[0].predict(&[input], &Cancel::default())?;
    assert_eq!(maps.len(), 1);
    Ok(maps.remove(0))
}

fn assert_near(found: &[f32], wanted: impl IntoIterator<Item = f32>) {
    let wanted: Vec<f32> = wanted.into_iter().collect();
    assert_eq!(found.len(), wanted.len());
    for (place, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
        assert!((found - wanted).abs() < 1e-6, "at {place}: {found} instead of {wanted}");
    }
}

fn reds(image: &DecodedImage) -> Vec<f32> {
    image.rgb.iter().step_by(3).map(|red| f32::from(*red) / 255.0).collect()
}

#[test]
fn a_model_gets_the_pixels_where_they_are_and_its_map_comes_back_as_it_is() {
    let image = counting();
    let map = predicted("red.onnx", "licence = \"MIT\"", &image).unwrap();
    assert_eq!((map.width, map.height), (8, 4));
    assert_near(&map.plane, reds(&image));
}

#[test]
fn an_output_is_chosen_by_place_or_name() {
    let image = counting();
    let wanted = reds(&image);
    assert_near(&predicted("side.onnx", "output = 0", &image).unwrap().plane, wanted.clone());
    assert_near(&predicted("side.onnx", "output = \"red\"", &image).unwrap().plane, wanted);
    let error = predicted("side.onnx", "output = \"green\"", &image).unwrap_err();
    assert!(error.to_string().contains("red, side1, side2"), "{error}");
    let error = predicted("side.onnx", "output = 3", &image).unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
}

#[test]
fn channels_last_and_a_map_without_channels_are_understood() {
    let image = counting();
    let blues: Vec<f32> = image.rgb.iter().skip(2).step_by(3).map(|blue| f32::from(*blue) / 255.0).collect();
    assert_near(&predicted("nhwc.onnx", "layout = \"nhwc\"", &image).unwrap().plane, blues);
    // With the colours the other way round its third channel is red.
    let sidecar = "layout = \"nhwc\"\ncolour = \"bgr\"";
    assert_near(&predicted("nhwc.onnx", sidecar, &image).unwrap().plane, reds(&image));
    let error = predicted("nhwc.onnx", "layout = \"nchw\"", &image).unwrap_err();
    assert!(error.to_string().contains("`layout`"), "{error}");
}

#[test]
fn classes_become_the_probability_of_those_that_are_foreground() {
    let image = counting();
    let wanted: Vec<f32> = reds(&image).iter().map(|red| 1.0 / (1.0 + (4.0 - 8.0 * red).exp())).collect();
    for foreground in ["[1]", "\"not 0\""] {
        let sidecar = format!("size = [8, 4]\nactivation = \"softmax\"\nforeground = {foreground}");
        assert_near(&predicted("classes.onnx", &sidecar, &image).unwrap().plane, wanted.clone());
    }
    let all =
        predicted("classes.onnx", "size = [8, 4]\nactivation = \"softmax\"\nforeground = [0, 1]", &image).unwrap();
    assert_near(&all.plane, [1.0; 32]);
    let sidecar = "size = [8, 4]\nactivation = \"sigmoid\"\nforeground = [1]";
    assert_near(&predicted("classes.onnx", sidecar, &image).unwrap().plane, wanted);
}

#[test]
fn a_letterbox_is_filled_on_the_way_in_and_cut_off_exactly_on_the_way_out() {
    // 4 wide and 8 high into 8 wide and 4 high: 2 wide in the middle.
    let image = picture(4, 8, |_, _| [200, 0, 0]);
    let sidecar = "resize = \"letterbox\"\npad = 255";
    let opened = opened("red.onnx", sidecar, &Settings::default()).unwrap();
    let input = opened.preparer.prepare(&image).unwrap();
    assert_eq!(input.window, Window { left: 3, top: 0, width: 2, height: 4 });
    let row: Vec<f32> = [255, 255, 255, 200, 200, 255, 255, 255].map(|byte: u8| f32::from(byte) / 255.0).to_vec();
    assert_near(&input.data[..32], row.repeat(4));
    let map = predicted("red.onnx", sidecar, &image).unwrap();
    assert_eq!((map.width, map.height), (2, 4));
    assert_near(&map.plane, [200.0 / 255.0; 8]);
}

#[test]
fn a_map_of_half_the_size_keeps_its_size_and_only_a_letterbox_makes_it_the_inputs() {
    let image = picture(8, 8, |_, _| [51, 0, 0]);
    let map = predicted("half.onnx", "", &image).unwrap();
    assert_eq!((map.width, map.height), (4, 4));
    let wide = picture(16, 8, |_, _| [51, 0, 0]);
    let map = predicted("half.onnx", "resize = \"letterbox\"\npad = 51", &wide).unwrap();
    assert_eq!((map.width, map.height), (8, 4));
    assert_near(&map.plane, [0.2; 32]);
}

#[test]
fn numbers_are_scaled_then_shifted_a_colour_at_a_time() {
    let image = picture(8, 4, |_, _| [10, 20, 40]);
    let data = |sidecar: &str| {
        let opened = opened("red.onnx", sidecar, &Settings::default()).unwrap();
        let input = opened.preparer.prepare(&image).unwrap();
        assert_eq!(input.shape, [1, 3, 4, 8]);
        [input.data[0], input.data[32], input.data[64]]
    };
    let statistics = "mean = [0.5, 0.25, 0.0]\nstd = [0.5, 2.0, 4.0]\n";
    assert_near(&data(&format!("scale = \"1/40\"\n{statistics}")), [-0.5, 0.125, 0.25]);
    assert_near(&data(&format!("scale = \"1/max\"\n{statistics}")), [-0.5, 0.125, 0.25]);
    assert_near(&data("scale = \"1\""), [10.0, 20.0, 40.0]);
    // Mean and deviation belong to the colour and not to the place in the tensor.
    assert_near(&data(&format!("scale = \"1/40\"\ncolour = \"bgr\"\n{statistics}")), [0.25, 0.125, -0.5]);
}

#[test]
fn a_black_picture_survives_being_scaled_by_its_greatest_byte() {
    let map = predicted("red.onnx", "scale = \"1/max\"", &picture(8, 4, |_, _| [0; 3])).unwrap();
    assert_near(&map.plane, [0.0; 32]);
}

#[test]
fn nothing_found_stays_nothing_even_where_the_sidecar_stretches() {
    let faint = picture(8, 4, |column, _| [column as u8 * 5, 0, 0]);
    let map = predicted("red.onnx", "stretch = \"minmax\"", &faint).unwrap();
    assert_near(&map.plane, reds(&faint));
    let found = picture(8, 4, |column, _| [column as u8 * 20, 0, 0]);
    let map = predicted("red.onnx", "stretch = \"minmax\"", &found).unwrap();
    assert_near(&map.plane[..8], (0..8).map(|column| column as f32 / 7.0));
    assert_near(&predicted("red.onnx", "", &found).unwrap().plane, reds(&found));
}

#[test]
fn pictures_of_a_batch_keep_their_order_and_get_the_same_numbers_as_alone() {
    let shaded = |shade: u8| picture(8, 4, move |column, row| [shade * 40 + (column + row) as u8, 0, 0]);
    let images: Vec<DecodedImage> = (0..5).map(shaded).collect();
    let settings = Settings { batch: Some(2), ..Settings::default() };
    let mut opened = opened("red.onnx", "", &settings).unwrap();
    assert_eq!(opened.batch, 2);
    let inputs: Vec<_> = images.iter().map(|image| opened.preparer.prepare(image).unwrap()).collect();
    let maps = opened.predictors[0].predict(&inputs, &Cancel::default()).unwrap();
    assert_eq!(maps.len(), 5);
    for (map, image) in maps.iter().zip(&images) {
        assert_eq!(map, &predicted("red.onnx", "", image).unwrap());
    }
    assert!(opened.predictors[0].predict(&[], &Cancel::default()).unwrap().is_empty());
}

#[test]
fn a_model_that_takes_one_picture_is_never_given_more() {
    let settings = Settings { batch: Some(8), ..Settings::default() };
    let mut opened = opened("side.onnx", "batch = 4", &settings).unwrap();
    assert_eq!(opened.batch, 1);
    let input = opened.preparer.prepare(&counting()).unwrap();
    let maps = opened.predictors[0].predict(&[input.clone(), input], &Cancel::default()).unwrap();
    assert_eq!(maps.len(), 2);
    assert_eq!(maps[0], maps[1]);
}

#[test]
fn several_sessions_on_threads_of_their_own_share_one_preparer_and_agree() {
    fn shared<T: Send + Sync + Clone>(_: &T) {}
    let settings = Settings { sessions: 3, ..Settings::default() };
    let opened = opened("red.onnx", "", &settings).unwrap();
    shared::<Preparer>(&opened.preparer);
    assert_eq!(opened.predictors.len(), 3);
    let image = counting();
    let maps: Vec<Probabilities> = std::thread::scope(|scope| {
        let mut running = Vec::new();
        for mut predictor in opened.predictors {
            let (preparer, image) = (&opened.preparer, &image);
            running.push(scope.spawn(move || {
                let input = preparer.prepare(image).unwrap();
                predictor.predict(&[input], &Cancel::default()).unwrap().remove(0)
            }));
        }
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(maps[0], maps[1]);
    assert_eq!(maps[1], maps[2]);
}

#[test]
fn the_identity_changes_with_the_model_and_the_sidecars_values_and_with_nothing_else() {
    let identity = |name: &str, sidecar: &str| model(name, sidecar).identity().unwrap();
    let base = identity("red.onnx", "scale = \"1/255\"");
    assert_eq!(base, identity("red.onnx", "# the same in other words\n\nlayout = \"nchw\""));
    assert_ne!(base, identity("red.onnx", "scale = \"1/max\""));
    assert_ne!(base, identity("red.onnx", "pad = 1"));
    assert_ne!(base, identity("side.onnx", "scale = \"1/255\""));
    assert_ne!(base, ModelChoice::Threshold.identity().unwrap());
    assert!(
        model("red.onnx", "scael = 1").identity().is_err(),
        "a sidecar that cannot be read is refused before any work"
    );
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_key() {
    let error = Sidecar::parse("m.toml", "size = [8, 4]\n# note\nlayot = \"nchw\"\n").unwrap_err();
    assert!(matches!(&error, Error::UnknownKey { line: 3, key, .. } if key == "layot"), "{error}");
    assert_eq!(error.to_string(), "m.toml:3: unknown key `layot`; did you mean `layout`?");
    let error = Sidecar::parse("m.toml", "whatever = 1").unwrap_err();
    assert!(error.to_string().contains("the keys are preset, input"), "{error}");
}

#[test]
fn a_wrong_value_is_shown_in_its_line() {
    for (text, part) in [
        ("mean = [0, 0, 0]\nlayout = \"chw\"", "line 2"),
        ("\n\nscale = \"255\"", "line 3"),
        ("resize = squash", "line 1"),
        ("preset = \"u2net\"\nfilter = \"cubic\"", "line 2"),
        ("size = [0, 4]", "1 to 16384"),
        ("std = [1, 0, 1]", "above 0"),
        ("batch = 0", "never run"),
        ("foreground = []", "every picture empty"),
        ("preset = \"u3net\"", "u2netp"),
    ] {
        let error = Sidecar::parse("m.toml", text).unwrap_err();
        assert!(error.to_string().contains(part), "{text:?} gives {error}");
    }
}

#[test]
fn a_preset_is_the_base_and_the_sidecars_own_values_lie_on_top() {
    let plain = Sidecar::parse("m.toml", "preset = \"u2net\"").unwrap();
    assert_eq!(Some(&plain), selvedge::predict::preset("u2net").as_ref());
    assert_eq!(plain.size, Some([320, 320]));
    let changed = Sidecar::parse("m.toml", "preset = \"u2net\"\nsize = [512, 512]").unwrap();
    assert_eq!(changed, Sidecar { size: Some([512, 512]), ..plain });
    for name in selvedge::predict::PRESETS {
        assert!(selvedge::predict::preset(name).is_some(), "{name}");
    }
}

#[test]
fn a_model_that_nobody_knows_gets_a_sidecar_to_copy_that_can_be_read() {
    let files = ModelFiles { name: "mystery.onnx".into(), model: fixture("red.onnx"), sidecar: None };
    let Err(error) = open(&ModelChoice::Network(files), || Ok(loaded()), &Settings::default()) else {
        panic!("it was recognised");
    };
    let Error::Unrecognised { sidecar, example, inputs, .. } = &error else { panic!("{error}") };
    assert_eq!(sidecar, "mystery.toml");
    assert_eq!(inputs, "image f32 ?×3×4×8");
    assert_eq!(example.lines().count(), 10);
    Sidecar::parse(sidecar, example).unwrap();
}

#[test]
fn a_well_known_name_on_another_shape_is_not_trusted() {
    let files = ModelFiles { name: "u2netp.onnx".into(), model: fixture("side.onnx"), sidecar: None };
    let result = open(&ModelChoice::Network(files), || Ok(loaded()), &Settings::default());
    assert!(matches!(result, Err(Error::Unrecognised { .. })));
}

#[test]
fn a_non_commercial_model_is_only_opened_when_that_is_accepted() {
    let sidecar = "licence = \"CC-BY-NC-4.0\"";
    let Err(error) = opened("red.onnx", sidecar, &Settings::default()) else { panic!("it was opened") };
    assert!(matches!(error, Error::NonCommercial { .. }) && error.to_string().contains("--accept-nc"), "{error}");
    let settings = Settings { accept_nc: true, ..Settings::default() };
    assert_eq!(opened("red.onnx", sidecar, &settings).unwrap().licence.as_deref(), Some("CC-BY-NC-4.0"));
}

#[test]
fn a_sidecar_that_does_not_fit_its_model_is_refused_when_the_model_is_opened() {
    for (name, sidecar, part) in [
        ("red.onnx", "size = [4, 8]", "width of 4"),
        ("classes.onnx", "foreground = [1]", "size = [width, height]"),
        ("classes.onnx", "size = [8, 4]", "foreground = [1]"),
        ("classes.onnx", "size = [8, 4]\nforeground = [2]", "0 to 1"),
        ("red.onnx", "input = \"picture\"", "image"),
        ("argmax.onnx", "", "i64"),
    ] {
        let Err(error) = opened(name, sidecar, &Settings::default()) else { panic!("{name} took {sidecar:?}") };
        assert!(matches!(error, Error::Mismatch { .. }) && error.to_string().contains(part), "{sidecar:?}: {error}");
    }
}

#[test]
fn logits_without_an_activation_are_the_models_fault_and_not_the_pictures() {
    let image = picture(8, 4, |_, _| [255, 0, 0]);
    let error = predicted("classes.onnx", "size = [8, 4]\nforeground = [1]", &image).unwrap_err();
    assert!(matches!(error, Error::NotProbabilities { .. }), "{error}");
    assert_eq!(error.reason(), None);
    assert!(error.to_string().contains("softmax"), "{error}");
}

#[test]
fn a_model_and_its_sidecar_are_read_from_beside_each_other_or_from_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("model.onnx"), fixture("red.onnx")).unwrap();
    let files = ModelFiles::read(folder.path()).unwrap();
    assert_eq!((files.name.as_str(), files.sidecar), ("model.onnx", None));
    std::fs::write(folder.path().join("model.toml"), "pad = 3").unwrap();
    let files = ModelFiles::read(&folder.path().join("model.onnx")).unwrap();
    assert_eq!(files.sidecar.as_deref(), Some("pad = 3"));
    let error = ModelFiles::read(&folder.path().join("absent.onnx")).unwrap_err();
    assert!(matches!(&error, Error::Unreadable { .. }) && error.to_string().contains("absent.onnx"), "{error}");
    assert!(matches!(ModelChoice::read("threshold"), Ok(ModelChoice::Threshold)));
}

#[test]
fn the_threshold_needs_no_runtime_and_finds_what_differs_from_the_backdrop() {
    let settings = Settings { sessions: 2, ..Settings::default() };
    let mut opened = open(&ModelChoice::Threshold, || unreachable!("needs none"), &settings).unwrap();
    assert_eq!(opened.predictors.len(), 2);
    let inside = |column: u32, row: u32| (16..48).contains(&column) && (16..48).contains(&row);
    let garment = picture(64, 64, |column, row| if inside(column, row) { [20, 30, 120] } else { [250; 3] });
    let blank = picture(64, 64, |_, _| [250; 3]);
    let inputs = [opened.preparer.prepare(&garment).unwrap(), opened.preparer.prepare(&blank).unwrap()];
    let maps = opened.predictors[1].predict(&inputs, &Cancel::default()).unwrap();
    assert_eq!((maps[0].width, maps[0].height), (64, 64));
    assert!(maps[0].plane[32 * 64 + 32] > 0.9 && maps[0].plane[2 * 64 + 2] < 0.1);
    assert!(maps[1].plane.iter().all(|number| *number == 0.0));
}

#[test]
fn settings_are_written_in_one_form_for_fingerprints() {
    let settings = Settings { sessions: 2, batch: Some(4), ..Settings::default() };
    assert!(settings.to_string().starts_with("sessions=2 batch=4 device=cpu intra_threads=1 "), "{settings}");
    assert!(Settings::default().to_string().starts_with("sessions=1 batch=sidecar "));
}
