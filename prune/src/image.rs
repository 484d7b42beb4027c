//! What a module holds, as far as pruning asks about it.

use std::collections::BTreeMap;

use crate::error::PruneError;
use wasmparser::{
    CompositeInnerType, CustomSectionReader, ElementItems, ExternalKind, FuncType, FunctionBody, Operator,
    Parser, Payload, TypeRef,
};

#[derive(Default)]
pub(crate) struct Image<'a> {
    types: Vec<Option<FuncType>>,
    /// The names of the imported functions. Their indices come first.
    pub(crate) imports: Vec<&'a str>,
    /// The type of each function, imported ones first.
    function_types: Vec<u32>,
    bodies: Vec<FunctionBody<'a>>,
    /// The exported functions.
    pub(crate) functions: BTreeMap<&'a str, u32>,
    /// Functions that can be called without their name: those in tables and globals, and the start function.
    pub(crate) unnamed: Vec<u32>,
    /// Custom sections by name; of several with one name the first.
    pub(crate) custom: BTreeMap<&'a str, &'a [u8]>,
}

impl<'a> Image<'a> {
    pub(crate) fn read(wasm: &'a [u8]) -> Result<Self, PruneError> {
        let mut image = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            image.section(payload?)?;
        }
        Ok(image)
    }

    fn section(&mut self, payload: Payload<'a>) -> Result<(), PruneError> {
        match payload {
            Payload::Version { encoding: wasmparser::Encoding::Component, .. } => {
                return Err(PruneError::malformed("it is a component, and no proxy loads those"));
            }
            Payload::TypeSection(section) => {
                for group in section {
                    self.types.extend(group?.types().map(|one| match &one.composite_type.inner {
                        CompositeInnerType::Func(function) => Some(function.clone()),
                        _ => None,
                    }));
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    if let TypeRef::Func(index) = import.ty {
                        self.imports.push(import.name);
                        self.function_types.push(index);
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for index in section {
                    self.function_types.push(index?);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.kind == ExternalKind::Func {
                        self.functions.insert(export.name, export.index);
                    }
                }
            }
            Payload::StartSection { func, .. } => self.unnamed.push(func),
            Payload::GlobalSection(section) => {
                for global in section {
                    self.references(global?.init_expr.get_operators_reader())?;
                }
            }
            Payload::ElementSection(section) => {
                for element in section {
                    self.elements(element?.items)?;
                }
            }
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            Payload::CustomSection(section) => self.remember(&section),
            _ => {}
        }
        Ok(())
    }

    fn elements(&mut self, items: ElementItems<'a>) -> Result<(), PruneError> {
        match items {
            ElementItems::Functions(functions) => {
                for function in functions {
                    self.unnamed.push(function?);
                }
            }
            ElementItems::Expressions(_, expressions) => {
                for expression in expressions {
                    self.references(expression?.get_operators_reader())?;
                }
            }
        }
        Ok(())
    }

    fn references(&mut self, operators: wasmparser::OperatorsReader<'a>) -> Result<(), PruneError> {
        for operator in operators {
            if let Operator::RefFunc { function_index } = operator? {
                self.unnamed.push(function_index);
            }
        }
        Ok(())
    }

    fn remember(&mut self, section: &CustomSectionReader<'a>) {
        self.custom.entry(section.name()).or_insert_with(|| section.data());
    }

    pub(crate) fn function_count(&self) -> usize {
        self.function_types.len()
    }

    /// The code of a function; `None` for an imported one.
    pub(crate) fn body(&self, function: u32) -> Option<&FunctionBody<'a>> {
        let index = (function as usize).checked_sub(self.imports.len())?;
        self.bodies.get(index)
    }

    /// What a function calls by name or takes a reference to.
    pub(crate) fn callees(&self, function: u32) -> Result<Vec<u32>, PruneError> {
        let mut callees = Vec::new();
        let Some(body) = self.body(function) else { return Ok(callees) };
        for operator in body.get_operators_reader()? {
            match operator? {
                Operator::Call { function_index }
                | Operator::ReturnCall { function_index }
                | Operator::RefFunc { function_index } => callees.push(function_index),
                _ => {}
            }
        }
        Ok(callees)
    }

    /// Whether two functions have the same type and the same code, and therefore do the same.
    pub(crate) fn are_same(&self, one: u32, other: u32) -> Result<bool, PruneError> {
        let (one, other) = (self.behind(one)?, self.behind(other)?);
        let code = |function| self.body(function).map(FunctionBody::as_bytes);
        let same_type = self.type_of(one).is_some() && self.type_of(one) == self.type_of(other);
        Ok(one == other || (same_type && code(one).is_some() && code(one) == code(other)))
    }

    fn type_of(&self, function: u32) -> Option<&FuncType> {
        let index = *self.function_types.get(function as usize)?;
        self.types.get(index as usize)?.as_ref()
    }

    /// The function that does the work. Where the compiler found two functions to be the same, it may have left one that
    /// only passes its arguments on to the other.
    fn behind(&self, function: u32) -> Result<u32, PruneError> {
        let Some(body) = self.body(function) else { return Ok(function) };
        let parameters = self.type_of(function).map_or(0, |one| one.params().len());
        let mut operators = body.get_operators_reader()?;
        for index in 0..parameters {
            match operators.read()? {
                Operator::LocalGet { local_index } if local_index as usize == index => {}
                _ => return Ok(function),
            }
        }
        let Operator::Call { function_index } = operators.read()? else { return Ok(function) };
        let ends = matches!(operators.read()?, Operator::End) && operators.eof();
        Ok(if ends && self.type_of(function) == self.type_of(function_index) {
            function_index
        } else {
            function
        })
    }
}
