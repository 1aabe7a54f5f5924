use super::*;
use crate::graph::net::{Config, Mode, build};
use crate::graph::train::{Recipe, Recompute, Trainee};
use crate::graph::{Element, measure};

const MIB: f64 = 1048576.0;

fn found(graph: &Graph) -> Peak {
    peak(graph, &graph.live(), graph.outputs())
}

#[test]
fn memory_is_alive_from_a_node_to_its_last_reader() {
    let mut graph = Graph::new();
    let x = graph.input("x", Element::F32, &[256]).unwrap();
    let a = graph.unary("Exp", x).unwrap(); // a
    let b = graph.unary("Neg", a).unwrap(); // a, b
    let view = graph.reshape(b, &[2, 128]).unwrap(); // in the buffer of b
    let c = graph.unary("Neg", view).unwrap(); // a, b, c
    let half = graph.slice(c, 0, 0, 1, 1).unwrap(); // a, c, half
    let sum = graph.add(a, b).unwrap();
    let narrow = graph.slice(sum, 0, 0, 128, 1).unwrap();
    let wide = graph.reshape(half, &[128]).unwrap();
    let d = graph.add(narrow, wide).unwrap();
    graph.output(d, "d").unwrap();
    graph.unary("Neg", d).unwrap(); // needed by nobody
    let peak = found(&graph);
    // The last of the inputs first: c and its half, then the sum, for which nothing of its shape is free.
    assert_eq!((peak.alive, peak.node.as_deref()), (3 * 1024 + 512, Some("Slice Slice")));
    assert!(peak.arena >= peak.alive);
}

#[test]
fn what_is_read_no_more_is_written_over_where_the_kernel_can() {
    for (op, buffers) in [("Relu", 1), ("Softmax", 1), ("Exp", 2), ("Gelu", 2)] {
        let mut graph = Graph::new();
        let x = graph.input("x", Element::F32, &[64, 64]).unwrap();
        let mut y = graph.transpose_last(x).unwrap();
        for _ in 0..3 {
            y = graph.unary(op, y).unwrap();
        }
        let y = graph.reduce("ReduceMax", y, &[0, 1], false).unwrap();
        graph.output(y, "next/x").unwrap();
        assert_eq!(found(&graph).alive, buffers * 64 * 64 * 4, "{op}");
    }
}

#[test]
fn a_buffer_is_taken_again_for_the_same_shape_and_the_next_values_of_inputs_need_none() {
    let mut graph = Graph::new();
    let x = graph.input("x", Element::U8, &[4, 8]).unwrap();
    let state = graph.input("state", Element::F32, &[32]).unwrap();
    let view = graph.reshape(x, &[32]).unwrap();
    let first = graph.cast(view, Element::F32).unwrap();
    let second = graph.mul(first, state).unwrap();
    let third = graph.unary("Neg", second).unwrap();
    let next = graph.add(third, state).unwrap();
    graph.output(next, "next/state").unwrap();
    assert_eq!(found(&graph).alive, 2 * 128);
    let other = graph.add(third, first).unwrap();
    graph.output(other, "other").unwrap();
    assert_eq!(found(&graph).alive, 3 * 128);
}

#[test]
fn turned_and_scaled_products_are_one_and_the_same_is_computed_once() {
    let mut graph = Graph::new();
    let x = graph.input("x", Element::F32, &[2, 64, 32]).unwrap();
    let turned = graph.transpose_last(x).unwrap();
    let scores = graph.matmul(x, turned).unwrap();
    let scores = graph.scale(scores, 0.5).unwrap();
    let twin = graph.unary("Exp", scores).unwrap();
    let other = graph.unary("Exp", scores).unwrap();
    let sum = graph.add(twin, other).unwrap();
    graph.output(sum, "next/x").unwrap();
    let nodes = graph.live();
    let steps = ordered(fuse(&graph, &nodes, graph.outputs()));
    assert_eq!(steps.iter().map(|step| step.op).collect::<Vec<_>>(), ["MatMul", "Exp", "Add"]);
    assert_eq!(found(&graph).alive, 2 * 2 * 64 * 64 * 4);
}

#[test]
fn absurd_lengths_saturate() {
    let mut arena = Arena::default();
    arena.allocate(bytes(&TensorType::new(Element::F64, &[usize::MAX, usize::MAX])));
    assert_eq!(arena.touched(), u64::MAX);
}

/// What a process grew by at most over three steps with one thread and ONNX Runtime 1.31.1 (greatest resident size less
/// the one before the first step and the second set of the state), in MiB: without recomputation, with that of
/// attention, of blocks.
const MEASURED: [(&str, usize, usize, [f64; 3]); 6] = [
    ("segmenter", 512, 1, [524.6, 308.4, 166.7]),
    ("segmenter", 512, 2, [1051.2, 617.7, 331.3]),
    ("segmenter", 256, 4, [332.8, 295.9, 166.1]),
    ("tiny", 256, 2, [125.6, 117.5, 111.4]),
    ("medium", 256, 4, [442.5, 413.7, 282.5]),
    ("medium", 512, 1, [576.6, 419.4, 310.2]),
];

#[test]
fn steps_need_as_much_as_was_measured() {
    for (name, size, batch, measured) in MEASURED {
        let naive = |width, heads, layers: usize, channels| {
            let mut config = Config::named("setr-naive", 28, (size, size)).unwrap();
            (config.width, config.heads, config.layers, config.decoder_channels) = (width, heads, layers, channels);
            config.taps = [1, 2, 3, 4].map(|part| layers * part / 4 - 1).to_vec();
            config
        };
        let config = match name {
            "tiny" => naive(64, 4, 4, 32),
            "medium" => naive(192, 3, 12, 64),
            _ => Config::named("segmenter-vit-t-mask", 28, (size, size)).unwrap(),
        };
        let trainee = Trainee::of_network(build(&config, Mode::Train, batch).unwrap(), 1.0);
        for (recompute, measured) in
            [Recompute::None, Recompute::Attention, Recompute::Blocks].into_iter().zip(measured)
        {
            let graph = trainee.step(&Recipe { recompute, ..Recipe::default() }).unwrap();
            let predicted = measure(&graph, graph.outputs(), |_| false).peak_bytes as f64 / MIB;
            let error = predicted / measured - 1.0;
            assert!(
                error.abs() < 0.15,
                "{name} {size} {batch} {recompute:?}: {predicted:.1} for {measured}, {error:+.3}"
            );
        }
    }
}
