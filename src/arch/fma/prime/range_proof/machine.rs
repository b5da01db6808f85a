//! Executes a kernel on forms, and asserts of each instruction that its result is known exactly.

use super::form::{Form, SCALE, Symbol};
use super::source::{Source, expand};
use num_bigint::{BigInt, BigUint};
use std::collections::HashMap;

/// A processor whose registers hold forms.
pub(super) struct Machine {
    registers: HashMap<String, Form>,
    memory: HashMap<(String, i64), Form>,
    /// The bounds of operands' digits.
    digits: Vec<u64>,
    /// The bounds of what roundings added, as binary logarithms.
    roundings: Vec<u32>,
    upper_halves_cleared: bool,
    returned: bool,
}

impl Machine {
    /// Runs the kernel `text`. `operands` are the registers that point to the operands, whose digits are
    /// below `digits`; rcx points to `constants`, four of each; rdi to the result.
    pub(super) fn run(text: &str, operands: &[&str], digits: &[u64], constants: &[f64]) -> Self {
        let mut memory = HashMap::new();
        for (operand, register) in operands.iter().enumerate() {
            for i in 0..digits.len() {
                let digit = Form::symbol(Symbol::Digit(operand, i));
                memory.insert((register.to_string(), 32 * i as i64), digit);
            }
        }
        for (i, vector) in constants.chunks(4).enumerate() {
            assert!(vector.iter().all(|lane| *lane == vector[0]));
            memory.insert(("rcx".to_owned(), 32 * i as i64), Form::constant(vector[0]));
        }
        let mut machine = Self {
            registers: HashMap::new(),
            memory,
            digits: digits.to_vec(),
            roundings: Vec::new(),
            upper_halves_cleared: false,
            returned: false,
        };
        let source = expand(text);
        source.instructions.iter().for_each(|line| machine.step(&source, line));
        assert!(machine.returned, "no end");
        machine
    }

    /// The digits of the result.
    pub(super) fn result(&self) -> Vec<&Form> {
        (0..self.digits.len()).map(|i| &self.memory[&("rdi".to_owned(), 32 * i as i64)]).collect()
    }

    fn step(&mut self, source: &Source, line: &str) {
        assert!(!self.returned, "code after the end: {line}");
        let (name, arguments) = line.split_once(' ').unwrap_or((line, ""));
        let arguments: Vec<_> = arguments.split(',').map(str::trim).collect();
        match (name, &arguments[..]) {
            ("vmovapd", [to, from]) => {
                let value = self.read(source, from);
                self.write(source, to, value);
            }
            ("vaddpd" | "vsubpd", [to, x, y]) => {
                let sign = if name == "vaddpd" { 1 } else { -1 };
                let sum = self.read(source, x).add(&self.read(source, y), sign);
                self.exact_or_rounded(source, to, sum, line);
            }
            ("vmulpd", [to, x, y]) => {
                let product = self.read(source, x).multiply(&self.read(source, y));
                self.exact_or_rounded(source, to, product, line);
            }
            ("vfmadd231pd" | "vfnmadd231pd", [to, x, y]) => {
                let sign = if name == "vfmadd231pd" { 1 } else { -1 };
                let product = self.read(source, x).multiply(&self.read(source, y));
                let sum = self.read(source, to).add(&product, sign);
                self.exact_or_rounded(source, to, sum, line);
            }
            ("vzeroupper", [""]) => self.upper_halves_cleared = true,
            ("ret", [""]) => {
                assert!(self.upper_halves_cleared);
                self.returned = true;
            }
            _ => panic!("the proof does not know {line}"),
        }
    }

    fn read(&self, source: &Source, operand: &str) -> Form {
        if operand.starts_with('[') {
            let place = source.memory(operand);
            return self.memory.get(&place).unwrap_or_else(|| panic!("{operand} is read unwritten")).clone();
        }
        self.registers.get(operand).unwrap_or_else(|| panic!("{operand} is read unwritten")).clone()
    }

    fn write(&mut self, source: &Source, operand: &str, value: Form) {
        if operand.starts_with('[') {
            let (base, offset) = source.memory(operand);
            let inside = (0..32 * self.digits.len() as i64).contains(&offset) && offset % 32 == 0;
            assert!(base == "rdi" && inside, "{operand} is not the result");
            self.memory.insert((base, offset), value);
        } else {
            let number = operand.strip_prefix("ymm").and_then(|n| n.parse::<u32>().ok());
            assert!(number.is_some_and(|n| n < 16), "{operand} is no register");
            self.registers.insert(operand.to_owned(), value);
        }
    }

    /// Writes what an instruction makes of the exact `value`.
    ///
    /// A double holds every multiple of 2^m up to 2^(m + 53). Otherwise the value must be known to lie in one
    /// binade, [2^e, 2^(e+1)]: then it is rounded to a multiple of 2^(e − 52), the nearest.
    fn exact_or_rounded(&mut self, source: &Source, to: &str, mut value: Form, line: &str) {
        let limit = i64::from(SCALE) + i64::from(value.multiple_of) + 53;
        if self.bound(&value) > BigUint::from(1u8) << limit {
            let constant = value.one_coefficient();
            assert!(constant > BigInt::ZERO, "{line}: not exact");
            let around = value.add(&Form { terms: [(Symbol::One, constant.clone())].into(), ..value }, -1);
            let exponent = constant.bits() - 1;
            let distance = self.bound(&around);
            let half = BigUint::from(1u8) << (exponent - 1);
            let middle = BigUint::from(3u8) * &half;
            assert!(
                constant == middle.into() && distance <= half,
                "{line}: not exact, and in no known binade"
            );
            let unit = i32::try_from(exponent).unwrap() - SCALE as i32 - 52;
            assert!(unit >= 1, "{line}: halves");
            self.roundings.push(unit as u32 - 1);
            let rounding = Form::symbol(Symbol::Rounding(self.roundings.len() - 1));
            value = value.add(&rounding, 1);
            value.multiple_of = unit;
        }
        self.write(source, to, value);
    }

    /// The bound of a form's absolute value, times 2^`SCALE`.
    pub(super) fn bound(&self, form: &Form) -> BigUint {
        form.bound(|symbol| match symbol {
            Symbol::One => 1u8.into(),
            Symbol::Digit(_, i) => self.digits[i].into(),
            Symbol::Product((_, i), (_, j)) => BigUint::from(self.digits[i]) * self.digits[j],
            Symbol::Rounding(i) => BigUint::from(1u8) << self.roundings[i],
        })
    }
}
