//! `Einsum` as transpositions, sums and one matrix product for each operand after the first. Must not know files.

use super::{Call, Reader};
use crate::graph::Error;
use crate::graph::ir::Value;

struct Operand {
    value: Value,
    letters: Vec<char>,
}

impl Reader<'_> {
    pub(super) fn einsum(&mut self, call: &Call<'_>) -> Result<Value, Error> {
        let equation: String =
            call.attributes.text("equation", "").chars().filter(|letter| !letter.is_whitespace()).collect();
        let unknown = || call.unsupported(format!("the equation `{equation}` is not known here"));
        let equation = self.spelled_out(call, &equation).ok_or_else(unknown)?;
        let (left, right) = match equation.split_once("->") {
            Some((left, right)) => (left.to_owned(), right.chars().collect::<Vec<_>>()),
            None => {
                // Without a right side: every letter that stands once, in the order of the alphabet.
                let mut once: Vec<char> = equation.chars().filter(|letter| letter.is_alphabetic()).collect();
                once.retain(|letter| letter.is_uppercase() || equation.matches(*letter).count() == 1);
                once.sort_unstable();
                once.dedup();
                (equation.clone(), once)
            }
        };
        let terms: Vec<Vec<char>> = left.split(',').map(|term| term.chars().collect()).collect();
        let mut operands = Vec::new();
        for (place, letters) in terms.into_iter().enumerate() {
            let value = call.x(place)?;
            let twice = letters.iter().enumerate().any(|(at, letter)| letters[..at].contains(letter));
            if letters.iter().any(|letter| !letter.is_alphabetic())
                || twice
                || letters.len() != self.graph.dims(value).len()
            {
                return Err(unknown());
            }
            operands.push(Operand { value, letters });
        }
        let mut rest = operands.into_iter();
        let mut result = rest.next().ok_or_else(unknown)?;
        while let Some(next) = rest.next() {
            // What a later operand still meets must stay.
            let wanted: Vec<char> =
                rest.as_slice().iter().flat_map(|operand| &operand.letters).chain(&right).copied().collect();
            result = self.product(call, &result, &next, &wanted)?;
        }
        let result = self.summed(&result, &right)?;
        let order: Option<Vec<usize>> =
            right.iter().map(|letter| result.letters.iter().position(|other| other == letter)).collect();
        let order = order.filter(|order| order.len() == result.letters.len()).ok_or_else(unknown)?;
        self.graph.transpose(result.value, &order)
    }

    /// The dots of an equation as capital letters, the last axis the last of them; its own letters are small ones.
    fn spelled_out(&self, call: &Call<'_>, equation: &str) -> Option<String> {
        if !equation.contains("...") {
            return Some(equation.to_owned());
        }
        if equation.contains(char::is_uppercase) {
            return None;
        }
        let left = equation.split("->").next()?;
        let mut dots = Vec::new();
        for (place, term) in left.split(',').enumerate() {
            let letters = term.replace("...", "").chars().count();
            let rank = self.graph.dims(call.x(place).ok()?).len();
            dots.push(if term.contains("...") { rank.checked_sub(letters)? } else { 0 });
        }
        let most = dots.iter().copied().max()?;
        let capitals: Vec<char> = ('A'..='Z').take(most).collect();
        let spelled = |count: usize| capitals[most - count..].iter().collect::<String>();
        let terms: Vec<String> =
            left.split(',').zip(&dots).map(|(term, count)| term.replace("...", &spelled(*count))).collect();
        Some(match equation.split_once("->") {
            Some((_, right)) => format!("{}->{}", terms.join(","), right.replace("...", &spelled(most))),
            None => terms.join(","),
        })
    }

    /// Without the letters that are asked for nowhere.
    fn summed(&mut self, operand: &Operand, wanted: &[char]) -> Result<Operand, Error> {
        let gone = |letter: &char| !wanted.contains(letter);
        let axes: Vec<usize> =
            operand.letters.iter().enumerate().filter(|(_, letter)| gone(letter)).map(|(axis, _)| axis).collect();
        let value = self.graph.reduce_in_stages("ReduceSum", operand.value, &axes, false)?;
        Ok(Operand { value, letters: operand.letters.iter().copied().filter(|letter| !gone(letter)).collect() })
    }

    fn product(&mut self, call: &Call<'_>, a: &Operand, b: &Operand, right: &[char]) -> Result<Operand, Error> {
        let both = |letters: &[char]| [right, letters].concat();
        let a = self.summed(a, &both(&b.letters))?;
        let b = self.summed(b, &both(&a.letters))?;
        let shared = |letter: &&char| b.letters.contains(letter);
        let batch: Vec<char> = a.letters.iter().filter(shared).filter(|l| right.contains(l)).copied().collect();
        let inner: Vec<char> = a.letters.iter().filter(shared).filter(|l| !right.contains(l)).copied().collect();
        let own = |operand: &Operand, other: &Operand| -> Vec<char> {
            operand.letters.iter().copied().filter(|letter| !other.letters.contains(letter)).collect()
        };
        let (rows, columns) = (own(&a, &b), own(&b, &a));
        let (left, lengths_a) = self.arranged(call, &a, [&batch, &rows, &inner])?;
        let (right, lengths_b) = self.arranged(call, &b, [&batch, &inner, &columns])?;
        let product = self.graph.matmul(left, right)?;
        let dims: Vec<usize> = [lengths_a[0].clone(), lengths_a[1].clone(), lengths_b[2].clone()].concat();
        let value = self.graph.reshape(product, &dims)?;
        Ok(Operand { value, letters: [batch, rows, columns].concat() })
    }

    /// The axes in three groups, each flattened into one axis; and the lengths in each group.
    fn arranged(
        &mut self,
        call: &Call<'_>,
        operand: &Operand,
        groups: [&[char]; 3],
    ) -> Result<(Value, [Vec<usize>; 3]), Error> {
        let dims = self.graph.dims(operand.value).to_vec();
        let place = |letter: &char| operand.letters.iter().position(|other| other == letter);
        let order: Option<Vec<usize>> = groups.concat().iter().map(place).collect();
        let order = order.ok_or_else(|| call.broken("its letters do not match"))?;
        let lengths = groups.map(|group| group.iter().filter_map(place).map(|axis| dims[axis]).collect::<Vec<_>>());
        let turned = self.graph.transpose(operand.value, &order)?;
        let flat: Vec<usize> = lengths.iter().map(|group| group.iter().product()).collect();
        Ok((self.graph.reshape(turned, &flat)?, lengths))
    }
}
