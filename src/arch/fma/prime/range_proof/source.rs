//! Reads the assembly sources: expands macros until only instructions are left.

use std::collections::HashMap;

#[derive(Clone)]
struct Macro {
    parameters: Vec<String>,
    body: Vec<String>,
}

/// The lines of a function, all macros expanded, and the values of its `.set` names.
pub(super) struct Source {
    pub(super) instructions: Vec<String>,
    pub(super) names: HashMap<String, i64>,
}

/// Expands `text`, which has one FUNCTION.
pub(super) fn expand(text: &str) -> Source {
    let code = text.lines().map(|l| l.split('#').next().unwrap().trim().to_owned());
    let code: Vec<_> = code.filter(|l| !l.is_empty()).collect();
    let mut macros = HashMap::new();
    let mut source = Source { instructions: Vec::new(), names: HashMap::new() };
    source.expand(&code, &mut macros);
    source
}

impl Source {
    fn expand(&mut self, code: &[String], macros: &mut HashMap<String, Macro>) {
        let mut lines = code.iter();
        while let Some(line) = lines.next() {
            let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
            let arguments: Vec<_> = rest.split(',').map(|a| a.trim().to_owned()).collect();
            match name {
                ".macro" => {
                    let (name, parameters) = rest.split_once(' ').unwrap_or((rest, ""));
                    let parameters = parameters.split(',').map(|p| p.trim().to_owned()).collect();
                    let body = lines.by_ref().take_while(|l| *l != ".endm").cloned().collect();
                    let old = macros.insert(name.to_owned(), Macro { parameters, body });
                    assert!(old.is_none(), "two macros {name}");
                }
                ".irp" => {
                    let body: Vec<_> = lines.by_ref().take_while(|l| *l != ".endr").cloned().collect();
                    for value in &arguments[1..] {
                        self.expand(
                            &substituted(&body, &arguments[..1], std::slice::from_ref(value)),
                            macros,
                        );
                    }
                }
                ".set" => {
                    self.names.insert(arguments[0].clone(), arguments[1].parse().expect(line));
                }
                "FUNCTION" | "END" => {}
                _ => match macros.get(name).cloned() {
                    Some(m) => self.expand(&substituted(&m.body, &m.parameters, &arguments), macros),
                    None => self.instructions.push(line.clone()),
                },
            }
        }
    }

    /// Register and offset of a memory operand `[register + number or name or number*number]`.
    pub(super) fn memory(&self, operand: &str) -> (String, i64) {
        let inner = operand.strip_prefix('[').and_then(|o| o.strip_suffix(']')).expect(operand);
        let mut parts = inner.split('+').map(str::trim);
        let base = parts.next().unwrap().to_owned();
        let value = |x: &str| self.names.get(x).copied().unwrap_or_else(|| x.parse().expect(operand));
        (base, parts.map(|part| part.split('*').map(|x| value(x.trim())).product::<i64>()).sum())
    }
}

fn substituted(body: &[String], parameters: &[String], arguments: &[String]) -> Vec<String> {
    assert_eq!(parameters.len(), arguments.len(), "{parameters:?} {arguments:?}");
    let mut pairs: Vec<_> = parameters.iter().zip(arguments).filter(|(p, _)| !p.is_empty()).collect();
    // A name may begin with another.
    pairs.sort_by_key(|(p, _)| std::cmp::Reverse(p.len()));
    let replace = |line: &String| {
        pairs.iter().fold(line.clone(), |line, (p, a)| line.replace(&format!("\\{p}"), a.as_str()))
    };
    body.iter().map(replace).collect()
}
