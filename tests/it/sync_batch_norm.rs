//! Batch norms over several ranks: simulated ranks, whose sums are added by hand, come to what one rank does with all their
//! batches. Needs the library, no GPU.

use crate::runtime::loaded;
use crate::segments::{
    Arrays, GOLDEN, added, apart, begin, golden, open, opened, run, same_numbers, together, trainee,
};
use selvedge::cancel::Cancel;
use selvedge::graph::net::{Config, Head, eval_graph};
use selvedge::graph::onnx::{Source, encode};
use selvedge::graph::train::{Precision, Recipe, Statistic, Trained, Trainee};
use selvedge::graph::{BatchNorm, Element, Graph, ImportSettings, batch_norm_train, import};
use selvedge::runtime::{Array, Device, State};

const RANKS: usize = 2;

fn mean(given: &[Arrays], name: &str) -> Vec<f32> {
    let sum = given.iter().map(|own| own[name].clone()).reduce(|a, b| added(&a, &b)).unwrap();
    sum.to_f32().unwrap().into_iter().map(|number| number / given.len() as f32).collect()
}

#[test]
fn one_rank_alone_computes_what_it_does_without_segments() {
    for name in GOLDEN {
        let file = golden(name);
        let trainee = trainee(&file, 2);
        let recipe = Recipe::default();
        let held = begin(&trainee, &file, 0);
        let whole = run(&mut open(&trainee.gradient(&recipe, false).unwrap()), &held);
        let mut given = together(&mut opened(trainee.synchronised(&recipe, 1).unwrap()), &[held]).remove(0);
        given.retain(|name, _| whole.contains_key(name));
        same_numbers(&given, &whole, ["setr_naive", "setr_mla"].contains(&name), name);
    }
}

#[test]
fn two_ranks_have_the_gradients_losses_counts_and_statistics_of_one_with_both_batches() {
    for (name, cuts) in
        [("segmenter_mask", 0), ("segmenter_linear", 0), ("setr_naive", 4), ("setr_pup", 8), ("setr_mla", 8)]
    {
        let file = golden(name);
        let (all, half) = (trainee(&file, 2), trainee(&file, 1));
        let recipe = Recipe::default();
        let whole = run(&mut open(&all.gradient(&recipe, false).unwrap()), &begin(&all, &file, 0));
        let segments = half.synchronised(&recipe, RANKS).unwrap();
        assert_eq!(segments.len(), cuts + 1, "{name}");
        let ranks: Vec<Arrays> = (0..RANKS).map(|rank| begin(&half, &file, rank)).collect();
        let given = together(&mut opened(segments), &ranks);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for (output, wanted) in &whole {
            match output.as_str() {
                "counts" => assert_eq!(added(&given[0][output], &given[1][output]), *wanted),
                _ if output.starts_with("next/") => {
                    assert_eq!(given[0][output], given[1][output], "{name}: ranks differ in {output}");
                    if output.ends_with("num_batches_tracked") {
                        assert_eq!(given[0][output], *wanted);
                        continue;
                    }
                    let apart = apart(&given[0][output].to_f32().unwrap(), &wanted.to_f32().unwrap());
                    assert!(apart < 1e-6, "{name}: {output} {apart:e}");
                }
                _ => {
                    let (mean, wanted) = (mean(&given, output), wanted.to_f32().unwrap());
                    let apart = apart(&mean, &wanted);
                    // What a key's bias adds to all scores alike cancels: that gradient is nothing but rounding.
                    if wanted.iter().any(|number| number.abs() > 1e-7) {
                        assert!(apart < 2e-5, "{name}: {output} {apart:e}");
                    }
                    if output.starts_with("gradient/") {
                        ours.extend(mean);
                        theirs.extend(wanted);
                    }
                }
            }
        }
        let all = apart(&ours, &theirs);
        assert!(theirs.len() > 1000 && all < 2e-6, "{name}: all gradients {all:e}");
    }
}

#[test]
fn three_steps_of_two_ranks_come_to_those_of_one() {
    for name in GOLDEN {
        let file = golden(name);
        let (all, half) = (trainee(&file, 2), trainee(&file, 1));
        let recipe = Recipe::default();
        let mut whole = begin(&all, &file, 0);
        whole.insert("learning_rate".to_owned(), Array::scalar(0.01));
        let mut ranks: Vec<Arrays> = (0..RANKS).map(|rank| begin(&half, &file, rank)).collect();
        let mut step = open(&all.step(&recipe).unwrap());
        let mut parts = opened(half.synchronised(&recipe, RANKS).unwrap());
        let mut update = open(&half.update(&recipe).unwrap());
        let advance = |held: &mut Arrays, outputs: Arrays| {
            for (name, array) in outputs {
                if let Some(name) = name.strip_prefix("next/") {
                    held.insert(name.to_owned(), array);
                }
            }
        };
        for at in 0..3 {
            let outputs = run(&mut step, &whole);
            let loss = outputs["loss"].to_f32().unwrap();
            advance(&mut whole, outputs);
            let given = together(&mut parts, &ranks);
            let apart = apart(&mean(&given, "loss"), &loss);
            assert!(apart < 1e-5, "{name}: loss {at} {apart:e}");
            let mut sums = Arrays::from([
                ("learning_rate".to_owned(), Array::scalar(0.01)),
                ("gradient_scale".to_owned(), Array::scalar(1.0 / RANKS as f32)),
            ]);
            for output in given[0].keys().filter(|name| name.starts_with("gradient/")) {
                let sum = added(&given[0][output], &given[1][output]);
                sums.insert(output.replacen("gradient/", "accumulated/", 1), sum);
            }
            for (held, given) in ranks.iter_mut().zip(given) {
                let mut inputs = held.clone();
                inputs.extend(sums.clone());
                let outputs = run(&mut update, &inputs);
                advance(held, outputs);
                advance(held, given);
            }
        }
        for (tensor, wanted) in whole.iter().filter(|(name, _)| file.tensors.contains_key(&format!("param/{name}"))) {
            assert_eq!(ranks[0][tensor], ranks[1][tensor], "{name}: ranks differ in {tensor}");
            if tensor.ends_with("num_batches_tracked") {
                assert_eq!(ranks[0][tensor], *wanted);
                continue;
            }
            let reference = &file.tensors[&format!("after3/{tensor}")];
            let ours = ranks[0][tensor].to_f32().unwrap();
            let apart = apart(&ours, &wanted.to_f32().unwrap());
            assert!(apart < 1e-5, "{name}: {tensor} {apart:e}");
            let apart = self::apart(&ours, &reference.to_f32());
            assert!(apart < 1e-4, "{name}: {tensor} {apart:e} from the reference");
        }
    }
}

#[test]
fn a_mean_a_thousand_times_the_deviation_costs_no_more_digits_than_on_one_rank() {
    let build = |batch: usize| {
        let mut graph = Graph::new();
        let x = graph.input("x", Element::F32, &[batch, 3, 5, 7]).unwrap();
        let mut channels = |name: &str| graph.input(name, Element::F32, &[3]).unwrap();
        let [scale, bias, running_mean, running_var] =
            ["scale", "bias", "running_mean", "running_var"].map(&mut channels);
        let norm = BatchNorm { scale, bias, running_mean, running_var, momentum: 0.5, epsilon: 1e-5 };
        (batch_norm_train(&mut graph, x, &norm).unwrap(), graph, x)
    };
    // As a network whose logits are what the batch norm gives.
    let network = |batch: usize| {
        let (out, mut graph, x) = build(batch);
        let last = graph.transpose(out.y, &[0, 2, 3, 1]).unwrap();
        let logits = graph.reshape(last, &[batch, 35, 3]).unwrap();
        let head = Head { name: "decode".to_owned(), logits, grid: (5, 7), through: Vec::new(), weight: 1.0 };
        Trainee {
            image: x,
            size: (5, 7),
            heads: vec![head],
            parameters: vec![Trained { name: "x".to_owned(), value: x, rate: 1.0 }],
            statistics: vec![
                Statistic { name: "running_mean".to_owned(), next: out.next_mean },
                Statistic { name: "running_var".to_owned(), next: out.next_var },
            ],
            masks: Vec::new(),
            graph,
        }
    };
    let mut seed = 1_u32;
    let mut draw = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as f32 / (1 << 24) as f32
    };
    let numbers: Vec<f32> = (0..6 * 105).map(|at| [1000.0, -3.0, 4096.0][at / 35 % 3] + draw()).collect();
    let labels: Vec<u8> = (0..6 * 35).map(|_| (draw() * 3.0) as u8).collect();
    let ones = |value: f32| Array::from_f32(&[3], &[value; 3]).unwrap();
    let held = |from: usize, batch: usize, rank: i64| {
        let pictures = &numbers[from * 105..(from + batch) * 105];
        Arrays::from([
            ("x".to_owned(), Array::from_f32(&[batch, 3, 5, 7], pictures).unwrap()),
            ("label".to_owned(), Array::u8(&[batch, 5, 7], labels[from * 35..(from + batch) * 35].to_vec()).unwrap()),
            ("accumulated/x".to_owned(), Array::from_f32(&[batch, 3, 5, 7], &vec![0.0; batch * 105]).unwrap()),
            ("rank".to_owned(), Array::i64(&[], &[rank]).unwrap()),
            ("scale".to_owned(), ones(1.5)),
            ("bias".to_owned(), ones(0.5)),
            ("running_mean".to_owned(), ones(0.0)),
            ("running_var".to_owned(), ones(1.0)),
        ])
    };
    let recipe = Recipe::default();
    let whole = run(&mut open(&network(6).gradient(&recipe, false).unwrap()), &held(0, 6, 0));
    let ranks: Vec<Arrays> = (0..3).map(|rank| held(rank * 2, 2, rank as i64)).collect();
    let given = together(&mut opened(network(2).synchronised(&recipe, 3).unwrap()), &ranks);
    // The variance of the whole batch in 64 bits, unbiased, blended half and half with 1.
    for channel in 0..3 {
        let of: Vec<f64> =
            (0..numbers.len()).filter(|at| at / 35 % 3 == channel).map(|at| f64::from(numbers[at])).collect();
        let mean = of.iter().sum::<f64>() / of.len() as f64;
        let variance = of.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / (of.len() - 1) as f64;
        for own in given.iter().chain([&whole]) {
            let found = f64::from(own["next/running_var"].to_f32().unwrap()[channel]);
            assert!((found - 0.5 - 0.5 * variance).abs() < 2e-6, "{found} for {variance}");
        }
    }
    let (mut ours, theirs) = (Vec::new(), whole["gradient/x"].to_f32().unwrap());
    for own in &given {
        // A rank's loss is the mean over its own pictures, which are a third of all.
        ours.extend(own["gradient/x"].to_f32().unwrap().into_iter().map(|number| number / 3.0));
    }
    let apart = apart(&ours, &theirs);
    assert!(apart < 1e-3, "{apart:e}");
}

#[test]
fn batch_norms_of_graphs_from_elsewhere_are_shared_too() {
    let file = golden("setr_naive");
    let exported = |batch: usize| {
        let mut graph = eval_graph(&Config::golden(&file.metadata).unwrap(), batch).unwrap();
        for input in graph.inputs().to_vec() {
            if let Some(tensor) = file.tensors.get(&format!("param/{}", graph.name(input))) {
                graph.embed(input, tensor.clone()).unwrap();
            }
        }
        assert!(graph.nodes().iter().any(|node| node.op == "BatchNormalization"));
        let source = Source::decode(encode(&graph, "exported").into(), "exported", Default::default()).unwrap();
        let settings = ImportSettings { training: true, ..ImportSettings::default() };
        let imported = import(&source, &settings).unwrap();
        Trainee::of_import(&imported, &[("logits".to_owned(), 1.0)]).unwrap()
    };
    let (all, half) = (exported(2), exported(1));
    let recipe = Recipe::default();
    let whole = run(&mut open(&all.gradient(&recipe, false).unwrap()), &begin(&all, &file, 0));
    let segments = half.synchronised(&recipe, RANKS).unwrap();
    assert!(segments.len() > 2);
    let ranks: Vec<Arrays> = (0..RANKS).map(|rank| begin(&half, &file, rank)).collect();
    let given = together(&mut opened(segments), &ranks);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for (output, wanted) in whole.iter().filter(|(name, _)| name.as_str() != "counts") {
        ours.extend(mean(&given, output));
        theirs.extend(wanted.to_f32().unwrap());
    }
    let apart = apart(&ours, &theirs);
    assert!(theirs.len() > 1000 && apart < 2e-6, "{apart:e}");
}

#[test]
fn segments_come_in_every_precision_and_a_rank_that_is_none_is_an_error() {
    let file = golden("setr_mla");
    let trainee = trainee(&file, 1);
    for precision in [Precision::F32, Precision::Bf16, Precision::Bf16Emulated, Precision::F16] {
        let segments = trainee.synchronised(&Recipe { precision, ..Recipe::default() }, 4).unwrap();
        assert_eq!(segments.len(), 9, "{precision:?}");
        // Eight batch norms of the neck and eight of the head; those that do not need each other share a cut.
        let counts: Vec<usize> = segments.iter().map(|segment| segment.cuts.len()).collect();
        assert_eq!(counts, [4, 4, 4, 4, 4, 4, 4, 4, 0], "{precision:?}");
    }
    assert!(trainee.synchronised(&Recipe::default(), 0).is_err());
    assert!(trainee.synchronised(&Recipe::default(), 1000).is_err());
    let mut parts = opened(trainee.synchronised(&Recipe::default(), RANKS).unwrap());
    let mut held = begin(&trainee, &file, 0);
    held.insert("rank".to_owned(), Array::i64(&[], &[2]).unwrap());
    let mut state = State::new(&loaded(), Device::Cpu).unwrap();
    let step = &mut parts[0].1;
    let names: Vec<String> = step.inputs().iter().map(|input| input.name.clone()).collect();
    let inputs: Vec<(&str, &Array)> = names.iter().map(|name| (name.as_str(), &held[name])).collect();
    assert!(step.run(&mut state, &inputs, &[], &Cancel::default()).is_err());
}
